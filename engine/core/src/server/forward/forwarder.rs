//! A query thread's dealings with upstreams: who is asked, over what, for how long, what
//! then. Nothing here waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::answer::ExtendedError;
use crate::query::rcode;
use crate::server::forward::job::{Clients, Job, Jobs, Link};
use crate::server::forward::message::{Asked, Verdict, for_client};
use crate::server::forward::policy::Order;
use crate::server::forward::poller::{self, Poller};
use crate::server::forward::random::Random;
use crate::server::forward::stream::is_not_now;
use crate::server::forward::streams::Streams;
use crate::server::forward::{Pool, TOO_MANY};
use crate::server::hub::Inbox;
use crate::server::parked::Handle;
use crate::server::reply::Reply;

/// How long a query looks for an upstream that answers, and how long it waits for one: as
/// CoreDNS has them.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long a probe waits.
const PROBE: Duration = Duration::from_secs(1);
/// Between two rounds over upstreams of which none could be asked.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Wrong replies to one query before it is asked over TCP, which nobody can forge unseen.
const MOST_FOREIGN: u8 = 3;

/// RFC 8914 section 4.23.
const NO_REACHABLE: ExtendedError = ExtendedError { code: 22, text: "no upstream answered" };

/// What a token of the poller is of: in its highest octet.
pub mod token {
    use crate::server::forward::job::GENERATIONS;

    pub const INBOX: u64 = 0;
    pub const JOB: u64 = 1;
    pub const STREAM: u64 = 2;

    pub fn of(kind: u64, generation: u32, index: u32) -> u64 {
        kind << 56 | u64::from(generation & GENERATIONS) << 32 | u64::from(index)
    }

    /// Kind, generation, index.
    pub fn parts(token: u64) -> (u64, u32, u32) {
        (token >> 56, (token >> 32) as u32 & GENERATIONS, token as u32)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Job(u32, u32),
    Stream(u32, u32),
}

pub struct Forwarder {
    pub(super) poller: Poller,
    inbox: Arc<Inbox>,
    pub(super) jobs: Jobs,
    /// Jobs by what they ask, so that the same is asked once (RFC 5452 section 5).
    asked: HashTable<u32>,
    hasher: RandomState,
    pub(super) streams: Streams,
    pub(super) timers: BinaryHeap<Reverse<(Instant, Due)>>,
    pub(super) random: Random,
    pub(super) room: Vec<u8>,
    arriving: Vec<Handle>,
    ready: Vec<u64>,
    /// Jobs at one time.
    pub(super) most: usize,
}

impl Forwarder {
    /// `most` jobs at one time: each has a socket.
    pub fn new(inbox: Arc<Inbox>, most: usize) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.read(inbox.event(), token::of(token::INBOX, 0, 0))?;
        Ok(Self {
            poller,
            inbox,
            jobs: Jobs::default(),
            asked: HashTable::new(),
            hasher: RandomState::default(),
            streams: Streams::default(),
            timers: BinaryHeap::new(),
            random: Random::default(),
            room: vec![0; 65_535],
            arriving: vec![],
            ready: vec![],
            most,
        })
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> RawFd {
        self.poller.fd()
    }

