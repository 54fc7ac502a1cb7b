//! *rewrite*: another question in place of the one that came, and the reply made one to that.

pub mod config;

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::answer;
use crate::name::{Name, NameRef};
use crate::query::{HEADER, Query, bits, rcode};
use crate::rdata::rtype;
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::rebuild::{Whole, rebuilt};
use crate::server::reply::Reply;
use crate::server::rules::Guard;
use config::{Answer, Field, Names, Pattern, Rule};

pub struct Rewrite {
    pub rules: Vec<Rule>,
    /// What is asked of a zone that is signed here is asked and answered as it is.
    pub guard: Guard,
}

/// What is asked, after the rules that fitted so far.
struct Question<'q> {
    name: Cow<'q, NameRef>,
    text: OnceCell<String>,
    qtype: u16,
    qclass: u16,
}

/// What happens to the reply.
enum Change<'r> {
    Back { from: Name, to: Name },
    Suffix(&'r str, &'r str),
    Owner(&'r Pattern, &'r str),
    Value(&'r Pattern, &'r str),
    Ttl(u32, u32),
    Rcode(u16, u16),
}

struct Plan<'q, 'r> {
    question: Question<'q>,
    changes: Vec<Change<'r>>,
}

/// A rule made a name that is none.
struct NoName;

impl Question<'_> {
    fn text(&self) -> &str {
        self.text.get_or_init(|| self.name.to_string())
    }

    fn is_asked_by(&self, query: &Query<'_>) -> bool {
        *self.name == *query.name() && (self.qtype, self.qclass) == (query.qtype, query.qclass)
    }
}

impl Names {
    fn has(&self, question: &Question<'_>) -> bool {
        match self {
            Self::Exact { name } => *name.0 == *question.name,
            Self::Prefix { text } => question.text().starts_with(text),
            Self::Suffix { text } => question.text().ends_with(text),
            Self::Substring { text } => question.text().contains(text),
            Self::Regex { pattern } => pattern.0.is_match(question.text()),
        }
    }

    /// None for a name that it is not for.
    fn replaced(&self, question: &Question<'_>, to: &str) -> Option<String> {
        match self {
            Self::Exact { .. } => self.has(question).then(|| to.to_owned()),
            Self::Prefix { text } => Some(to.to_owned() + question.text().strip_prefix(text)?),
            Self::Suffix { text } => Some(question.text().strip_suffix(text)?.to_owned() + to),
            Self::Substring { text } => {
                self.has(question).then(|| question.text().replace(text, to))
            }
            Self::Regex { pattern } => pattern.replaced(question.text(), to),
        }
    }
}

fn name_of(text: &str) -> Result<Name, NoName> {
    Name::from_text(text, None).map(|name| name.to_lower()).map_err(|_| NoName)
}

impl Rewrite {
    /// None where no rule fits, or none may.
    fn plan<'q>(&self, query: &'q Query<'_>) -> Option<Result<Plan<'q, '_>, NoName>> {
        // RFC 8945 section 5.3: a changed query is no longer what was signed.
        if query.has_tsig || matches!(query.qtype, rtype::AXFR | rtype::IXFR) {
            return None;
        }
        self.followed(query).filter(|_| !self.guard.is_signed(query))
    }

    fn followed<'q>(&self, query: &'q Query<'_>) -> Option<Result<Plan<'q, '_>, NoName>> {
        let (qtype, qclass) = (query.qtype, query.qclass);
        let name = Cow::Borrowed(query.name());
        let question = Question { name, text: OnceCell::new(), qtype, qclass };
        let mut plan = Plan { question, changes: vec![] };
        let mut fitted = false;
        for rule in &self.rules {
            match plan.follow(&rule.field) {
                Ok(false) => continue,
                Ok(true) => fitted = true,
                Err(error) => return Some(Err(error)),
            }
            if !rule.goes_on {
                break;
            }
        }
        fitted.then_some(Ok(plan))
    }
}

