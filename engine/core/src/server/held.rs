//! Where a query stopped, what it is held with, and who waits for its reply.

use std::sync::Arc;

use crate::server::chain::{Clock, Peer};
use crate::server::parked::Parked;
use crate::server::routes::Route;
use crate::server::rules::alias::Alias;
use crate::server::stages::Python;

/// Where a query stopped.
pub struct Stop {
    pub stage: usize,
    /// What the stage has found, whose answer is another name's.
    pub alias: Option<Box<Alias>>,
    /// What is asked there in place of what came, and the stage that put it there; where
    /// several did, the last one first.
    pub instead: Vec<(usize, Box<[u8]>)>,
}

impl Stop {
    pub fn at(stage: usize, alias: Option<Box<Alias>>) -> Self {
        Self { stage, alias, instead: vec![] }
    }
}

/// Sends a reply to the client it belongs to.
pub trait Respond: Send {
    fn respond(self: Box<Self>, reply: &[u8]);
}

/// Who waits for the reply of a parked query.
pub enum Back {
    Client(Box<dyn Respond>),
    /// An earlier Python stage, which the query went on from.
    Outer(Arc<Parked>),
    /// The stage with this index, which wants to see the reply go by.
    Stage(usize),
    /// A query that an alias was found for, whose target is asked for by this one.
    Alias(Arc<Parked>, Box<Alias>),
    /// Whoever asked what a stage put this query in place of.
    Asked(Box<Asked>),
}

/// A query for which the stage with this index put another in place.
pub struct Asked {
    pub packet: Box<[u8]>,
    pub stage: usize,
    pub back: Back,
}

/// A query, and the stage that it stopped at.
pub struct Held {
    pub packet: Box<[u8]>,
    pub peer: Peer,
    pub clock: Clock,
    pub route: Arc<Route>,
    pub stage: usize,
    pub back: Back,
    /// What the stage has found, whose answer is another name's.
    pub alias: Option<Box<Alias>>,
}

/// The query that stopped, of the one that came, and who waits for its reply.
fn unfolded(instead: Vec<(usize, Box<[u8]>)>, came: &[u8], mut back: Back) -> (Box<[u8]>, Back) {
    let mut packet = came.into();
    for (stage, instead) in instead.into_iter().rev() {
        let asked = std::mem::replace(&mut packet, instead);
        back = Back::Asked(Box::new(Asked { packet: asked, stage, back }));
    }
    (packet, back)
}

impl Held {
    /// A query that stopped on its way.
    pub fn new(
        came: &[u8],
        peer: Peer,
        clock: Clock,
        route: Arc<Route>,
        stop: Stop,
        back: Back,
    ) -> Self {
        let Stop { stage, alias, instead } = stop;
        let (packet, back) = unfolded(instead, came, back);
        Self { packet, peer, clock, route, stage, back, alias }
    }

    /// For the stage that it stopped at, which alone waits for a reply.
    pub fn for_stage(came: &[u8], peer: Peer, clock: Clock, route: Arc<Route>, stop: Stop) -> Self {
        let stage = stop.stage;
        let held = Self::new(came, peer, clock, route, stop, Back::Stage(stage));
        Self { back: Back::Stage(stage), ..held }
    }

    pub fn python(&self) -> Option<&Python> {
        self.route.chain.stages.get(self.stage)?.python()
    }
}
