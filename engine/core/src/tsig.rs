//! Transaction signatures (RFC 8945): one key, one exchange of messages.

mod record;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::xfr::message::{self, Message, Parsed, bits, rcode};
pub use record::Record;
use record::digest_message;

/// Seconds that the clocks of two peers may differ (RFC 8945 section 10).
pub const FUDGE: u16 = 300;

/// RFC 8945 section 5.3.1: of every hundred messages one at least is signed.
const MOST_UNSIGNED: u32 = 99;

/// RFC 8945 section 3.
pub mod errors {
    pub const BADSIG: u16 = 16;
    pub const BADKEY: u16 = 17;
    pub const BADTIME: u16 = 18;
    pub const BADTRUNC: u16 = 22;
}

/// The algorithms of RFC 8945 section 6 that are to be used; SHA-1 and MD5 are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// "hmac-sha256" and its kin, in any case, with or without the last dot.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.text().eq_ignore_ascii_case(text))
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"\x0bhmac-sha256\0",
            Self::Sha384 => b"\x0bhmac-sha384\0",
            Self::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    fn mac_length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A shared secret and its name. The secret is in no text that this value can give.
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    hmac: hmac::Key,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.text())
    }
}

impl Key {
    /// Raises "tsig" for an empty secret.
    pub fn new(name: &NameRef, algorithm: Algorithm, secret: &[u8]) -> Result<Self> {
        if secret.is_empty() {
            return Err(Error::at("tsig", name, "a TSIG key needs a secret"));
        }
        let digest = match algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(Self { name: name.to_lower(), algorithm, hmac: hmac::Key::new(digest, secret) })
    }

    /// Lower-cased.
    pub fn name(&self) -> &NameRef {
        &self.name
    }

    /// Octets that a signature of this key adds to a message.
    pub fn room(&self) -> usize {
        let algorithm = self.algorithm.wire().len();
        self.name.wire().len() + 10 + algorithm + 16 + self.algorithm.mac_length()
    }
}

fn digest_mac(context: &mut hmac::Context, mac: &[u8]) {
    context.update(&(mac.len() as u16).to_be_bytes());
    context.update(mac);
}

/// Why a signature was not accepted: an error of RFC 8945 section 5.2, and for BADTIME the
/// MAC that the reply is chained to.
#[derive(Debug)]
pub enum Refused {
    Malformed(Error),
    BadKey,
    BadSig,
    BadTrunc,
    /// Seconds by which the sender's clock is ahead of ours.
    BadTime(i64),
}

impl Refused {
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 0,
            Self::BadKey => errors::BADKEY,
            Self::BadSig => errors::BADSIG,
            Self::BadTrunc => errors::BADTRUNC,
            Self::BadTime(_) => errors::BADTIME,
        }
    }

    pub fn error(&self, key: &NameRef) -> Error {
        let message = match self {
            Self::Malformed(error) => return error.clone(),
            Self::BadKey => "BADKEY: no such TSIG key, or not with this algorithm".to_owned(),
            Self::BadSig => "BADSIG: the TSIG signature is wrong: compare the secrets".to_owned(),
            Self::BadTrunc => "BADTRUNC: the TSIG signature is cut short".to_owned(),
            Self::BadTime(ahead) => {
                format!("BADTIME: the sender's clock differs by {ahead} s: set the clocks")
            }
        };
        Error::at("tsig", key, message)
    }
}

/// One exchange: a request and the messages that answer it, each chained to the one before.
#[derive(Clone, Debug)]
pub struct Session {
    key: Arc<Key>,
    /// The MAC that the next message is chained to; empty before the first.
    prior: Vec<u8>,
    stage: Stage,
    /// Messages without a signature since the last with one, digested so far.
    unsigned: Unsigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Request,
    FirstReply,
    LaterReply,
}

#[derive(Clone, Default)]
struct Unsigned {
    context: Option<hmac::Context>,
    count: u32,
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} unsigned", self.count)
    }
}

impl Session {
    pub fn new(key: Arc<Key>) -> Self {
        Self { key, prior: vec![], stage: Stage::Request, unsigned: Unsigned::default() }
    }

    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Whether what came so far ends with a signed message.
    pub fn is_closed(&self) -> bool {
        self.unsigned.count == 0
    }

    fn context(&mut self) -> hmac::Context {
        self.unsigned.context.take().unwrap_or_else(|| {
            let mut context = hmac::Context::with_key(&self.key.hmac);
            if self.stage != Stage::Request {
                digest_mac(&mut context, &self.prior);
            }
            context
        })
    }

    /// Sign `wire`, the next message of this exchange.
    pub fn sign(&mut self, wire: &mut Vec<u8>, now: u64) {
        self.sign_with(wire, now, 0, vec![]);
    }

    fn sign_with(&mut self, wire: &mut Vec<u8>, time: u64, error: u16, other: Vec<u8>) {
        let mut record = Record {
            key: self.key.name.clone(),
            algorithm: NameRef::from_valid(self.key.algorithm.wire()).to_owned(),
            time,
            fudge: FUDGE,
            mac: vec![],
            original_id: u16::from_be_bytes([wire[0], wire[1]]),
            error,
            other,
            start: wire.len(),
        };
        let mut context = self.context();
        context.update(wire);
        self.digest_rest(&record, &mut context);
        record.mac = context.sign().as_ref().to_vec();
        record.append(wire);
        self.advance(record.mac);
    }

