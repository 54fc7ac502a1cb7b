//! $ORIGIN, $TTL, $INCLUDE (RFC 1035 section 5.1, RFC 2308 section 4) and BIND's $GENERATE.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Sink;
use super::generate::{Range, expand};
use super::head::read_ttl;
use super::lexer::{Entry, Fault};
use super::reader::{Context, Reader, Source, behind};
use crate::name::{Name, unescape};
use crate::rdata::{Token, push_name, shown};

/// Files inside files, the outermost counted.
const MAX_DEPTH: usize = 16;
/// Of a whole scan: files that include others twice grow by powers of two.
const MAX_INCLUDES: usize = 4096;

impl<S: Sink> Reader<'_, S> {
    pub(super) fn directive(
        &mut self,
        source: Source<'_>,
        entry: &Entry,
        tokens: &[Token<'_>],
    ) -> Result<(), Fault> {
        let (first, arguments) = (&tokens[0], &tokens[1..]);
        let is = |name: &[u8]| first.text.eq_ignore_ascii_case(name);
        if is(b"$ORIGIN") {
            let token = exactly_one(first, arguments, "$ORIGIN NAME")?;
            self.context.origin = self.name(token)?;
            Ok(())
        } else if is(b"$TTL") {
            let token = exactly_one(first, arguments, "$TTL SECONDS")?;
            let ttl = read_ttl(token).map_err(|message| Fault::new(token.start, message))?;
            self.default_ttl = Some(ttl);
            Ok(())
        } else if is(b"$INCLUDE") {
            self.include(source, first, arguments)
        } else if is(b"$GENERATE") {
            self.generate(source, entry, first, arguments)
        } else {
            let message = format!(
                "unknown directive {}: there are $ORIGIN, $TTL, $INCLUDE and $GENERATE",
                shown(first)
            );
            Err(Fault::new(first.start, message))
        }
    }

    fn name(&self, token: &Token<'_>) -> Result<Name, Fault> {
        let mut wire = Vec::new();
        push_name(token, &self.context.origin, &mut wire)
            .map_err(|why| Fault::new(token.start, format!("{}: {why}", shown(token))))?;
        Name::parse(&wire).map_err(|error| Fault::new(token.start, error.message))
    }

    fn include(
        &mut self,
        source: Source<'_>,
        first: &Token<'_>,
        arguments: &[Token<'_>],
    ) -> Result<(), Fault> {
        let (file, origin) = match arguments {
            [file] => (file, None),
            [file, origin] => (file, Some(self.name(origin)?)),
            _ => return Err(Fault::new(first.start, "expected $INCLUDE FILE [ORIGIN]")),
        };
        let refuse = |message: String| Err(Fault::new(file.start, message));
        let Some(directory) = source.directory else {
            return refuse("$INCLUDE is for zone files; this text comes from none".into());
        };
        let path = directory.join(path_of(file).map_err(|why| Fault::new(file.start, why))?);
        self.includes += 1;
        if self.open.len() >= MAX_DEPTH || self.includes > MAX_INCLUDES {
            return refuse(format!(
                "too many included files: at most {MAX_DEPTH} inside one another and \
                 {MAX_INCLUDES} in all"
            ));
        }
        let (real, text) = match read_plain(&path) {
            Ok(read) => read,
            Err(why) => return refuse(format!("{}: {why}", path.display())),
        };
        if self.open.contains(&real) {
            return refuse(format!("{} includes itself", path.display()));
        }
        // Origin and owner come back after the file, as with BIND.
        let saved = self.context.clone();
        if let Some(origin) = origin {
            self.context.origin = origin;
        }
        self.open.push(real);
        self.file(&text, &path.to_string_lossy(), path.parent());
        self.open.pop();
        self.context = saved;
        Ok(())
    }

    fn generate(
        &mut self,
        source: Source<'_>,
        entry: &Entry,
        first: &Token<'_>,
        arguments: &[Token<'_>],
    ) -> Result<(), Fault> {
        let Some(range) = arguments.first().filter(|_| arguments.len() >= 3) else {
            let usage = "expected $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE RDATA";
            return Err(Fault::new(first.start, usage));
        };
        let at_range = |message: String| Fault::new(range.start, message);
        let values = Range::parse(range.text).map_err(at_range)?;
        let template = source.text[behind(range)..entry.end].trim_ascii_start();
        let place = source.place(entry, first.start);
        let saved: Context = self.context.clone();
        let mut text = Vec::with_capacity(template.len() + 16);
        for value in values {
            text.clear();
            expand(template, value, &mut text)
                .map_err(|message| Fault::new(arguments[1].start, message))?;
            self.entries(Source { text: &text, generated: Some(place), ..source });
            if self.full() {
                break;
            }
        }
        self.context = saved;
        Ok(())
    }
}

fn exactly_one<'t, 'a>(
    first: &Token<'_>,
    arguments: &'t [Token<'a>],
    usage: &str,
) -> Result<&'t Token<'a>, Fault> {
    match arguments {
        [one] => Ok(one),
        _ => Err(Fault::new(first.start, format!("expected {usage}"))),
    }
}

fn path_of(token: &Token<'_>) -> Result<PathBuf, &'static str> {
    let (mut octets, mut at) = (Vec::new(), 0);
    while let Some(&octet) = token.text.get(at) {
        at += 1;
        octets.push(if octet == b'\\' { unescape(token.text, &mut at)? } else { octet });
    }
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&octets)))
}

/// Only a plain file: a device or a pipe may never end.
fn read_plain(path: &Path) -> std::io::Result<(PathBuf, Vec<u8>)> {
    let real = path.canonicalize()?;
    if !real.metadata()?.is_file() {
        return Err(std::io::Error::other("not a plain file"));
    }
    let text = std::fs::read(&real)?;
    Ok((real, text))
}
