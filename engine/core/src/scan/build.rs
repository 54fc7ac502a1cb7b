//! Zone files made into zones, and what only the whole zone shows traced back to lines.

use std::collections::HashMap;
use std::path::Path;

use super::{Foreign, Options, Place, Problem, Reader, Sink};
use crate::error::Error;
use crate::name::{Name, NameRef};
use crate::rdata::{rtype, type_name};
use crate::zone::node::MAX_RECORDS;
use crate::zone::{Builder, Zone};

/// Why there is no zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file itself could not be read.
    Unread(Error),
    /// In the order of the text; never empty.
    Problems(Vec<Problem>),
}

/// Read a zone file. `$INCLUDE` looks beside the file that has it.
pub fn scan_file(
    path: &Path,
    origin: &NameRef,
    options: &Options,
    foreign: Option<&mut dyn Foreign>,
) -> Result<Zone, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::Unread(Error::io(path, &error)))?;
    let name = path.to_string_lossy();
    Input { text: &text, name: &name, path: Some(path), origin, options }.scan(foreign)
}

/// Read zone-file text that `name` stands for in problems; it may not include files.
pub fn scan_text(
    text: &[u8],
    name: &str,
    origin: &NameRef,
    options: &Options,
    foreign: Option<&mut dyn Foreign>,
) -> Result<Zone, Failure> {
    Input { text, name, path: None, origin, options }.scan(foreign)
}

struct Input<'a> {
    text: &'a [u8],
    name: &'a str,
    path: Option<&'a Path>,
    origin: &'a NameRef,
    options: &'a Options,
}

impl Input<'_> {
    fn scan(&self, mut foreign: Option<&mut dyn Foreign>) -> Result<Zone, Failure> {
        let mut builder = Builder::new(self.origin);
        let (problems, has_soa) = self.read(&mut builder, reborrow(&mut foreign));
        let refused = if !problems.is_empty() {
            problems
        } else if !has_soa {
            let message = format!("no SOA record at the apex {}: is this the zone?", self.origin);
            return Err(Failure::Problems(vec![self.at_start(message)]));
        } else {
            match builder.finish() {
                Ok(zone) => return Ok(zone),
                Err(error) => vec![self.at_start(error.to_string())],
            }
        };
        let mut owners = Owners { origin: self.origin, held: HashMap::new() };
        let (problems, _) = self.read(&mut owners, reborrow(&mut foreign));
        Err(Failure::Problems(if problems.is_empty() { refused } else { problems }))
    }

    fn read<'s>(
        &self,
        sink: &'s mut impl Sink,
        foreign: Option<&'s mut dyn Foreign>,
    ) -> (Vec<Problem>, bool) {
        let mut reader = Reader::new(self.origin, self.options, sink, foreign);
        reader.read(self.text, self.name, self.path);
        reader.finish()
    }

    fn at_start(&self, message: String) -> Problem {
        Problem { file: self.name.to_owned(), line: 1, column: 1, message }
    }
}

/// `Option::as_deref_mut` would tie the borrow to the trait object's own lifetime.
fn reborrow<'s>(foreign: &'s mut Option<&mut dyn Foreign>) -> Option<&'s mut dyn Foreign> {
    match foreign {
        Some(foreign) => Some(&mut **foreign),
        None => None,
    }
}

impl Sink for Builder {
    fn record(
        &mut self,
        owner: &NameRef,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        _: Place,
    ) -> Result<(), String> {
        self.add(owner, rtype, ttl, rdata).map_err(|error| error.to_string())
    }
}

/// Finds the lines where records meet that may not share an owner. It runs only when the
/// zone was refused, so that good zones don't pay for it, and then over the whole text, so
/// that these problems come among the others.
struct Owners<'a> {
    origin: &'a NameRef,
    held: HashMap<Name, Held>,
}

/// What an owner has: how much of it, and the first record of each type.
#[derive(Default)]
struct Held {
    count: usize,
    firsts: Vec<(u16, Vec<u8>)>,
}

impl Sink for Owners<'_> {
    fn record(
        &mut self,
        owner: &NameRef,
        rtype: u16,
        _: u32,
        rdata: &[u8],
        _: Place,
    ) -> Result<(), String> {
        let is_apex = owner.same(self.origin);
        let held = self.held.entry(owner.to_lower()).or_default();
        held.count += 1;
        if held.count == MAX_RECORDS + 1 {
            return Err(format!("{owner}: more than {MAX_RECORDS} records at one owner"));
        }
        let found = held.firsts.iter().find_map(|(other, data)| {
            let differ = *other != rtype || data != rdata;
            if differ { conflict(*other, rtype, is_apex) } else { None }
        });
        if held.firsts.iter().all(|(other, _)| *other != rtype) {
            held.firsts.push((rtype, rdata.to_vec()));
        }
        found.map_or(Ok(()), |why| Err(format!("{owner}: {why}")))
    }
}

/// RFC 2181 section 10.1 and RFC 4035 section 2.5 for CNAME, RFC 6672 section 2.4 for DNAME;
/// `a` and `b` are types of two records that differ.
fn conflict(a: u16, b: u16, is_apex: bool) -> Option<String> {
    let beside_cname =
        |other| !matches!(other, rtype::CNAME | rtype::NSEC | rtype::KEY | rtype::RRSIG);
    match (a, b) {
        (rtype::CNAME, rtype::CNAME) | (rtype::DNAME, rtype::DNAME) => {
            Some(format!("a second {}: an owner has one", type_name(a)))
        }
        (rtype::CNAME, other) | (other, rtype::CNAME) if beside_cname(other) => {
            Some(format!("a CNAME beside {}: a CNAME stands alone", type_name(other)))
        }
        (rtype::DNAME, rtype::NS) | (rtype::NS, rtype::DNAME) if !is_apex => {
            Some("a DNAME beside NS: a delegation can't also be redirected".into())
        }
        _ => None,
    }
}