impl<'r> Plan<'_, 'r> {
    /// Whether the rule fits.
    fn follow(&mut self, field: &'r Field) -> Result<bool, NoName> {
        let question = &mut self.question;
        let fits = match field {
            Field::Name { names, to, answers } => {
                let Some(text) = names.replaced(question, to) else { return Ok(false) };
                let name = name_of(&text)?;
                let before = std::mem::replace(&mut question.name, Cow::Owned(name.clone()));
                question.text = OnceCell::new();
                self.changes.extend(answers.iter().map(|answer| match answer {
                    Answer::Auto {} => {
                        Change::Back { from: name.clone(), to: before.clone().into_owned() }
                    }
                    Answer::Suffix { from, to } => Change::Suffix(from, to),
                    Answer::Name { pattern, to } => Change::Owner(pattern, to),
                    Answer::Value { pattern, to } => Change::Value(pattern, to),
                }));
                true
            }
            Field::Type { from, to } => {
                let fits = question.qtype == *from;
                if fits {
                    question.qtype = *to;
                }
                fits
            }
            Field::Class { from, to } => {
                let fits = question.qclass == *from;
                if fits {
                    question.qclass = *to;
                }
                fits
            }
            Field::Ttl { names, least, most } => {
                let fits = names.has(question);
                self.changes.extend(fits.then_some(Change::Ttl(*least, *most)));
                fits
            }
            Field::Rcode { names, from, to } => {
                let fits = names.has(question);
                self.changes.extend(fits.then_some(Change::Rcode(*from, *to)));
                fits
            }
        };
        Ok(fits)
    }

    /// The query with another question.
    fn packet(&self, query: &Query<'_>) -> Box<[u8]> {
        let wire = query.wire();
        let Question { name, qtype, qclass, .. } = &self.question;
        let mut packet = Vec::with_capacity(wire.len() + name.wire().len());
        packet.extend_from_slice(&wire[..HEADER]);
        packet.extend_from_slice(name.wire());
        packet.extend_from_slice(&qtype.to_be_bytes());
        packet.extend_from_slice(&qclass.to_be_bytes());
        packet.extend_from_slice(&wire[HEADER + query.question().len()..]);
        packet.into()
    }

    /// The reply to it as one to `query`. None if it can't be read.
    fn undo(&self, query: &Query<'_>, wire: &[u8]) -> Option<Vec<u8>> {
        let reply = Reply::read(wire)?;
        let mut code = reply.rcode();
        let mut records =
            reply.records.iter().map(|record| reply.whole(record)).collect::<Option<Vec<_>>>()?;
        let mut renamed = false;
        // Backwards, so that each meets what its rule made.
        for change in self.changes.iter().rev() {
            match *change {
                Change::Rcode(from, to) if code == from => code = to,
                Change::Rcode(..) => {}
                Change::Ttl(least, most) => {
                    records
                        .iter_mut()
                        .for_each(|record| record.ttl = record.ttl.clamp(least, most));
                }
                _ => records.iter_mut().for_each(|record| renamed |= change.rename(record)),
            }
        }
        if renamed {
            // They sign other names.
            records.retain(|record| record.rtype != rtype::RRSIG);
        }
        let mut out = rebuilt(query, &reply, records.into_iter().map(Some))?;
        let mut flags = reply.flags();
        if renamed {
            flags &= !bits::AD;
        }
        if code != reply.rcode() {
            flags = flags & !bits::RCODE | code;
        }
        out[2..4].copy_from_slice(&flags.to_be_bytes());
        Some(out)
    }
}

impl Change<'_> {
    /// A name that becomes none stays what it is.
    fn renamed(&self, name: &NameRef) -> Option<Name> {
        let lower = name.to_lower();
        let text = || lower.to_string();
        match self {
            Self::Back { from, to } => {
                let labels = lower.is_under(from).then(|| name.wire().len() - from.wire().len())?;
                Name::parse(&[&name.wire()[..labels], to.wire()].concat()).ok()
            }
            Self::Suffix(from, to) => name_of(&(text().strip_suffix(from)?.to_owned() + to)).ok(),
            Self::Owner(pattern, to) | Self::Value(pattern, to) => {
                name_of(&pattern.replaced(&text(), to)?).ok()
            }
            Self::Ttl(..) | Self::Rcode(..) => None,
        }
    }

    /// Whether something in the record is another name now.
    fn rename(&self, record: &mut Whole) -> bool {
        let mut renamed = false;
        if !matches!(self, Self::Value(..))
            && let Some(owner) = self.renamed(&record.owner)
        {
            renamed = !owner.same(&record.owner);
            record.owner = owner;
        }
        if !matches!(self, Self::Owner(..))
            && let Some(at) = target(record.rtype, &record.rdata)
            && let Some(before) = NameRef::prefix(&record.rdata[at..])
            && let Some(name) = self.renamed(before)
        {
            renamed |= !name.same(before);
            let behind = at + before.wire().len();
            record.rdata = [&record.rdata[..at], name.wire(), &record.rdata[behind..]].concat();
        }
        renamed
    }
}

/// Where the name begins that the rdata leads to.
fn target(rtype: u16, rdata: &[u8]) -> Option<usize> {
    let string = |at: usize| rdata.get(at).map(|&length| at + 1 + usize::from(length));
    let at = match rtype {
        rtype::CNAME | rtype::DNAME | rtype::NS | rtype::PTR | rtype::SOA => 0,
        rtype::MX => 2,
        rtype::SRV => 6,
        rtype::NAPTR => string(4).and_then(string).and_then(string)?,
        _ => return None,
    };
    (at < rdata.len()).then_some(at)
}

impl Stage for Rewrite {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        match self.plan(query) {
            None => Enter::Next,
            Some(Ok(plan)) if plan.question.is_asked_by(query) => Enter::Next,
            Some(Ok(plan)) => Enter::Instead(plan.packet(query)),
            Some(Err(NoName)) => {
                exchange.reason = Some("a rewritten name is none");
                Enter::Answer(answer::error(query, rcode::SERVFAIL, None, exchange.size, out))
            }
        }
    }

    fn leave(&self, exchange: &Exchange<'_>, reply: &mut Vec<u8>) {
        let query = exchange.query;
        let Some(Ok(plan)) = self.plan(query) else { return };
        *reply = plan.undo(query, reply).unwrap_or_else(|| {
            let mut out = vec![0; 512];
            let length = answer::error(query, rcode::SERVFAIL, None, out.len(), &mut out);
            out.truncate(length);
            out
        });
    }

    fn has_leave(&self) -> bool {
        true
    }

    fn wants_leave(&self, exchange: &Exchange<'_>) -> bool {
        self.plan(exchange.query).is_some()
    }
}

#[cfg(test)]
mod tests;
