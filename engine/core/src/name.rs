//! Domain names in uncompressed wire form, their canonical order, their text.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// RFC 1035 section 2.3.4: a name takes at most 255 octets, a label at most 63.
pub const MAX_NAME: usize = 255;
pub const MAX_LABEL: usize = 63;

/// An owned name: valid, uncompressed wire form. Equality and hashing are by octets, so
/// names that are compared are lower-cased first (`to_lower`); `same` ignores case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// A borrowed name: valid, uncompressed wire form.
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct NameRef([u8]);

impl NameRef {
    /// The caller vouches that `wire` is one whole valid name.
    pub fn from_valid(wire: &[u8]) -> &Self {
        debug_assert_eq!(wire_length(wire), Some(wire.len()));
        // SAFETY: repr(transparent) over [u8].
        unsafe { &*(std::ptr::from_ref::<[u8]>(wire) as *const Self) }
    }

    pub fn parse(wire: &[u8]) -> Result<&Self> {
        match wire_length(wire) {
            Some(length) if length == wire.len() => Ok(Self::from_valid(wire)),
            _ => Err(Error::new("name", "not an uncompressed domain name in wire form")),
        }
    }

    /// The name that starts `wire`, and how long it is.
    pub fn prefix(wire: &[u8]) -> Option<&Self> {
        wire_length(wire).map(|length| Self::from_valid(&wire[..length]))
    }

    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Labels from the leftmost to the last before the root, without their length octets.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.0 }
    }

    /// Labels without the root's.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// RFC 4034 section 3.1.3: the root and a leading asterisk do not count.
    pub fn rrsig_labels(&self) -> u8 {
        (self.label_count() - usize::from(self.is_wildcard())) as u8
    }

    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    pub fn parent(&self) -> Option<&Self> {
        let skip = usize::from(self.0[0]) + 1;
        (skip > 1).then(|| Self::from_valid(&self.0[skip..]))
    }

    /// This name and its ancestors, up to and with the root.
    pub fn ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |name| name.parent())
    }

    /// Below or equal; both lower-cased.
    pub fn is_under(&self, ancestor: &Self) -> bool {
        let Some(skip) = self.0.len().checked_sub(ancestor.0.len()) else { return false };
        self.0[skip..] == ancestor.0 && self.is_boundary(skip)
    }

    fn is_boundary(&self, offset: usize) -> bool {
        let mut at = 0;
        while at < offset {
            at += usize::from(self.0[at]) + 1;
        }
        at == offset
    }

    pub fn same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    pub fn to_lower(&self) -> Name {
        // Length octets are at most 63 and 'A' is 65: lowering the whole wire is safe.
        Name(self.0.to_ascii_lowercase().into())
    }

    /// RFC 4034 section 6.1, ignoring case.
    pub fn canonical_cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = ([0u8; MAX_NAME], [0u8; MAX_NAME]);
        let a_starts = label_starts(&self.0, &mut a);
        let b_starts = label_starts(&other.0, &mut b);
        let mut a_labels = a_starts.iter().rev();
        let mut b_labels = b_starts.iter().rev();
        loop {
            match (a_labels.next(), b_labels.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(&x), Some(&y)) => {
                    let order = label_at(&self.0, x)
                        .iter()
                        .map(u8::to_ascii_lowercase)
                        .cmp(label_at(&other.0, y).iter().map(u8::to_ascii_lowercase));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
            }
        }
    }
}

fn label_at(wire: &[u8], start: u8) -> &[u8] {
    let start = usize::from(start);
    let length = usize::from(wire[start]);
    &wire[start + 1..start + 1 + length]
}

fn label_starts<'a>(wire: &[u8], starts: &'a mut [u8; MAX_NAME]) -> &'a [u8] {
    let (mut at, mut count) = (0usize, 0usize);
    while wire[at] != 0 {
        starts[count] = at as u8;
        count += 1;
        at += usize::from(wire[at]) + 1;
    }
    &starts[..count]
}

/// Length of the uncompressed name that starts `wire`; None when there is no valid one.
pub fn wire_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*wire.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
        if length > MAX_LABEL || at >= MAX_NAME {
            return None;
        }
    }
}

impl ToOwned for NameRef {
    type Owned = Name;

    fn to_owned(&self) -> Name {
        Name(self.0.into())
    }
}

impl Borrow<NameRef> for Name {
    fn borrow(&self) -> &NameRef {
        self
    }
}

impl Deref for Name {
    type Target = NameRef;

    fn deref(&self) -> &NameRef {
        NameRef::from_valid(&self.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical_cmp(other).then_with(|| self.0.cmp(&other.0))
    }
}

impl Name {
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    pub fn parse(wire: &[u8]) -> Result<Self> {
        NameRef::parse(wire).map(ToOwned::to_owned)
    }

    /// Zone-file text; a relative name is completed with `origin`.
    pub fn from_text(text: &str, origin: Option<&NameRef>) -> Result<Self> {
        let wire = text_to_wire(text.as_bytes(), origin)
            .map_err(|why| Error::at("name", text.escape_default(), why))?;
        Ok(Self(wire.into()))
    }

