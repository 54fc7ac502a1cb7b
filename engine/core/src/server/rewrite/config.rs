//! Rules of *rewrite* as Python gives them: the engine's side of server/compiledrewrites.py.
//!
//! Texts are of names as they are written: absolute, in lower case.

use regex_lite::Regex;
use serde::Deserialize;

use crate::error::Error;
use crate::server::config::Origin;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub field: Field,
    /// A rule that fits is the last one without it.
    #[serde(default)]
    pub goes_on: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase", deny_unknown_fields)]
pub enum Field {
    Name {
        names: Names,
        to: String,
        /// In the order of the directive; they are undone backwards.
        answers: Vec<Answer>,
    },
    Type {
        from: u16,
        to: u16,
    },
    Class {
        from: u16,
        to: u16,
    },
    Ttl {
        names: Names,
        least: u32,
        most: u32,
    },
    Rcode {
        names: Names,
        from: u16,
        to: u16,
    },
}

/// Which names a rule is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "match", rename_all = "lowercase", deny_unknown_fields)]
pub enum Names {
    Exact { name: Origin },
    Prefix { text: String },
    Suffix { text: String },
    Substring { text: String },
    Regex { pattern: Pattern },
}

/// How names in the reply are changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Answer {
    /// The question's, and those below it, back to what was asked.
    Auto {},
    Suffix {
        from: String,
        to: String,
    },
    /// Owners.
    Name {
        pattern: Pattern,
        to: String,
    },
    /// Names that rdata leads to.
    Value {
        pattern: Pattern,
        to: String,
    },
}

/// A regular expression, matched in time that grows with the text only.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(pub Regex);

impl TryFrom<String> for Pattern {
    type Error = Error;

    /// Raises "pattern".
    fn try_from(text: String) -> Result<Self, Error> {
        Regex::new(&text).map(Self).map_err(|error| Error::at("pattern", &text, error.to_string()))
    }
}

impl Pattern {
    /// Its groups in the order of their numbers, the whole first, with their names if they have some.
    pub fn names(&self) -> Vec<Option<String>> {
        self.0.capture_names().map(|name| name.map(str::to_owned)).collect()
    }

    /// What the groups matched in `text`, the whole first; empty for one that is not in it.
    pub fn matched(&self, text: &str) -> Option<Vec<String>> {
        let groups = self.0.captures(text)?;
        let found = groups.iter().map(|group| group.map_or("", |found| found.as_str()).to_owned());
        Some(found.collect())
    }

    /// `to` with `{N}` replaced by what the group N matched in `text`; None if nothing matches.
    pub fn replaced(&self, text: &str, to: &str) -> Option<String> {
        let groups = self.0.captures(text)?;
        let mut out = String::with_capacity(text.len() + to.len());
        let mut rest = to;
        while let Some((before, behind)) = rest.split_once('{') {
            out.push_str(before);
            let group = behind.split_once('}').and_then(|(number, behind)| {
                let number = number.parse::<usize>().ok().filter(|&n| n < groups.len())?;
                Some((groups.get(number).map_or("", |found| found.as_str()), behind))
            });
            match group {
                Some((found, behind)) => {
                    out.push_str(found);
                    rest = behind;
                }
                None => {
                    out.push('{');
                    rest = behind;
                }
            }
        }
        out.push_str(rest);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_their_places_and_what_is_none_stays() {
        let cases = [
            (r"(.*)-(us)\.test\.", "{1}.{2}.consul.", Some("ftp.us.consul.")),
            (r"us", "{0}.", Some("us.")),
            (r"(x)?us", "{1}a{2}{b}{", Some("a{2}{b}{")),
            (r"^us", "a.", None),
        ];
        for (pattern, to, expected) in cases {
            let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.replaced("ftp-us.test.", to).as_deref(), expected, "{to}");
        }
        assert!(Pattern::try_from("(".to_owned()).is_err());
    }
}
