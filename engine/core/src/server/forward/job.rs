//! A question on its way to upstreams, and the places where such jobs are kept.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use crate::server::forward::forwarder::PAUSE;
use crate::server::forward::message::Asked;
use crate::server::forward::policy::Order;
use crate::server::forward::upstream::{Probing, Upstream};
use crate::server::forward::{Pool, Ticket};
use crate::server::parked::Handle;
use crate::server::tap::Forwarded;

/// Whoever waits for the reply; all of them asked the same. Let go of, they get SERVFAIL.
pub type Clients = Vec<(Handle, Ticket)>;

/// Over what a job waits for its reply.
pub enum Link {
    /// It waits for a time, not for a reply.
    None,
    Datagrams(UdpSocket),
    Stream {
        index: u32,
        id: u16,
    },
}

pub struct Job {
    /// Empty for a probe of an upstream's health.
    pub clients: Clients,
    pub pool: Arc<Pool>,
    pub asked: Asked,
    pub order: Order,
    /// How many of the order were had, how many of these were down.
    pub tried: usize,
    pub down: usize,
    pub attempts: u32,
    /// Replies that sent it to the next upstream.
    pub failovers: usize,
    pub began: Instant,
    pub attempt_began: Instant,
    /// Index into the pool's.
    pub upstream: usize,
    pub by_stream: bool,
    /// Messages from somebody who did not know what was asked, in this attempt.
    pub foreign: u8,
    /// A connection that had been open for long was found closed.
    pub reconnected: bool,
    pub link: Link,
    pub probing: Option<Probing>,
}

impl Job {
    pub fn new(
        clients: Clients,
        pool: Arc<Pool>,
        asked: Asked,
        order: Order,
        by_stream: bool,
        now: Instant,
    ) -> Box<Self> {
        Box::new(Self {
            clients,
            pool,
            asked,
            order,
            tried: 0,
            down: 0,
            attempts: 0,
            failovers: 0,
            began: now,
            attempt_began: now - PAUSE,
            upstream: 0,
            by_stream,
            foreign: 0,
            reconnected: false,
            link: Link::None,
            probing: None,
        })
    }

    pub fn is_probe(&self) -> bool {
        self.probing.is_some()
    }

    /// For those who follow what upstreams are asked.
    pub fn tell(&self, reply: Option<&[u8]>) {
        let Some((handle, _)) = self.clients.first() else { return };
        for tap in handle.0.followers() {
            tap.forwarded(&Forwarded {
                client: Some(handle.0.peer().client),
                upstream: self.target().address,
                stream: self.by_stream,
                since: self.attempt_began,
                query: self.asked.wire(),
                reply,
            });
        }
    }

    pub fn target(&self) -> &Arc<Upstream> {
        &self.pool.upstreams[self.upstream % self.pool.upstreams.len()]
    }
}

#[derive(Default)]
struct Place {
    /// Changes whenever what it waits for does: what was meant for earlier is passed over.
    generation: u32,
    hash: u64,
    job: Option<Box<Job>>,
}

/// Jobs under indices that stay theirs.
#[derive(Default)]
pub struct Jobs {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Jobs {
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// A place for a job that is to be put there.
    pub fn reserve(&mut self, hash: u64) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        self.places[index as usize].hash = hash;
        index
    }

    /// Back to its place, in a new generation, which is given.
    pub fn put(&mut self, index: u32, job: Box<Job>) -> u32 {
        let place = &mut self.places[index as usize];
        place.job = Some(job);
        place.generation
    }

    /// What was awaited is over.
    pub fn next_generation(&mut self, index: u32) -> u32 {
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1) & GENERATIONS;
        place.generation
    }

    pub fn take(&mut self, index: u32) -> Option<Box<Job>> {
        self.places.get_mut(index as usize)?.job.take()
    }

    /// If it is still what it was.
    pub fn take_of(&mut self, index: u32, generation: u32) -> Option<Box<Job>> {
        self.is_of(index, generation).then(|| self.take(index))?
    }

    pub fn is_of(&self, index: u32, generation: u32) -> bool {
        let place = self.places.get(index as usize);
        place.is_some_and(|place| place.generation == generation && place.job.is_some())
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut Job> {
        self.places.get_mut(index as usize)?.job.as_deref_mut()
    }

    pub fn get(&self, index: u32) -> Option<&Job> {
        self.places.get(index as usize)?.job.as_deref()
    }

    pub fn hash(&self, index: u32) -> u64 {
        self.places.get(index as usize).map_or(0, |place| place.hash)
    }

    /// Its job was taken and is over.
    pub fn release(&mut self, index: u32) {
        self.next_generation(index);
        self.free.push(index);
    }
}

/// Generations and indices share a token of 64 bits with what kind it is.
pub const GENERATIONS: u32 = 0x00ff_ffff;