    /// RFC 4592: the wildcard right below `encloser`, if it fits.
    pub fn wildcard_of(encloser: &NameRef) -> Option<Self> {
        Self::child(encloser, b"*")
    }

    /// `label` below `parent`, if it fits.
    pub fn child(parent: &NameRef, label: &[u8]) -> Option<Self> {
        let length = label.len() + 1 + parent.0.len();
        if label.is_empty() || label.len() > MAX_LABEL || length > MAX_NAME {
            return None;
        }
        let mut wire = Vec::with_capacity(length);
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
        wire.extend_from_slice(&parent.0);
        Some(Self(wire.into()))
    }
}

/// RFC 1035 section 5.1: labels, `\X` and `\DDD`; `@` is the origin.
pub fn text_to_wire(
    text: &[u8],
    origin: Option<&NameRef>,
) -> std::result::Result<Vec<u8>, &'static str> {
    let no_origin = "a relative name where no origin is known: end it with a dot";
    if text == b"@" {
        return origin.map(|o| o.wire().to_vec()).ok_or(no_origin);
    }
    if text == b"." {
        return Ok(vec![0]);
    }
    if text.is_empty() {
        return Err("an empty name");
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut start = 0;
    wire.push(0);
    let mut at = 0;
    let mut absolute = false;
    while at < text.len() {
        let octet = text[at];
        at += 1;
        let octet = match octet {
            b'.' => {
                close_label(&mut wire, start)?;
                if at == text.len() {
                    absolute = true;
                    break;
                }
                start = wire.len();
                wire.push(0);
                continue;
            }
            b'\\' => unescape(text, &mut at)?,
            other => other,
        };
        wire.push(octet);
    }
    if absolute {
        wire.push(0);
    } else {
        close_label(&mut wire, start)?;
        wire.extend_from_slice(origin.ok_or(no_origin)?.wire());
    }
    if wire.len() > MAX_NAME { Err("a name of more than 255 octets") } else { Ok(wire) }
}

fn close_label(wire: &mut [u8], start: usize) -> std::result::Result<(), &'static str> {
    match wire.len() - start - 1 {
        0 => Err("an empty label (two dots in a row)"),
        length @ 1..=MAX_LABEL => {
            wire[start] = length as u8;
            Ok(())
        }
        _ => Err("a label of more than 63 octets"),
    }
}

/// The octet that an escape stands for; `at` is just behind the backslash.
pub fn unescape(text: &[u8], at: &mut usize) -> std::result::Result<u8, &'static str> {
    let bad = "a broken escape: \\X or \\DDD with DDD up to 255";
    let first = *text.get(*at).ok_or(bad)?;
    if !first.is_ascii_digit() {
        *at += 1;
        return Ok(first);
    }
    let digits = text.get(*at..*at + 3).ok_or(bad)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    *at += 3;
    let value = digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u8::try_from(value).map_err(|_| bad)
}

impl fmt::Display for NameRef {
    /// Absolute text, escaped so that any zone-file reader gives the same octets back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.is_root() {
            return f.write_char('.');
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        f.write_char('\\')?;
                        f.write_char(char::from(octet))?;
                    }
                    0x21..=0x7e => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// See `NameRef::labels`.
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.rest[0]);
        if length == 0 {
            return None;
        }
        let label = &self.rest[1..=length];
        self.rest = &self.rest[1 + length..];
        Some(label)
    }
}

/// Octets whose plain order is the canonical order of names (RFC 4034 section 6.1): labels
/// from the right, lower-cased, each ended by 00; 00 and 01 inside a label are escaped so
/// that a shorter label sorts before any longer one.
pub fn sort_key(name: &NameRef) -> Box<[u8]> {
    let mut starts = [0u8; MAX_NAME];
    let starts = label_starts(&name.0, &mut starts);
    let mut key = Vec::with_capacity(name.0.len() + 4);
    for &start in starts.iter().rev() {
        for octet in label_at(&name.0, start) {
            match octet.to_ascii_lowercase() {
                small @ (0 | 1) => key.extend_from_slice(&[1, small + 1]),
                other => key.push(other),
            }
        }
        key.push(0);
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text, Some(&Name::root())).unwrap()
    }

    #[test]
    fn the_order_is_that_of_rfc_4034_section_6_1() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            let (a, b) = (name(pair[0]), name(pair[1]));
            assert_eq!(a.canonical_cmp(&b), Ordering::Less, "{a} {b}");
            assert!(sort_key(&a) < sort_key(&b), "{a} {b}");
        }
    }

    #[test]
    fn text_goes_to_wire_and_back() {
        for text in [".", "a.b.", "\\000\\255x.\\..", "a\\\\.b."] {
            assert_eq!(name(text).to_string(), text);
        }
        for bad in ["a..b.", "", "\\256.", "\\25", &"x".repeat(64)] {
            assert!(Name::from_text(bad, Some(&Name::root())).is_err(), "{bad}");
        }
    }

    #[test]
    fn under_is_by_labels() {
        assert!(name("a.example.").is_under(&name("example.")));
        assert!(!name("aexample.").is_under(&name("example.")));
        assert!(!name("\\007example.").is_under(&name("example.")));
    }
}
