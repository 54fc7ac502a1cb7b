//! Copies of queries to another server, whose answers are compared with ours and then forgotten.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use socket2::{Domain, Socket, Type};

use crate::query::Query;
use crate::rdata::rtype;
use crate::server::forward::message::{Asked, Verdict};
use crate::server::forward::random::Random;
use crate::server::reply::Reply;
use crate::server::ring::level;
use crate::server::tap::compare::{Outcome, Summary};
use crate::server::tap::drain::{Drain, Work};
use crate::server::tap::seen::Seen;

/// How long a reply is awaited, and how many are.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: usize = 16_384;
/// Between two attempts to open a socket.
const PAUSE: Duration = Duration::from_secs(1);
/// Replies are read after so many queries at the latest.
const STEP: usize = 32;
const RECEIVE_BUFFER: usize = 4 << 20;

struct Awaited {
    asked: Asked,
    ours: Summary,
    /// Whether this is the one that the queue of times means: IDs come again.
    since: Instant,
}

pub struct Shadow {
    address: SocketAddr,
    socket: Option<UdpSocket>,
    next_attempt: Instant,
    awaited: HashMap<u16, Awaited, RandomState>,
    times: VecDeque<(Instant, u16)>,
    hasher: RandomState,
    random: Random,
    room: Vec<u8>,
    sent: usize,
    /// Whether the log says that there is no socket.
    told: bool,
}

impl Shadow {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            socket: None,
            next_attempt: Instant::now(),
            awaited: HashMap::default(),
            times: VecDeque::new(),
            hasher: RandomState::default(),
            random: Random::default(),
            room: vec![0; 65_535],
            sent: 0,
            told: false,
        }
    }

    fn open(&self) -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(self.address), Type::DGRAM, None)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.address.into())?;
        Ok(socket.into())
    }

    fn listen(&mut self, work: &Work) {
        while let Some(socket) = &self.socket {
            match socket.recv(&mut self.room) {
                Ok(length) => self.heard(length, work),
                // That nobody listens there is told for a query at a time.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        while let Some(&(since, id)) = self.times.front() {
            if since.elapsed() < PATIENCE {
                break;
            }
            self.times.pop_front();
            if self.awaited.get(&id).is_some_and(|one| one.since == since) {
                self.awaited.remove(&id);
                work.compared(Outcome::Silence);
            }
        }
    }

    fn heard(&mut self, length: usize, work: &Work) {
        let wire = &self.room[..length];
        let Some(id) = wire.first_chunk().map(|octets| u16::from_be_bytes(*octets)) else { return };
        let Some(one) = self.awaited.get(&id) else { return };
        let outcome = match one.asked.judge(wire) {
            Verdict::Reply(reply) | Verdict::OtherCase(reply) => {
                let theirs = Summary::of(&reply, &self.hasher);
                theirs.map_or(Outcome::Malformed, |theirs| one.ours.compare(&theirs))
            }
            Verdict::Malformed => Outcome::Malformed,
            Verdict::Foreign => return,
        };
        self.awaited.remove(&id);
        work.compared(outcome);
    }

    /// None where there is nothing to compare: transfers, and replies that nobody can read.
    fn question(&self, seen: &Seen) -> Option<(Asked, Summary)> {
        let query = Query::parse(seen.query()).ok()?;
        let is_whole = !matches!(query.qtype, rtype::AXFR | rtype::IXFR) && !query.has_tsig;
        let ours = Summary::of(&Reply::read(seen.reply())?, &self.hasher)?;
        is_whole.then(|| (Asked::new(&query), ours))
    }

    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.random.word();
            if !self.awaited.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Drain for Shadow {
    fn is_open(&mut self, work: &Work) -> bool {
        if self.socket.is_none() && Instant::now() >= self.next_attempt {
            match self.open() {
                Ok(socket) => {
                    if let Ok(own) = socket.local_addr() {
                        work.counts.set_own(own);
                    }
                    self.socket = Some(socket);
                    work.connected(true);
                    self.told = false;
                }
                Err(error) => {
                    self.next_attempt = Instant::now() + PAUSE;
                    if !std::mem::replace(&mut self.told, true) {
                        let what = format!("{error}; it is tried again every second");
                        work.say(level::ERROR, &what);
                    }
                }
            }
        }
        self.listen(work);
        self.socket.is_some()
    }

    fn take(&mut self, seen: &Seen, work: &Work) {
        self.sent += 1;
        if self.sent % STEP == 0 {
            self.listen(work);
        }
        let Some((mut asked, ours)) = self.question(seen) else { return };
        if self.awaited.len() >= MOST {
            return work.lost(1);
        }
        let id = self.free_id();
        asked.set_id(id);
        let sent = self.socket.as_ref().map(|socket| socket.send(asked.wire()));
        if !matches!(sent, Some(Ok(_))) {
            return work.lost(1);
        }
        work.sent(1);
        let since = Instant::now();
        self.awaited.insert(id, Awaited { asked, ours, since });
        self.times.push_back((since, id));
    }

    fn flush(&mut self, work: &Work) {
        self.listen(work);
    }

    fn finish(&mut self, work: &Work) {
        self.listen(work);
    }
}
