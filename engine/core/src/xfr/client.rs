//! The secondary's side: a request, and the messages that answer it, checked one by one.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};
use crate::tsig::{self, Key, Refused, Session};
use crate::xfr::message::{
    self, CLASS_IN, Message, Parsed, Place, bits, opcode, rcode, rcode_name, serial_cmp, soa_serial,
};
use crate::xfr::notify::push_soa;
use crate::zone::{Builder, Diff, Record, Zone};

/// Octets of memory that a transfer may come to take: far above any zone that is signed
/// here, far below what a machine has.
pub const DEFAULT_LIMIT: usize = 8 << 30;
/// Differences that one answer may hold: each costs a look at the zone's list of pages.
const MOST_DIFFERENCES: usize = 100_000;
/// What a record takes beside its owner and rdata.
const OVERHEAD: usize = 64;

/// One transfer in. Nothing of it is to be had before all of it was checked.
pub struct Client {
    origin: Name,
    base: Option<Arc<Zone>>,
    session: Option<Session>,
    limit: usize,
    held: usize,
    id: Option<u16>,
    messages: u64,
    state: State,
}

enum State {
    /// Not even the first SOA has come.
    Waiting,
    /// The first SOA has come, and says nothing yet of what follows.
    Begun(Soa),
    Whole {
        first: Soa,
        builder: Box<Builder>,
    },
    Steps {
        first: Soa,
        done: Vec<Diff>,
        part: Part,
    },
    Done(Outcome),
    Failed,
}

/// RFC 1995 section 4: each difference is an SOA, what is removed, an SOA, what is added.
enum Part {
    Removing(Diff),
    Adding(Diff),
}

enum Outcome {
    UpToDate,
    Whole(Arc<Zone>),
    Steps(Arc<Zone>, Vec<Arc<Diff>>),
}

/// The SOA that an answer starts and ends with.
#[derive(Clone)]
struct Soa {
    serial: u32,
    ttl: u32,
    rdata: Box<[u8]>,
}

impl Client {
    /// `limit`: octets of memory that the records may take.
    pub fn new(
        origin: &NameRef,
        base: Option<Arc<Zone>>,
        key: Option<Arc<Key>>,
        limit: usize,
    ) -> Result<Self> {
        let origin = origin.to_lower();
        if let Some(base) = &base
            && *base.origin() != *origin
        {
            let why = format!("the version at hand is one of the zone {}", base.origin());
            return Err(Error::at("transfer", &origin, why));
        }
        let base = base.filter(|base| base.soa().is_some());
        Ok(Self {
            origin,
            base,
            session: key.map(Session::new),
            limit,
            held: 0,
            id: None,
            messages: 0,
            state: State::Waiting,
        })
    }

    fn qtype(&self) -> u16 {
        if self.base.is_some() { rtype::IXFR } else { rtype::AXFR }
    }

    /// The query to send: IXFR when there is a version at hand, else AXFR. Raises "transfer"
    /// when it was asked for before.
    pub fn request(&mut self, id: u16, now: u64) -> Result<Vec<u8>> {
        if self.id.is_some() {
            return Err(self.error("this transfer's request was made before"));
        }
        self.id = Some(id);
        let mut wire = message::begin(id, 0, Some((&*self.origin, self.qtype())));
        if let Some(base) = &self.base {
            push_soa(&mut wire, base.serial());
            message::count_up(&mut wire, 2, 1);
        }
        if let Some(session) = &mut self.session {
            session.sign(&mut wire, now);
        }
        Ok(wire)
    }

    fn error(&self, what: impl Into<String>) -> Error {
        Error::at("transfer", &self.origin, what)
    }

