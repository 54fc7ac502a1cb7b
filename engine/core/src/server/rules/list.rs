//! Lists of names as they are found in the field: a name a line, hosts files, adblock's form.

use std::net::IpAddr;

use crate::error::Result;
use crate::name::{NameRef, text_to_wire};
use crate::server::rules::names::{NONE, Names, Said};

const HERE: Said = Said { exact: 0, below: NONE };
const BELOW: Said = Said { exact: NONE, below: 0 };
const BOTH: Said = Said { exact: 0, below: 0 };

/// The names of a list, and how many lines could not be read. Raises "size".
pub fn read(text: &[u8]) -> Result<(Names, usize)> {
    let lines = || text.split(|octet| *octet == b'\n');
    let mut names = Names::with_capacity(lines().count());
    let mut unread = 0;
    for line in lines() {
        let meaning = line.split(|octet| *octet == b'#').next().unwrap_or_default().trim_ascii();
        if matches!(meaning.first(), None | Some(b'!' | b';')) {
            continue;
        }
        let words: Vec<&[u8]> =
            meaning.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        let is_read = match &words[..] {
            [one] => take(one, &mut names)?,
            [address, rest @ ..] if is_address(address) => {
                let mut all = true;
                // A name of one label is the machine's own.
                for word in rest.iter().filter(|word| word.contains(&b'.')) {
                    all &= take(word, &mut names)?;
                }
                all
            }
            _ => false,
        };
        unread += usize::from(!is_read);
    }
    names.close();
    Ok((names, unread))
}

fn is_address(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

fn take(word: &[u8], names: &mut Names) -> Result<bool> {
    let (text, said) = if let Some(rest) = word.strip_prefix(b"*.") {
        (rest, BELOW)
    } else if let Some(rest) = word.strip_prefix(b"||") {
        (rest.strip_suffix(b"^").unwrap_or(rest), BOTH)
    } else if word.len() > 1 && word[0] == b'.' {
        (&word[1..], BOTH)
    } else {
        (word, HERE)
    };
    let is_plain = |octet: &u8| octet.is_ascii_graphic() && !b"/|^,\"()".contains(octet);
    if !text.iter().all(is_plain) || is_address(text) {
        return Ok(false);
    }
    let Ok(mut wire) = text_to_wire(text, Some(NameRef::from_valid(&[0]))) else {
        return Ok(false);
    };
    wire.make_ascii_lowercase();
    names.add(NameRef::from_valid(&wire), said)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn a_line_is_a_name_or_what_the_field_writes_for_one() {
        let text = b"# ads\n! adblock\n\nAds.Example.com\n*.wild.test # below\n.dot.test.\r\n\
            0.0.0.0 one.test two.test localhost\n||block.test^\n::1 localhost\n\
            two words\n192.0.2.1\na..b\n/regex/\n||url.test/path^\n";
        let (names, unread) = read(text).unwrap();
        let cases = [
            ("ads.example.com.", true),
            ("x.ads.example.com.", false),
            ("wild.test.", false),
            ("x.wild.test.", true),
            ("dot.test.", true),
            ("x.dot.test.", true),
            ("one.test.", true),
            ("two.test.", true),
            ("localhost.", false),
            ("x.block.test.", true),
            ("words.", false),
            ("url.test.", false),
        ];
        for (name, expected) in cases {
            assert_eq!(names.has(&Name::from_text(name, None).unwrap(), false), expected, "{name}");
        }
        assert_eq!((names.len(), unread), (6, 5));
    }
}
