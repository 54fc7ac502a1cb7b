//! The primary's side: what a peer asks, and the messages that answer it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};
use crate::tsig::{Key, Keys, Rejected, Session, rejection};
use crate::xfr::message::{
    self, CLASS_IN, Message, Parsed, bits, count_up, opcode, rcode, serial_cmp, soa_serial,
};
use crate::xfr::packer::Packer;
use crate::zone::{Diff, Node, Record, Zone};

/// The empty OPT record that answers one (RFC 6891 section 6.1.1): 1232 octets over UDP.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Soa,
    Axfr,
    Ixfr,
    Notify,
}

impl Kind {
    pub fn text(self) -> &'static str {
        match self {
            Self::Soa => "soa",
            Self::Axfr => "axfr",
            Self::Ixfr => "ixfr",
            Self::Notify => "notify",
        }
    }
}

/// A query that was understood, and whose signature, if it had one, is right.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: Kind,
    /// Lower-cased.
    pub origin: Name,
    /// IXFR: the version that the peer has. NOTIFY: the one announced, if it says.
    pub serial: Option<u32>,
    id: u16,
    recursion_desired: bool,
    question: Name,
    edns: bool,
    session: Option<Session>,
}

impl Request {
    pub fn key(&self) -> Option<&Key> {
        self.session.as_ref().map(|session| &**session.key())
    }

    fn qtype(&self) -> u16 {
        match self.kind {
            Kind::Soa | Kind::Notify => rtype::SOA,
            Kind::Axfr => rtype::AXFR,
            Kind::Ixfr => rtype::IXFR,
        }
    }

    fn begin(&self, code: u8, with_question: bool) -> Vec<u8> {
        let operation = if self.kind == Kind::Notify { opcode::NOTIFY } else { opcode::QUERY };
        let authoritative = if code == rcode::NOERROR { bits::AA } else { 0 };
        let recursion = if self.recursion_desired { bits::RD } else { 0 };
        let flags =
            bits::QR | authoritative | recursion | u16::from(operation) << 11 | u16::from(code);
        message::begin(self.id, flags, with_question.then(|| (&*self.question, self.qtype())))
    }

    fn bare(&self, code: u8, now: u64) -> Vec<u8> {
        let mut wire = self.begin(code, true);
        if self.edns {
            wire.extend_from_slice(&OPT);
            count_up(&mut wire, 3, 1);
        }
        if let Some(session) = &self.session {
            session.clone().sign(&mut wire, now);
        }
        wire
    }

    /// A reply of nothing but an RCODE.
    pub fn refuse(&self, code: u8, now: u64) -> Vec<u8> {
        self.bare(code, now)
    }

    /// RFC 1996 section 4.7: the reply to a NOTIFY.
    pub fn acknowledge(&self, now: u64) -> Vec<u8> {
        self.bare(rcode::NOERROR, now)
    }
}

/// What a peer may be known by.
#[derive(Clone, Debug, Default)]
pub struct Server {
    keys: Keys,
}

impl Server {
    pub fn new(keys: Vec<Arc<Key>>) -> Self {
        Self { keys: Keys::new(keys) }
    }

    /// Understand a query. What can't be is "malformed" or "tsig", with the reply to send.
    pub fn parse(&self, wire: &[u8], now: u64) -> std::result::Result<Request, Rejected> {
        let silent = |error| Rejected { error, reply: None };
        let message = Message::header(wire).map_err(silent)?;
        if message.is_response() {
            return Err(silent(Error::new("malformed", "a response where a query was due")));
        }
        let parsed = message.parse().map_err(|error| Rejected {
            error,
            reply: Some(header_only(message, rcode::FORMERR)),
        })?;
        let session = self.keys.open(&parsed, now)?;
        read(&parsed, session.clone()).map_err(|(error, code)| {
            let mut reply = rejection(&parsed, code);
            if let Some(mut session) = session {
                session.sign(&mut reply, now);
            }
            Rejected { error, reply: Some(reply) }
        })
    }
}

fn header_only(message: Message<'_>, code: u8) -> Vec<u8> {
    let flags = bits::QR | message.flags & (15 << 11 | bits::RD) | u16::from(code);
    message::begin(message.id, flags, None)
}

