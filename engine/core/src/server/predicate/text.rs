//! A name as text, without an allocation.

use std::fmt::{self, Write};

use crate::name::{MAX_NAME, NameRef};

/// Each octet as an escape of four characters.
const LONGEST: usize = 4 * MAX_NAME;

pub struct NameText {
    octets: [u8; LONGEST],
    length: usize,
}

impl NameText {
    pub fn new(name: &NameRef) -> Self {
        let mut text = Self { octets: [0; LONGEST], length: 0 };
        // There is room for every name.
        let _fits = write!(text, "{name}");
        text
    }

    /// Written the first time only.
    pub fn once<'t>(text: &'t mut Option<Self>, name: &NameRef) -> &'t [u8] {
        text.get_or_insert_with(|| Self::new(name)).octets()
    }

    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl Write for NameText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.octets.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn there_is_room_for_every_name() {
        let label = |length: u8| [vec![length], vec![0; usize::from(length)]].concat();
        let wire = [label(63), label(63), label(63), label(61), vec![0]].concat();
        assert_eq!(wire.len(), MAX_NAME);
        let name = NameRef::from_valid(&wire);
        assert_eq!(NameText::new(name).octets(), name.to_string().as_bytes());
        let short = Name::from_text("a.example.org.", None).unwrap();
        assert_eq!(NameText::new(&short).octets(), b"a.example.org.");
    }
}
