//! From entries to records: owner, TTL and class with their defaults, and the rdata.

use std::path::{Path, PathBuf};

use super::head::{Head, MAX_TTL};
use super::lexer::{Entry, Fault, Lexer};
use super::{Foreign, Options, Place, Problem, Sink};
use crate::name::{Name, NameRef};
use crate::rdata::{
    MAX_RDATA, Token, from_tokens, is_generic, is_native, push_name, rtype, shown, type_name,
};

/// Who owns a record that names no owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nothing came before.
    None,
    /// What came before was refused, and so is this, in silence.
    Refused,
    /// `State::owner`.
    Known,
}

/// What directives change, and an included file starts with.
#[derive(Clone)]
pub(super) struct Context {
    pub origin: Name,
    pub owner: Vec<u8>,
    pub known: Owner,
}

/// A text that is being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub text: &'a [u8],
    pub file: u32,
    /// Where $INCLUDE looks; None refuses it.
    pub directory: Option<&'a Path>,
    /// The text was generated: all of it stands at this place.
    pub generated: Option<Place>,
}

impl Source<'_> {
    pub fn place(&self, entry: &Entry, offset: usize) -> Place {
        if let Some(place) = self.generated {
            return place;
        }
        let before = &self.text[entry.start..offset.max(entry.start)];
        match memchr::memrchr(b'\n', before) {
            None => Place { file: self.file, line: entry.line, column: before.len() as u32 + 1 },
            Some(newline) => Place {
                file: self.file,
                line: entry.line + memchr::memchr_iter(b'\n', before).count() as u32,
                column: (before.len() - newline) as u32,
            },
        }
    }
}

/// Reads files into a sink and collects what is wrong with them.
pub struct Reader<'s, S> {
    pub(super) sink: &'s mut S,
    pub(super) foreign: Option<&'s mut dyn Foreign>,
    pub(super) apex: Name,
    pub(super) context: Context,
    /// `$TTL`, or the minimum of a SOA that has no TTL of its own.
    pub(super) default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    rdata: Vec<u8>,
    soa: Option<Vec<u8>>,
    files: Vec<String>,
    /// Files being read, the outermost first.
    pub(super) open: Vec<PathBuf>,
    pub(super) includes: usize,
    problems: Vec<Problem>,
    max_problems: usize,
}

impl<'s, S: Sink> Reader<'s, S> {
    pub fn new(
        origin: &NameRef,
        options: &Options,
        sink: &'s mut S,
        foreign: Option<&'s mut dyn Foreign>,
    ) -> Self {
        Self {
            sink,
            foreign,
            apex: origin.to_lower(),
            context: Context {
                origin: origin.to_owned(),
                owner: Vec::with_capacity(256),
                known: Owner::None,
            },
            default_ttl: options.default_ttl,
            last_ttl: None,
            rdata: Vec::with_capacity(512),
            soa: None,
            files: Vec::new(),
            open: Vec::new(),
            includes: 0,
            problems: Vec::new(),
            max_problems: options.max_problems.max(1),
        }
    }

    /// Read a text to its end, or to the last problem that is wanted. `path` is None where
    /// the text comes from no file; then `$INCLUDE` is refused.
    pub fn read(&mut self, text: &[u8], name: &str, path: Option<&Path>) {
        let directory = path.map(|path| path.parent().unwrap_or(Path::new("")));
        self.open.extend(path.and_then(|path| path.canonicalize().ok()));
        self.file(text, name, directory);
    }

    /// What was wrong, in the order of the text; with `true` when a SOA was seen.
    pub fn finish(self) -> (Vec<Problem>, bool) {
        (self.problems, self.soa.is_some())
    }

    pub(super) fn full(&self) -> bool {
        self.problems.len() >= self.max_problems
    }

    pub(super) fn problem(&mut self, place: Place, message: String) {
        if !self.full() {
            let file = self.files.get(place.file as usize).cloned().unwrap_or_default();
            self.problems.push(Problem { file, line: place.line, column: place.column, message });
        }
    }

