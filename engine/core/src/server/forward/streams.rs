//! Connections to upstreams: which one a query takes, and what comes over it.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::server::forward::forwarder::{Due, Forwarder, token};
use crate::server::forward::job::{GENERATIONS, Job, Link};
use crate::server::forward::message::Verdict;
use crate::server::forward::poller;
use crate::server::forward::stream::{PIPELINE, Stream};

/// Connections of one thread to one upstream; further queries share them.
const MOST: usize = 8;

#[derive(Default)]
struct Place {
    generation: u32,
    stream: Option<Stream>,
}

#[derive(Default)]
pub struct Streams {
    places: Vec<Place>,
}

impl Streams {
    /// The least busy connection that takes more, and how many there are to the address.
    fn best(&self, address: SocketAddr) -> (Option<u32>, usize) {
        let mut best: Option<(usize, u32)> = None;
        let mut count = 0;
        for (index, place) in self.places.iter().enumerate() {
            let Some(stream) = &place.stream else { continue };
            if stream.address == address && !stream.is_suspect {
                count += 1;
                let busy = (stream.waiting.len(), index as u32);
                best = Some(best.map_or(busy, |known| known.min(busy)));
            }
        }
        (best.map(|(_, index)| index), count)
    }

    fn add(&mut self, stream: Stream) -> (u32, u32) {
        let free = self.places.iter().position(|place| place.stream.is_none());
        let index = free.unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        let place = &mut self.places[index];
        place.generation = place.generation.wrapping_add(1) & GENERATIONS;
        place.stream = Some(stream);
        (index as u32, place.generation)
    }

    pub fn is_of(&self, index: u32, generation: u32) -> bool {
        let place = self.places.get(index as usize);
        place.is_some_and(|place| place.generation == generation && place.stream.is_some())
    }

    fn get(&mut self, index: u32) -> Option<&mut Stream> {
        self.places.get_mut(index as usize)?.stream.as_mut()
    }

    fn generation(&self, index: u32) -> u32 {
        self.places.get(index as usize).map_or(0, |place| place.generation)
    }

    fn remove(&mut self, index: u32) -> Option<Stream> {
        self.places.get_mut(index as usize)?.stream.take()
    }
}

impl Forwarder {
    pub(super) fn ask_by_stream(
        &mut self,
        index: u32,
        mut job: Box<Job>,
        now: Instant,
    ) -> Result<(), Box<Job>> {
        let Some(place) = self.connection(&job, now) else { return Err(job) };
        let Some(stream) = self.streams.get(place) else { return Err(job) };
        let id = stream.fresh_id(&mut self.random);
        job.asked.set_id(id);
        job.asked.lower_case();
        stream.waiting.insert(id, index);
        stream.queue(job.asked.wire());
        job.link = Link::Stream { index: place, id };
        let patience = Self::patience_of(&job);
        self.wait(index, job, now + patience);
        // What goes wrong with it is seen when the poller says so: not in the middle of this.
        self.want_to_write(place, true);
        Ok(())
    }

    fn connection(&mut self, job: &Job, now: Instant) -> Option<u32> {
        let upstream = job.target();
        let (best, count) = self.streams.best(upstream.address);
        if let Some(place) = best {
            let busy = self.streams.get(place).map_or(0, |stream| stream.waiting.len());
            if busy < PIPELINE || count >= MOST {
                upstream.reused.fetch_add(1, Ordering::Relaxed);
                return Some(place);
            }
        }
        let socket = poller::stream(upstream.address).ok()?;
        upstream.opened.fetch_add(1, Ordering::Relaxed);
        let stream = Stream::new(socket, upstream.address, job.pool.expire, now);
        let fd = stream.fd();
        let (place, generation) = self.streams.add(stream);
        if self.poller.read(fd, token::of(token::STREAM, generation, place)).is_err() {
            self.streams.remove(place);
            return None;
        }
        Some(place)
    }