    /// Take the next message; true when the transfer is complete. Raises "difference" when an
    /// IXFR does not fit the version at hand, "transfer" on anything else that is not right;
    /// and from then on always.
    pub fn feed(&mut self, wire: &[u8], now: u64) -> Result<bool> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        match state {
            State::Failed => return Err(self.error("this transfer has failed before")),
            State::Done(_) => return Err(self.error("a message behind the transfer's end")),
            _ => {}
        }
        self.state = self
            .take_message(state, wire, now)
            .map_err(|error| match error.code {
                "difference" => error,
                _ => Error { code: "transfer", ..error },
            })
            .map_err(|error| match error.place {
                Some(_) => error,
                None => self.error(error.message),
            })?;
        Ok(matches!(self.state, State::Done(_)))
    }

    fn take_message(&mut self, state: State, wire: &[u8], now: u64) -> Result<State> {
        let Some(id) = self.id else { return Err(self.error("no request was made")) };
        let parsed = Message::header(wire)?.parse()?;
        let message = parsed.message;
        if message.id != id || !message.is_response() || message.opcode() != opcode::QUERY {
            return Err(self.error("not a response to the query that was sent"));
        }
        self.check_signature(&parsed, now)?;
        if message.rcode() != rcode::NOERROR {
            let name = rcode_name(message.rcode());
            return Err(self.error(format!("the primary answers {name}")));
        }
        if message.flags & bits::TC != 0 {
            return Err(self.error("a truncated message, which a transfer can't use"));
        }
        self.check_question(&parsed)?;
        self.messages += 1;
        if parsed.answers.is_empty() {
            return Err(self.error("a message without records"));
        }
        let mut state = state;
        for place in &parsed.answers {
            let record = self.read(&parsed, place)?;
            state = self.take_record(state, record)?;
        }
        self.close_message(state, parsed.answers.len() == 1)
    }

    fn check_signature(&mut self, parsed: &Parsed<'_>, now: u64) -> Result<()> {
        let record = tsig::Record::find(parsed)?;
        let Some(session) = &mut self.session else {
            return match record {
                None => Ok(()),
                Some(_) => Err(self.error("signed by TSIG, though the request was not")),
            };
        };
        let name = session.key().name().to_owned();
        let told = record.as_ref().filter(|record| record.error != 0 && record.mac.is_empty());
        if let Some(record) = told {
            let what = match record.error {
                tsig::errors::BADKEY => "BADKEY: it does not know the key, or not so",
                tsig::errors::BADSIG => "BADSIG: the secrets differ",
                tsig::errors::BADTIME => "BADTIME: the clocks differ",
                _ => "an error in our TSIG",
            };
            return Err(Error::at("transfer", name, format!("the primary answers {what}")));
        }
        let outcome = match &record {
            Some(record) => session.verify(parsed.message, record, now),
            None => session.take_unsigned(parsed.message),
        };
        outcome.map_err(|refused| match (refused, &record) {
            (_, None) => {
                let why = "an answer without the TSIG that the request asked for";
                Error::at("transfer", &name, why)
            }
            (Refused::BadTime(_), Some(record)) if record.error == tsig::errors::BADTIME => {
                let why = "the primary answers BADTIME: the clocks differ";
                Error::at("transfer", &name, why)
            }
            (refused, Some(_)) => refused.error(&name),
        })?;
        match record {
            Some(record) if record.error == tsig::errors::BADTIME => {
                let why = "the primary answers BADTIME: the clocks differ";
                Err(Error::at("transfer", name, why))
            }
            _ => Ok(()),
        }
    }

    /// RFC 5936 section 2.2.1: the first message repeats the question, others may.
    fn check_question(&self, parsed: &Parsed<'_>) -> Result<()> {
        let right = match &parsed.questions[..] {
            [] => self.messages > 0,
            [question] => {
                question.name.same(&self.origin)
                    && question.qtype == self.qtype()
                    && question.qclass == CLASS_IN
            }
            _ => false,
        };
        if right { Ok(()) } else { Err(self.error("an answer to another question")) }
    }

    fn read(&mut self, parsed: &Parsed<'_>, place: &Place) -> Result<Record> {
        let owner = parsed.owner(place)?.to_lower();
        let what = || rdata::type_name(place.rtype);
        if place.class != CLASS_IN {
            let class = place.class;
            return Err(Error::at("transfer", owner, format!("a record of class {class}")));
        }
        // RFC 6895 section 3.1: OPT, and 128 to 255, are types of questions and of messages.
        if matches!(place.rtype, 0 | rtype::OPT | 128..=255) {
            let why = format!("a {} record can't be in a zone", what());
            return Err(Error::at("transfer", owner, why));
        }
        if !owner.is_under(&self.origin) {
            let why = format!("a {} record that is not in the zone {}", what(), self.origin);
            return Err(Error::at("transfer", owner, why));
        }
        let rdata = parsed
            .rdata(place)
            .map_err(|error| Error::at("transfer", &owner, error.message))?
            .into_boxed_slice();
        self.held += owner.wire().len() + rdata.len() + OVERHEAD;
        if self.held > self.limit {
            let limit = self.limit;
            return Err(self.error(format!("records of more than {limit} octets: stopped")));
        }
        // RFC 2181 section 8: a TTL with the highest bit set counts as 0.
        let ttl = if place.ttl > i32::MAX as u32 { 0 } else { place.ttl };
        Ok(Record { owner, rtype: place.rtype, ttl, rdata, ours: false })
    }

    fn soa(&self, record: &Record) -> Result<Option<Soa>> {
        if record.rtype != rtype::SOA {
            return Ok(None);
        }
        if record.owner != self.origin {
            return Err(Error::at("transfer", &record.owner, "an SOA below the zone's apex"));
        }
        let serial = soa_serial(&record.rdata);
        let serial = serial.ok_or_else(|| self.error("an SOA without a serial"))?;
        Ok(Some(Soa { serial, ttl: record.ttl, rdata: record.rdata.clone() }))
    }

    fn take_record(&self, state: State, record: Record) -> Result<State> {
        let soa = self.soa(&record)?;
        match state {
            State::Waiting => match soa {
                Some(soa) => Ok(State::Begun(soa)),
                None => Err(self.error("an answer that does not begin with the zone's SOA")),
            },
            State::Begun(first) => {
                self.check_newer(first.serial)?;
                match (soa, &self.base) {
                    // RFC 1995 section 4: a second SOA, with our serial, makes it an IXFR.
                    (Some(soa), Some(base))
                        if soa.serial == base.serial() && soa.serial != first.serial =>
                    {
                        let part = Part::Removing(begin(record, soa.serial));
                        Ok(State::Steps { first, done: vec![], part })
                    }
                    _ => {
                        let mut builder = Box::new(Builder::new(&self.origin));
                        builder.add(&self.origin, rtype::SOA, first.ttl, &first.rdata)?;
                        self.take_record(State::Whole { first, builder }, record)
                    }
                }
            }
            State::Whole { first, builder } => self.take_whole(first, builder, &record, soa),
            State::Steps { first, done, part } => self.take_step(first, done, part, record, soa),
            State::Done(_) | State::Failed => Err(self.error("records behind the last SOA")),
        }
    }

    fn take_whole(
        &self,
        first: Soa,
        mut builder: Box<Builder>,
        record: &Record,
        soa: Option<Soa>,
    ) -> Result<State> {
        let Some(soa) = soa else {
            builder.add(&record.owner, record.rtype, record.ttl, &record.rdata)?;
            return Ok(State::Whole { first, builder });
        };
        if soa.serial != first.serial || !alike(&soa, &first) {
            return Err(self.error("the SOA at the end is not the one at the start"));
        }
        Ok(State::Done(Outcome::Whole(Arc::new(builder.finish()?))))
    }

    fn take_step(
        &self,
        first: Soa,
        mut done: Vec<Diff>,
        part: Part,
        record: Record,
        soa: Option<Soa>,
    ) -> Result<State> {
        let part = match (part, soa) {
            (Part::Removing(mut diff), None) => {
                diff.removed.push(record);
                Part::Removing(diff)
            }
            (Part::Adding(mut diff), None) => {
                diff.added.push(record);
                Part::Adding(diff)
            }
            (Part::Removing(mut diff), Some(soa)) => {
                let onward = serial_cmp(soa.serial, diff.from_serial);
                if onward != Some(Ordering::Greater) {
                    let (from, to) = (diff.from_serial, soa.serial);
                    return Err(self.error(format!("a difference from serial {from} to {to}")));
                }
                diff.to_serial = soa.serial;
                diff.added.push(record);
                Part::Adding(diff)
            }
            (Part::Adding(diff), Some(soa)) => {
                let reached = diff.to_serial;
                if soa.serial != reached {
                    let next = soa.serial;
                    let why = format!("a difference to serial {reached}, then one from {next}");
                    return Err(self.error(why));
                }
                done.push(diff);
                if done.len() > MOST_DIFFERENCES {
                    let why = "too many differences: ask for the whole zone";
                    return Err(Error { code: "difference", ..self.error(why) });
                }
                if reached == first.serial {
                    if !alike(&soa, &first) {
                        return Err(self.error("the SOA at the end is not that at the start"));
                    }
                    return self.apply(done);
                }
                Part::Removing(begin(record, reached))
            }
        };
        Ok(State::Steps { first, done, part })
    }

    fn apply(&self, diffs: Vec<Diff>) -> Result<State> {
        let base = self.base.as_ref();
        let mut zone =
            Arc::clone(base.ok_or_else(|| self.error("differences to no version at hand"))?);
        for diff in &diffs {
            let next = zone.apply(diff).map_err(|error| Error { code: "difference", ..error })?;
            zone = Arc::new(next);
        }
        let diffs = diffs.into_iter().map(Arc::new).collect();
        Ok(State::Done(Outcome::Steps(zone, diffs)))
    }

    /// RFC 1982: a primary that is behind has nothing for us. Where two serials can't be
    /// compared, no order is hurt and the primary's version is taken.
    fn check_newer(&self, serial: u32) -> Result<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let ours = base.serial();
        if serial_cmp(serial, ours) == Some(Ordering::Less) {
            let why = format!(
                "the primary has serial {serial}, older than {ours} at hand: \
                 raise its serial, or forget the version at hand"
            );
            return Err(self.error(why));
        }
        Ok(())
    }

    /// What the end of a message says: an SOA that came alone, with the serial at hand, means
    /// up to date; and no transfer is complete before its last message is signed.
    fn close_message(&self, state: State, single: bool) -> Result<State> {
        let state = match state {
            State::Begun(first) => {
                self.check_newer(first.serial)?;
                let same = self.base.as_ref().is_some_and(|base| base.serial() == first.serial);
                match same && single && self.messages == 1 {
                    true => State::Done(Outcome::UpToDate),
                    false => State::Begun(first),
                }
            }
            other => other,
        };
        if matches!(state, State::Done(_)) && self.session.as_ref().is_some_and(|s| !s.is_closed())
        {
            return Err(self.error("the last message is not signed (RFC 8945 section 5.3.1)"));
        }
        Ok(state)
    }

    /// The new version; None when the one at hand is up to date. Raises "transfer" before the
    /// transfer is complete.
    pub fn zone(&self) -> Result<Option<Arc<Zone>>> {
        match &self.state {
            State::Done(Outcome::UpToDate) => Ok(None),
            State::Done(Outcome::Whole(zone) | Outcome::Steps(zone, _)) => {
                Ok(Some(Arc::clone(zone)))
            }
            _ => Err(self.error("the transfer is not complete")),
        }
    }

    /// An IXFR's differences; None when the answer was a full transfer, or there was nothing
    /// new.
    pub fn diffs(&self) -> Result<Option<&[Arc<Diff>]>> {
        match &self.state {
            State::Done(Outcome::Steps(_, diffs)) => Ok(Some(diffs)),
            State::Done(_) => Ok(None),
            _ => Err(self.error("the transfer is not complete")),
        }
    }
}

fn begin(soa: Record, from_serial: u32) -> Diff {
    Diff { from_serial, to_serial: from_serial, removed: vec![soa], added: vec![] }
}

fn alike(a: &Soa, b: &Soa) -> bool {
    rdata::canonical(rtype::SOA, &a.rdata) == rdata::canonical(rtype::SOA, &b.rdata)
}
