//! Many names in little memory: what is said of a name itself, and of all below it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::error::{Error, Result};
use crate::name::NameRef;

/// Nothing is said.
pub const NONE: u32 = u32::MAX;

/// Numbers whose meaning is known to whoever fills the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub exact: u32,
    pub below: u32,
}

const NOTHING: Said = Said { exact: NONE, below: NONE };
const NUMBERS: usize = 8;

/// Names, lower-cased, stand one behind the other, each with its two numbers behind it; the
/// hash table holds their places only.
#[derive(Default)]
pub struct Names {
    hasher: RandomState,
    places: HashTable<u32>,
    octets: Vec<u8>,
}

fn name_at(octets: &[u8], place: u32) -> &[u8] {
    let rest = octets.get(place as usize..).unwrap_or_default();
    NameRef::prefix(rest).map_or(&[], NameRef::wire)
}

impl Names {
    pub fn with_capacity(names: usize) -> Self {
        Self { places: HashTable::with_capacity(names), ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.octets.capacity() + self.places.allocation_size()
    }

    fn place(&self, name: &NameRef) -> Option<u32> {
        let wire = name.wire();
        let is_it =
            |place: &u32| self.octets.get(*place as usize..).unwrap_or_default().starts_with(wire);
        self.places.find(self.hasher.hash_one(wire), is_it).copied()
    }

    pub fn at(&self, name: &NameRef) -> Option<Said> {
        let start = self.place(name)? as usize + name.wire().len();
        let numbers = self.octets.get(start..start + NUMBERS)?;
        let number = |at: usize| {
            numbers
                .get(at..at + 4)
                .and_then(|octets| octets.try_into().ok())
                .map_or(NONE, u32::from_ne_bytes)
        };
        Some(Said { exact: number(0), below: number(4) })
    }

    /// Say something of a name, in the place of what was said. Raises "size" when the names
    /// take more than 4 GiB.
    pub fn set(&mut self, name: &NameRef, said: Said) -> Result<()> {
        let place = match self.place(name) {
            Some(place) => place as usize,
            None => self.push(name)?,
        };
        let start = place + name.wire().len();
        if let Some(numbers) = self.octets.get_mut(start..start + NUMBERS) {
            numbers[..4].copy_from_slice(&said.exact.to_ne_bytes());
            numbers[4..].copy_from_slice(&said.below.to_ne_bytes());
        }
        Ok(())
    }

    /// Say what is not `NONE`, beside what was said.
    pub fn add(&mut self, name: &NameRef, said: Said) -> Result<()> {
        let before = self.at(name).unwrap_or(NOTHING);
        let choose = |new, old| if new == NONE { old } else { new };
        let [exact, below] = [choose(said.exact, before.exact), choose(said.below, before.below)];
        self.set(name, Said { exact, below })
    }

    fn push(&mut self, name: &NameRef) -> Result<usize> {
        let start = self.octets.len();
        let full = || Error::new("size", "the names take more than 4 GiB");
        let place = u32::try_from(start).map_err(|_| full())?;
        self.octets.extend_from_slice(name.wire());
        self.octets.extend_from_slice(&[0xff; NUMBERS]);
        let Self { hasher, places, octets } = self;
        places.insert_unique(hasher.hash_one(name.wire()), place, |other| {
            hasher.hash_one(name_at(octets, *other))
        });
        Ok(start)
    }

    /// All that is to come has come.
    pub fn close(&mut self) {
        self.octets.shrink_to_fit();
    }

    /// Whether something is said of the name, or of all below a name above it; with `as_suffix`
    /// what is said of a name holds below it too.
    pub fn has(&self, name: &NameRef, as_suffix: bool) -> bool {
        let mut is_own = true;
        name.ancestors().any(|one| {
            let own = std::mem::replace(&mut is_own, false);
            self.at(one).is_some_and(|said| {
                let exact = said.exact != NONE && (own || as_suffix);
                exact || said.below != NONE && !own
            })
        })
    }

    /// As a zone with wildcards would answer (RFC 4592): of the nearest name that is there, what
    /// is said of it, or else of all below it.
    pub fn nearest(&self, name: &NameRef) -> u32 {
        let mut is_own = true;
        let found = name.ancestors().find_map(|one| {
            let own = std::mem::replace(&mut is_own, false);
            self.at(one).map(|said| if own { said.exact } else { said.below })
        });
        found.unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::name::Name;

    fn name(text: &str) -> Name {
        Name::from_text(text, None).unwrap()
    }

    fn table(all: &[(&str, u32, u32)]) -> Names {
        let mut names = Names::default();
        for &(text, exact, below) in all {
            names.add(&name(text), Said { exact, below }).unwrap();
        }
        names
    }

    #[test]
    fn a_list_holds_names_and_what_is_below_them() {
        let names = table(&[("a.test.", 0, NONE), ("b.test.", NONE, 0)]);
        let cases = [
            ("a.test.", true, true),
            ("x.a.test.", false, true),
            ("xa.test.", false, false),
            ("test.", false, false),
            ("b.test.", false, false),
            ("y.x.b.test.", true, true),
        ];
        for (text, as_it_is, as_suffix) in cases {
            assert_eq!(names.has(&name(text), false), as_it_is, "{text}");
            assert_eq!(names.has(&name(text), true), as_suffix, "{text}");
        }
    }

    #[test]
    fn the_nearest_name_that_is_there_decides_as_in_a_zone() {
        let names = table(&[
            ("a.test.", NONE, 1),
            ("a.test.", 2, NONE),
            ("z.y.a.test.", 3, NONE),
            ("y.a.test.", NONE, NONE),
        ]);
        let cases = [
            ("a.test.", 2),
            ("x.a.test.", 1),
            ("w.x.a.test.", 1),
            ("z.y.a.test.", 3),
            ("y.a.test.", NONE),
            ("x.y.a.test.", NONE),
            ("b.test.", NONE),
        ];
        for (text, expected) in cases {
            assert_eq!(names.nearest(&name(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_said_last_is_found(said in prop::collection::vec(("[ab]{1,2}(\\.[ab]{1,2}){0,2}\\.", 0u32..9), 0..60)) {
            let mut names = Names::with_capacity(3);
            let mut told = HashMap::new();
            for (text, number) in &said {
                names.set(&name(text), Said { exact: *number, below: NONE }).unwrap();
                told.insert(text.clone(), *number);
            }
            prop_assert_eq!(names.len(), told.len());
            for (text, number) in told {
                prop_assert_eq!(names.at(&name(&text)), Some(Said { exact: number, below: NONE }));
            }
        }
    }
}