    /// Whether clients wait.
    pub fn is_busy(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Milliseconds until there is something to do in any case; -1: never.
    pub fn patience(&mut self, now: Instant) -> i32 {
        while let Some(Reverse((at, due))) = self.timers.peek() {
            let still = match *due {
                Due::Job(index, generation) => self.jobs.is_of(index, generation),
                Due::Stream(index, generation) => self.streams.is_of(index, generation),
            };
            if still {
                let wait = at.saturating_duration_since(now).as_micros().div_ceil(1000);
                return wait.min(60_000) as i32;
            }
            self.timers.pop();
        }
        -1
    }

    /// Do all that can be done now. `is_ready`: the descriptor was readable.
    pub fn turn(&mut self, is_ready: bool) {
        self.take_in();
        if is_ready {
            let mut ready = std::mem::take(&mut self.ready);
            self.poller.ready(&mut ready);
            for token in ready.drain(..) {
                match token::parts(token) {
                    (token::INBOX, ..) => self.inbox.clear(),
                    (token::JOB, generation, index) => self.heard(index, generation),
                    (_, generation, index) => self.stream_moved(index, generation),
                }
            }
            self.ready = ready;
        }
        let now = Instant::now();
        while let Some(&Reverse((at, due))) = self.timers.peek() {
            if at > now {
                break;
            }
            self.timers.pop();
            match due {
                Due::Job(index, generation) => self.job_is_due(index, generation),
                Due::Stream(index, generation) => self.stream_is_due(index, generation, now),
            }
        }
        self.take_in();
    }

    fn take_in(&mut self) {
        let mut arriving = std::mem::take(&mut self.arriving);
        loop {
            self.inbox.empty_into(&mut arriving);
            if arriving.is_empty() {
                break;
            }
            arriving.drain(..).for_each(|handle| self.arrive(handle));
        }
        self.arriving = arriving;
    }

    fn arrive(&mut self, handle: Handle) {
        let Some(pool) = handle.0.forward().map(|forward| forward.pool.clone()) else { return };
        let Some(ticket) = pool.ticket() else {
            pool.counts.rejected.fetch_add(1, Ordering::Relaxed);
            return handle.0.refuse(rcode::REFUSED, None, TOO_MANY);
        };
        let Some(query) = handle.0.query() else { return };
        let asked = Asked::new(&query);
        let by_stream = pool.force_tcp || handle.0.peer().stream && !pool.prefer_udp;
        let now = Instant::now();
        let hash = hash_of(&self.hasher, &pool, asked.essence());
        let found = self.asked.find(hash, |&index| {
            self.jobs.get(index).is_some_and(|job| {
                Arc::ptr_eq(&job.pool, &pool)
                    && now - job.began < ATTEMPT
                    && job.asked.is_same(&asked)
            })
        });
        if let Some(job) = found.copied().and_then(|index| self.jobs.get_mut(index)) {
            job.clients.push((handle, ticket));
            return;
        }
        if self.jobs.len() >= self.most {
            let reason = "more queries wait for upstreams than there can be sockets";
            return handle.0.refuse(rcode::SERVFAIL, None, reason);
        }
        let turn = pool.turn.fetch_add(1, Ordering::Relaxed);
        let order = Order::new(pool.policy, pool.upstreams.len(), turn, &mut self.random);
        let index = self.jobs.reserve(hash);
        let jobs = &self.jobs;
        self.asked.insert_unique(hash, index, |&index| jobs.hash(index));
        let job = Job::new(vec![(handle, ticket)], pool, asked, order, by_stream, now);
        self.attempt(index, job);
    }

    /// Ask the next upstream; as CoreDNS does it.
    pub(super) fn attempt(&mut self, index: u32, mut job: Box<Job>) {
        let pool = job.pool.clone();
        loop {
            let now = Instant::now();
            let is_enough = pool.max_attempts > 0 && job.attempts >= pool.max_attempts;
            if is_enough || now - job.began >= PATIENCE {
                return self.give_up(index, job.clients);
            }
            if job.tried >= job.order.count() {
                (job.tried, job.down) = (0, 0);
                // Where they fail at once, the round would have no end.
                if now - job.attempt_began < PAUSE {
                    job.link = Link::None;
                    job.attempt_began = now;
                    self.wait(index, job, now + PAUSE);
                    return;
                }
            }
            job.upstream = job.order.at(job.tried);
            job.tried += 1;
            if job.target().is_down(pool.max_fails) {
                job.down += 1;
                if job.down < job.order.count() {
                    continue;
                }
                pool.counts.broken.fetch_add(1, Ordering::Relaxed);
                if pool.fails_fast {
                    return self.give_up(index, job.clients);
                }
                // The probes may be what is broken.
                job.upstream = self.random.below(job.order.count());
            }
            job.attempts += 1;
            (job.reconnected, job.foreign) = (false, 0);
            match self.ask(index, job, now) {
                Ok(()) => return,
                Err(back) => {
                    job = back;
                    self.probe(&job);
                }
            }
        }
    }

    /// Put the question to the job's upstream. The job comes back when that is not possible.
    pub(super) fn ask(
        &mut self,
        index: u32,
        mut job: Box<Job>,
        now: Instant,
    ) -> Result<(), Box<Job>> {
        job.attempt_began = now;
        if job.by_stream {
            return self.ask_by_stream(index, job, now);
        }
        let address = job.target().address;
        let Ok(socket) = poller::datagrams(address, &mut self.random) else { return Err(job) };
        job.asked.set_id(self.random.word());
        job.asked.mix_case(&mut self.random);
        if socket.send(job.asked.wire()).is_err() {
            return Err(job);
        }
        let fd = socket.as_raw_fd();
        job.link = Link::Datagrams(socket);
        let patience = if job.is_probe() { PROBE } else { ATTEMPT };
        let generation = self.wait(index, job, now + patience);
        if self.poller.read(fd, token::of(token::JOB, generation, index)).is_err() {
            return self.jobs.take(index).map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Put it where it is found when the time is over.
    pub(super) fn wait(&mut self, index: u32, job: Box<Job>, until: Instant) -> u32 {
        let generation = self.jobs.next_generation(index);
        self.jobs.put(index, job);
        self.timers.push(Reverse((until, Due::Job(index, generation))));
        generation
    }

    pub(super) fn patience_of(job: &Job) -> Duration {
        if job.is_probe() { PROBE } else { ATTEMPT }
    }

    /// Something came to a job's socket.
    fn heard(&mut self, index: u32, generation: u32) {
        let Some(mut job) = self.jobs.take_of(index, generation) else { return };
        let mut room = std::mem::take(&mut self.room);
        while let Link::Datagrams(socket) = &job.link {
            let length = match socket.recv(&mut room) {
                Ok(length) => length,
                Err(error) if is_not_now(&error) => {
                    self.jobs.put(index, job);
                    break;
                }
                Err(_) => {
                    self.failed(index, job);
                    break;
                }
            };
            let wire = &room[..length];
            if job.is_probe() {
                // Whatever it says, it is there.
                if wire.get(..2) == job.asked.wire().get(..2) {
                    self.probe_answered(index, job);
                    break;
                }
                continue;
            }
            match job.asked.judge(wire) {
                Verdict::Reply(reply) if !reply.is_truncated() => {
                    self.finish(index, job, &reply);
                    break;
                }
                Verdict::Malformed => {
                    self.failed(index, job);
                    break;
                }
                Verdict::Foreign => {
                    job.target().foreign.fetch_add(1, Ordering::Relaxed);
                    job.foreign += 1;
                    if job.foreign < MOST_FOREIGN {
                        continue;
                    }
                }
                Verdict::Reply(_) | Verdict::OtherCase(_) => {}
            }
            job.by_stream = true;
            if let Err(job) = self.ask(index, job, Instant::now()) {
                self.failed(index, job);
            }
            break;
        }
        self.room = room;
    }

    /// A reply that is one.
    pub(super) fn finish(&mut self, index: u32, mut job: Box<Job>, reply: &Reply<'_>) {
        job.tell(Some(reply.wire()));
        let code = reply.rcode();
        job.target().took(code, job.attempt_began.elapsed());
        if job.pool.failover.contains(&code) && job.failovers + 1 < job.order.count() {
            job.failovers += 1;
            return self.again(index, job);
        }
        self.forget(index);
        let goes_on = job.pool.next.contains(&code);
        for (handle, ticket) in job.clients {
            drop(ticket);
            let Some(query) = handle.0.query() else { continue };
            if goes_on && handle.0.is_followed_by_forward(&query) {
                handle.0.go_on();
            } else {
                handle.0.reply(&for_client(reply, &query));
            }
        }
    }

    /// The upstream that was asked did not answer.
    pub(super) fn failed(&mut self, index: u32, mut job: Box<Job>) {
        if job.is_probe() {
            return self.probe_failed(index, job);
        }
        job.tell(None);
        job.link = Link::None;
        self.probe(&job);
        self.again(index, job);
    }

    /// On to the next one, by what the client came by.
    fn again(&mut self, index: u32, mut job: Box<Job>) {
        job.link = Link::None;
        let came_by_stream = job.clients.first().is_some_and(|(handle, _)| handle.0.peer().stream);
        job.by_stream = job.pool.force_tcp || came_by_stream && !job.pool.prefer_udp;
        self.attempt(index, job);
    }

    fn give_up(&mut self, index: u32, clients: Clients) {
        self.forget(index);
        for (handle, ticket) in clients {
            drop(ticket);
            handle.0.refuse(rcode::SERVFAIL, Some(NO_REACHABLE), NO_REACHABLE.text);
        }
    }

    fn forget(&mut self, index: u32) {
        let hash = self.jobs.hash(index);
        if let Ok(entry) = self.asked.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
        self.jobs.release(index);
    }

    fn job_is_due(&mut self, index: u32, generation: u32) {
        let Some(job) = self.jobs.take_of(index, generation) else { return };
        match job.link {
            Link::None if job.is_probe() => self.send_probe(index, job),
            Link::None => self.attempt(index, job),
            Link::Stream { index: stream, id } => {
                self.stream_is_late(stream, id);
                self.failed(index, job);
            }
            Link::Datagrams(_) => self.failed(index, job),
        }
    }
}

fn hash_of(hasher: &RandomState, pool: &Arc<Pool>, essence: &[u8]) -> u64 {
    hasher.hash_one((Arc::as_ptr(pool) as usize, essence))
}