fn read(
    parsed: &Parsed<'_>,
    session: Option<Session>,
) -> std::result::Result<Request, (Error, u8)> {
    let wrong = |code: u8, what: String| (Error::new("malformed", what), code);
    let form = |what: &str| wrong(rcode::FORMERR, what.to_owned());
    let message = parsed.message;
    let [question] = &parsed.questions[..] else { return Err(form("not one question")) };
    if question.qclass != CLASS_IN {
        let class = question.qclass;
        return Err(wrong(rcode::REFUSED, format!("class {class}: only IN is served")));
    }
    let origin = question.name.to_lower();
    let kind = match (message.opcode(), question.qtype) {
        (opcode::QUERY, rtype::SOA) => Kind::Soa,
        (opcode::QUERY, rtype::AXFR) => Kind::Axfr,
        (opcode::QUERY, rtype::IXFR) => Kind::Ixfr,
        (opcode::NOTIFY, rtype::SOA) => Kind::Notify,
        (opcode::QUERY | opcode::NOTIFY, qtype) => {
            let what = rdata::type_name(qtype);
            return Err(wrong(rcode::REFUSED, format!("type {what}: only transfers go here")));
        }
        (other, _) => return Err(wrong(rcode::NOTIMP, format!("opcode {other}"))),
    };
    let serial = match kind {
        // RFC 1995 section 3: the authority section holds the SOA of the client's version.
        Kind::Ixfr => {
            let [place] = &parsed.authority[..] else {
                return Err(form("an IXFR query without the one SOA that says its version"));
            };
            Some(soa(parsed, place, &origin).map_err(|error| (error, rcode::FORMERR))?)
        }
        // RFC 1996 section 3.7: a hint that may be missing.
        Kind::Notify => parsed.answers.first().and_then(|p| soa(parsed, p, &origin).ok()),
        Kind::Soa | Kind::Axfr => None,
    };
    Ok(Request {
        kind,
        origin,
        serial,
        id: message.id,
        recursion_desired: message.flags & bits::RD != 0,
        question: question.name.clone(),
        edns: parsed.has_opt(),
        session,
    })
}

fn soa(parsed: &Parsed<'_>, place: &message::Place, origin: &NameRef) -> Result<u32> {
    let wrong = || Error::new("malformed", "not an SOA record of the zone in question");
    if place.rtype != rtype::SOA || place.class != CLASS_IN || !parsed.owner(place)?.same(origin) {
        return Err(wrong());
    }
    soa_serial(&parsed.rdata(place)?).ok_or_else(wrong)
}

/// The messages that answer a request, made one at a time. Holds the version it tells of.
pub struct Answer {
    request: Request,
    session: Option<Session>,
    zone: Arc<Zone>,
    steps: VecDeque<Step>,
    /// Records of the step under way that are not in a message yet.
    waiting: VecDeque<Record>,
    first: bool,
    now: u64,
}

enum Step {
    Soa,
    /// All nodes behind this one, or from the first; then those of NSEC3.
    Nodes {
        behind: Option<Name>,
        hashed: bool,
    },
    Difference(Arc<Diff>),
}

impl Answer {
    /// The SOA, the whole zone, or the differences since the request's serial when `history`
    /// leads from it to `zone`. Raises "transfer" for a NOTIFY, or a zone without an SOA.
    pub fn new(
        request: Request,
        zone: Arc<Zone>,
        history: Option<Vec<Arc<Diff>>>,
        now: u64,
    ) -> Result<Self> {
        if request.kind == Kind::Notify {
            let why = "a NOTIFY is acknowledged, not answered";
            return Err(Error::at("transfer", &request.origin, why));
        }
        if zone.soa().is_none() || *request.origin != *zone.origin() {
            let why = format!("the zone {} can't answer for it", zone.origin());
            return Err(Error::at("transfer", &request.origin, why));
        }
        let steps = plan(&request, &zone, history);
        let session = request.session.clone();
        Ok(Self { request, session, zone, steps, waiting: VecDeque::new(), first: true, now })
    }