    pub(super) fn file(&mut self, text: &[u8], name: &str, directory: Option<&Path>) {
        let file = self.files.len() as u32;
        self.files.push(name.to_owned());
        // A byte order mark says nothing in UTF-8, but editors write it.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        self.entries(Source { text, file, directory, generated: None });
    }

    pub(super) fn entries(&mut self, source: Source<'_>) {
        let mut lexer = Lexer::new(source.text);
        let mut tokens = Vec::with_capacity(64);
        // The raw text of the owner in force, while the origin stays the same.
        let mut last_owner: Option<&[u8]> = None;
        while !self.full()
            && let Some(mut entry) = lexer.next(&mut tokens)
        {
            let outcome = match entry.fault.take() {
                Some(fault) => {
                    last_owner = None;
                    self.owner_of_broken(&entry, &tokens);
                    Err(fault)
                }
                None if is_directive(&entry, &tokens) && source.generated.is_none() => {
                    last_owner = None;
                    self.directive(source, &entry, &tokens)
                }
                None => self.record(source, &entry, &tokens, &mut last_owner),
            };
            if let Err(fault) = outcome {
                self.problem(source.place(&entry, fault.offset), fault.message);
            }
        }
    }

    fn record<'a>(
        &mut self,
        source: Source<'a>,
        entry: &Entry,
        tokens: &[Token<'a>],
        last_owner: &mut Option<&'a [u8]>,
    ) -> Result<(), Fault> {
        let end = |tokens: &[Token<'_>]| tokens.last().map_or(entry.start, behind);
        let first = tokens[0];
        let mut at = 0;
        if !entry.indented {
            at = 1;
            if *last_owner != Some(first.text) || first.quoted {
                *last_owner = None;
                self.set_owner(&first)?;
                *last_owner = Some(first.text);
            }
        }
        match self.context.known {
            Owner::None => {
                let message = "no owner is known yet: begin the line with one, not with a blank";
                return Err(Fault::new(first.start, message));
            }
            Owner::Refused => return Ok(()),
            Owner::Known => {}
        }
        let head = Head::read(tokens, &mut at).map_err(|(token, message)| {
            Fault::new(tokens.get(token).map_or_else(|| end(tokens), |t| t.start), message)
        })?;
        self.rdata.clear();
        let rdata = &tokens[at..];
        if is_native(head.rtype) || self.foreign.is_none() || rdata.first().is_some_and(is_generic)
        {
            from_tokens(head.rtype, rdata, &self.context.origin, &mut self.rdata).map_err(
                |wrong| {
                    let offset = rdata.get(wrong.token).map_or_else(|| end(tokens), |t| t.start);
                    let name = type_name(head.rtype);
                    Fault::new(offset, format!("{name}: {}", wrong.message))
                },
            )?;
        } else {
            self.ask_foreign(head.rtype, source.text, rdata, end(tokens))?;
        }
        if head.rtype == rtype::SOA && !self.first_soa(first.start)? {
            return Ok(());
        }
        let ttl = self.ttl_of(&head, first.start)?;
        let place = source.place(entry, first.start);
        let owner = NameRef::from_valid(&self.context.owner);
        self.sink
            .record(owner, head.rtype, ttl, &self.rdata, place)
            .map_err(|message| Fault::new(first.start, message))
    }

    /// The lines below a broken one still are its owner's; what else is wrong with it is not
    /// told, since one problem a line is enough.
    fn owner_of_broken(&mut self, entry: &Entry, tokens: &[Token<'_>]) {
        if !entry.indented && !is_directive(entry, tokens) {
            self.context.known = Owner::Refused;
            if let Some(first) = tokens.first() {
                self.set_owner(first).unwrap_or_default();
            }
        }
    }

    fn set_owner(&mut self, token: &Token<'_>) -> Result<(), Fault> {
        let Context { origin, owner, known } = &mut self.context;
        owner.clear();
        *known = Owner::Refused;
        if token.quoted {
            return Err(Fault::new(token.start, "an owner name is not quoted"));
        }
        push_name(token, origin, owner)
            .map_err(|why| Fault::new(token.start, format!("owner {}: {why}", shown(token))))?;
        if !is_under(owner, self.apex.wire()) {
            let owner = NameRef::from_valid(owner);
            let message = format!(
                "{owner} is outside the zone {}: remove the record, or look at $ORIGIN and a \
                 missing or extra final dot",
                self.apex
            );
            return Err(Fault::new(token.start, message));
        }
        *known = Owner::Known;
        Ok(())
    }

    /// Whether the SOA in `rdata` is to be handed on. A zone transfer's dump repeats it.
    fn first_soa(&mut self, offset: usize) -> Result<bool, Fault> {
        let owner = NameRef::from_valid(&self.context.owner);
        if !owner.same(&self.apex) {
            let message = format!("a SOA stands only at the apex, {}", self.apex);
            return Err(Fault::new(offset, message));
        }
        match &self.soa {
            None => {
                self.soa = Some(self.rdata.clone());
                Ok(true)
            }
            Some(soa) if *soa == self.rdata => Ok(false),
            Some(_) => Err(Fault::new(offset, "a second SOA that differs: keep one of them")),
        }
    }

    /// RFC 2308 section 4: an omitted TTL is that of $TTL; without one, that of the last
    /// record that gave it (RFC 1035 section 5.1); a SOA falls back to its own minimum,
    /// which then serves as $TTL, as BIND has it.
    fn ttl_of(&mut self, head: &Head, offset: usize) -> Result<u32, Fault> {
        if let Some(ttl) = head.ttl {
            self.last_ttl = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.default_ttl.or(self.last_ttl) {
            return Ok(ttl);
        }
        match self.rdata.last_chunk::<4>() {
            Some(&minimum) if head.rtype == rtype::SOA => {
                let minimum = u32::from_be_bytes(minimum).min(MAX_TTL);
                self.default_ttl = Some(minimum);
                Ok(minimum)
            }
            _ => Err(Fault::new(offset, "no TTL is known: give one, or put $TTL before it")),
        }
    }

    fn ask_foreign(
        &mut self,
        number: u16,
        text: &[u8],
        tokens: &[Token<'_>],
        end: usize,
    ) -> Result<(), Fault> {
        let offset = tokens.first().map_or(end, |token| token.start);
        let Some(foreign) = self.foreign.as_mut() else { return Ok(()) };
        let joined = joined(text, tokens);
        let Ok(joined) = std::str::from_utf8(&joined) else {
            return Err(Fault::new(offset, "not UTF-8: write other octets as \\DDD"));
        };
        let refuse = |why: String| Fault::new(offset, format!("{}: {why}", type_name(number)));
        self.rdata = foreign.parse(number, joined, &self.context.origin).map_err(refuse)?;
        if self.rdata.len() > MAX_RDATA {
            return Err(refuse("rdata of more than 65535 octets".into()));
        }
        Ok(())
    }
}

fn is_directive(entry: &Entry, tokens: &[Token<'_>]) -> bool {
    !entry.indented
        && tokens.first().is_some_and(|token| !token.quoted && token.text.starts_with(b"$"))
}

/// Offset behind a token and its closing quote.
pub(super) fn behind(token: &Token<'_>) -> usize {
    token.start + token.text.len() + 2 * usize::from(token.quoted)
}

/// Tokens as one line: comments and parentheses gone, what touched still touches.
fn joined(text: &[u8], tokens: &[Token<'_>]) -> Vec<u8> {
    let mut line = Vec::new();
    let mut last = None;
    for token in tokens {
        if last.is_some_and(|last| last != token.start) {
            line.push(b' ');
        }
        let end = behind(token);
        line.extend_from_slice(&text[token.start..end]);
        last = Some(end);
    }
    line
}

/// `apex` is lower-cased; the owner in any case.
fn is_under(owner: &[u8], apex: &[u8]) -> bool {
    let Some(skip) = owner.len().checked_sub(apex.len()) else { return false };
    let mut at = 0;
    while at < skip {
        at += usize::from(owner[at]) + 1;
    }
    at == skip && owner[skip..].eq_ignore_ascii_case(apex)
}