    fn digest_rest(&self, record: &Record, context: &mut hmac::Context) {
        if self.stage == Stage::LaterReply {
            record.digest_timers(context);
        } else {
            record.digest_variables(context);
        }
    }

    fn advance(&mut self, mac: Vec<u8>) {
        self.prior = mac;
        self.unsigned = Unsigned::default();
        self.stage = match self.stage {
            Stage::Request => Stage::FirstReply,
            _ => Stage::LaterReply,
        };
    }

    /// Check the next message of this exchange, which carries `record` (RFC 8945 section
    /// 5.2: key, then MAC, then time).
    pub fn verify(
        &mut self,
        message: Message<'_>,
        record: &Record,
        now: u64,
    ) -> std::result::Result<(), Refused> {
        if record.key != self.key.name || record.algorithm.wire() != self.key.algorithm.wire() {
            return Err(Refused::BadKey);
        }
        let mut context = self.context();
        digest_message(&mut context, message, record);
        self.digest_rest(record, &mut context);
        if record.mac.len() < self.key.algorithm.mac_length() {
            return Err(Refused::BadTrunc);
        }
        let mac = context.sign();
        verify_slices_are_equal(mac.as_ref(), &record.mac).map_err(|_| Refused::BadSig)?;
        self.advance(record.mac.clone());
        let ahead =
            i64::try_from(record.time).unwrap_or(i64::MAX) - i64::try_from(now).unwrap_or(i64::MAX);
        if ahead.unsigned_abs() > u64::from(record.fudge) {
            return Err(Refused::BadTime(ahead));
        }
        Ok(())
    }

    /// A later reply without a signature; the next signed one covers it too.
    pub fn take_unsigned(&mut self, message: Message<'_>) -> std::result::Result<(), Refused> {
        if self.stage != Stage::LaterReply || self.unsigned.count >= MOST_UNSIGNED {
            return Err(Refused::BadSig);
        }
        let mut context = self.context();
        context.update(message.wire);
        self.unsigned = Unsigned { context: Some(context), count: self.unsigned.count + 1 };
        Ok(())
    }

    /// RFC 8945 section 5.2.3: the signed reply that tells the sender our time.
    pub fn bad_time_reply(mut self, wire: &mut Vec<u8>, record: &Record, now: u64) {
        let ours = now.to_be_bytes()[2..].to_vec();
        self.sign_with(wire, record.time, errors::BADTIME, ours);
    }
}

/// The keys a server has.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Arc<Key>>);

/// A request that could not be accepted, with the reply that says so.
#[derive(Debug)]
pub struct Rejected {
    pub error: Error,
    pub reply: Option<Vec<u8>>,
}

impl Keys {
    pub fn new(keys: Vec<Arc<Key>>) -> Self {
        Self(keys)
    }

    /// Verify a request: None when it is not signed, else the session its replies belong to.
    pub fn open(
        &self,
        parsed: &Parsed<'_>,
        now: u64,
    ) -> std::result::Result<Option<Session>, Rejected> {
        let form = |error| Rejected { error, reply: Some(rejection(parsed, rcode::FORMERR)) };
        let Some(record) = Record::find(parsed).map_err(form)? else { return Ok(None) };
        let found = self
            .0
            .iter()
            .find(|key| key.name == record.key && key.algorithm.wire() == record.algorithm.wire());
        let refuse = |refused: &Refused| {
            let mut reply = rejection(parsed, rcode::NOTAUTH);
            unsigned_error(&mut reply, &record, refused.code());
            Rejected { error: refused.error(&record.key), reply: Some(reply) }
        };
        let Some(key) = found else { return Err(refuse(&Refused::BadKey)) };
        let mut session = Session::new(Arc::clone(key));
        match session.verify(parsed.message, &record, now) {
            Ok(()) => Ok(Some(session)),
            Err(refused @ Refused::BadTime(_)) => {
                let mut reply = rejection(parsed, rcode::NOTAUTH);
                session.bad_time_reply(&mut reply, &record, now);
                Err(Rejected { error: refused.error(&record.key), reply: Some(reply) })
            }
            Err(refused) => Err(refuse(&refused)),
        }
    }
}

/// A reply of nothing but the question, with an RCODE.
pub fn rejection(parsed: &Parsed<'_>, code: u8) -> Vec<u8> {
    let message = parsed.message;
    let flags = bits::QR | message.flags & (15 << 11 | bits::RD) | u16::from(code);
    let question = parsed.questions.first().filter(|q| q.qclass == message::CLASS_IN);
    message::begin(message.id, flags, question.map(|q| (&*q.name, q.qtype)))
}

/// RFC 8945 section 5.3.2: BADKEY and BADSIG are told without a MAC.
fn unsigned_error(wire: &mut Vec<u8>, request: &Record, error: u16) {
    let record = Record {
        key: request.key.clone(),
        algorithm: request.algorithm.clone(),
        time: request.time,
        fudge: request.fudge,
        mac: vec![],
        original_id: request.original_id,
        error,
        other: vec![],
        start: 0,
    };
    record.append(wire);
}