    /// The next message, signed when the request was; None behind the last.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>> {
        if self.waiting.is_empty() && !self.refill() {
            return Ok(None);
        }
        let question = std::mem::replace(&mut self.first, false);
        let wire = self.request.begin(rcode::NOERROR, question);
        let edns = question && self.request.edns;
        let room = self.session.as_ref().map_or(0, |session| session.key().room());
        let reserve = room + if edns { OPT.len() } else { 0 };
        let name = question.then_some(&*self.request.question);
        let mut packer = Packer::new(wire, name, reserve);
        loop {
            let Some(record) = self.waiting.front() else {
                if self.refill() {
                    continue;
                }
                break;
            };
            if packer.push(&record.owner, record.rtype, record.ttl, &record.rdata) {
                self.waiting.pop_front();
            } else if packer.is_empty() {
                let what = rdata::type_name(record.rtype);
                let why = format!("a {what} record is too large for any message");
                return Err(Error::at("transfer", &record.owner, why));
            } else {
                break;
            }
        }
        let mut wire = packer.finish();
        if edns {
            wire.extend_from_slice(&OPT);
            count_up(&mut wire, 3, 1);
        }
        if let Some(session) = &mut self.session {
            session.sign(&mut wire, self.now);
        }
        Ok(Some(wire))
    }

    /// Put records into `waiting`; false when there are none left.
    fn refill(&mut self) -> bool {
        while let Some(step) = self.steps.front_mut() {
            match step {
                Step::Soa => {
                    self.waiting.extend(soa_record(&self.zone));
                    self.steps.pop_front();
                }
                Step::Difference(diff) => {
                    self.waiting.extend(diff.removed.iter().chain(&diff.added).cloned());
                    self.steps.pop_front();
                }
                Step::Nodes { behind, hashed } => {
                    match take_nodes(&self.zone, behind.as_deref(), *hashed, &mut self.waiting) {
                        Some(last) => *behind = Some(last),
                        None if *hashed => drop(self.steps.pop_front()),
                        None => (*behind, *hashed) = (None, true),
                    }
                }
            }
            if !self.waiting.is_empty() {
                return true;
            }
        }
        false
    }
}

/// Nodes that are taken at a time: one search of the order for each.
const BATCH: usize = 64;

fn take_nodes(
    zone: &Zone,
    behind: Option<&NameRef>,
    hashed: bool,
    into: &mut VecDeque<Record>,
) -> Option<Name> {
    let nodes: Vec<&Node> = match (behind, hashed) {
        (None, false) => zone.nodes().take(BATCH).collect(),
        (Some(name), false) => zone.forwards_after(name).take(BATCH).collect(),
        (None, true) => zone.nsec3_nodes().take(BATCH).collect(),
        (Some(name), true) => zone.nsec3_forwards_after(name).take(BATCH).collect(),
    };
    for node in &nodes {
        let records = node.records().into_iter();
        into.extend(records.filter(|record| record.rtype != rtype::SOA));
    }
    nodes.last().map(|node| node.name().to_owned())
}

fn soa_record(zone: &Zone) -> Option<Record> {
    let soa = zone.soa()?;
    Some(Record {
        owner: zone.origin().to_owned(),
        rtype: rtype::SOA,
        ttl: soa.ttl,
        rdata: soa.rdatas().next()?.into(),
        ours: soa.ours,
    })
}

fn plan(request: &Request, zone: &Zone, history: Option<Vec<Arc<Diff>>>) -> VecDeque<Step> {
    let whole = || [Step::Soa, Step::Nodes { behind: None, hashed: false }, Step::Soa].into();
    match (request.kind, request.serial) {
        (Kind::Soa | Kind::Notify, _) => [Step::Soa].into(),
        (Kind::Ixfr, Some(serial)) => {
            // RFC 1995 section 2: a client that is up to date, or ahead, gets the SOA alone.
            if serial_cmp(serial, zone.serial()).is_some_and(std::cmp::Ordering::is_ge) {
                return [Step::Soa].into();
            }
            match history.filter(|history| leads(history, serial, zone)) {
                Some(history) => std::iter::once(Step::Soa)
                    .chain(history.into_iter().map(Step::Difference))
                    .chain([Step::Soa])
                    .collect(),
                None => whole(),
            }
        }
        (Kind::Axfr | Kind::Ixfr, _) => whole(),
    }
}

/// Whether the differences chain from `serial` to `zone`, each framed by its two SOA records,
/// and are less than the zone itself.
fn leads(history: &[Arc<Diff>], serial: u32, zone: &Zone) -> bool {
    let framed = |diff: &Arc<Diff>| {
        let starts = |records: &[Record], serial: u32| {
            let soas = records.iter().filter(|record| record.rtype == rtype::SOA).count();
            records.first().is_some_and(|first| {
                first.rtype == rtype::SOA && soa_serial(&first.rdata) == Some(serial) && soas == 1
            })
        };
        starts(&diff.removed, diff.from_serial) && starts(&diff.added, diff.to_serial)
    };
    let records: usize = history.iter().map(|diff| diff.removed.len() + diff.added.len()).sum();
    let chained = history.windows(2).all(|pair| pair[0].to_serial == pair[1].from_serial);
    history.first().is_some_and(|diff| diff.from_serial == serial)
        && history.last().is_some_and(|diff| diff.to_serial == zone.serial())
        && chained
        && history.iter().all(framed)
        && records <= zone.counts().records + 2
}