    fn want_to_write(&mut self, place: u32, wanted: bool) {
        let generation = self.streams.generation(place);
        let Some(stream) = self.streams.get(place) else { return };
        let token = token::of(token::STREAM, generation, place);
        // It can't fail for a descriptor that is registered; a time-out would find it out.
        let _registered = self.poller.also_write(stream.fd(), token, wanted);
    }

    /// A connection can be read, or written, or is broken.
    pub(super) fn stream_moved(&mut self, place: u32, generation: u32) {
        if !self.streams.is_of(place, generation) {
            return;
        }
        let mut room = std::mem::take(&mut self.room);
        let Some(stream) = self.streams.get(place) else { return };
        let had_more = stream.has_more_to_send();
        let moved = stream.send().and_then(|()| stream.receive(&mut room));
        if had_more && !stream.has_more_to_send() {
            self.want_to_write(place, false);
        }
        let mut message = vec![];
        while self.streams.is_of(place, generation) {
            let Some(stream) = self.streams.get(place) else { break };
            if !stream.next_message(&mut message) {
                break;
            }
            self.message_came(place, &message);
        }
        self.room = room;
        if !self.streams.is_of(place, generation) {
            return;
        }
        if moved.is_err() {
            return self.close(place);
        }
        self.rest(place, generation);
    }

    fn message_came(&mut self, place: u32, message: &[u8]) {
        let Some(stream) = self.streams.get(place) else { return };
        let id = message.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
        // Nobody waits for what comes late.
        let Some(index) = stream.waiting.remove(&id) else { return };
        stream.is_used = true;
        let Some(job) = self.jobs.take(index) else { return };
        if job.is_probe() {
            return self.probe_answered(index, job);
        }
        match job.asked.judge(message) {
            Verdict::Reply(reply) | Verdict::OtherCase(reply) => self.finish(index, job, &reply),
            Verdict::Malformed => self.failed(index, job),
            Verdict::Foreign => {
                job.target().foreign.fetch_add(1, Ordering::Relaxed);
                self.close(place);
                self.failed(index, job);
            }
        }
    }

    /// Let the time run of a connection that nobody uses.
    fn rest(&mut self, place: u32, generation: u32) {
        let Some(stream) = self.streams.get(place) else { return };
        if !stream.waiting.is_empty() {
            return;
        }
        if stream.is_suspect {
            return self.close(place);
        }
        stream.idle_since = Instant::now();
        if !stream.is_timed {
            stream.is_timed = true;
            let until = stream.idle_since + stream.expire;
            self.timers.push(Reverse((until, Due::Stream(place, generation))));
        }
    }

    pub(super) fn stream_is_due(&mut self, place: u32, generation: u32, now: Instant) {
        if !self.streams.is_of(place, generation) {
            return;
        }
        let Some(stream) = self.streams.get(place) else { return };
        stream.is_timed = false;
        if !stream.waiting.is_empty() {
            return;
        }
        let until = stream.idle_since + stream.expire;
        if until <= now {
            return self.close(place);
        }
        stream.is_timed = true;
        self.timers.push(Reverse((until, Due::Stream(place, generation))));
    }

    /// A reply did not come in time.
    pub(super) fn stream_is_late(&mut self, place: u32, id: u16) {
        let Some(stream) = self.streams.get(place) else { return };
        stream.waiting.remove(&id);
        stream.is_suspect = true;
        if stream.waiting.is_empty() {
            self.streams.remove(place);
        }
    }

    /// What was under way on it is asked once more, elsewhere.
    fn close(&mut self, place: u32) {
        let Some(stream) = self.streams.remove(place) else { return };
        for index in stream.waiting.into_values() {
            let Some(mut job) = self.jobs.take(index) else { continue };
            job.link = Link::None;
            if !stream.is_used || job.reconnected || job.is_probe() {
                self.failed(index, job);
                continue;
            }
            job.reconnected = true;
            if let Err(job) = self.ask(index, job, Instant::now()) {
                self.failed(index, job);
            }
        }
    }
}
