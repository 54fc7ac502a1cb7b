use super::*;
use crate::name::Name;
use crate::rdata::{to_text, type_name};

#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn record(
        &mut self,
        owner: &NameRef,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        _: Place,
    ) -> Result<(), String> {
        let data = to_text(rtype, rdata).unwrap_or_default();
        self.0.push(format!("{owner} {ttl} {} {data}", type_name(rtype)));
        Ok(())
    }
}

fn read(text: &[u8]) -> (Vec<String>, Vec<Problem>) {
    let mut lines = Lines::default();
    let origin = Name::from_text("example.", None).unwrap();
    let options = Options { default_ttl: Some(60), max_problems: 20 };
    let mut reader = Reader::new(&origin, &options, &mut lines, None);
    reader.read(text, "t", None);
    let (problems, _) = reader.finish();
    (lines.0, problems)
}

#[test]
fn a_generated_line_counts_in_every_base() {
    let (lines, problems) = read(
        b"$GENERATE 9-11/2 h${-1,3} 5 IN A 192.0.2.$\n\
          $GENERATE 26-26 ${0,4,x}.${0,4,X}.${0,0,o}.${0,5,n}.\\$ TXT \"$$ $\" ; $ {\n",
    );
    assert_eq!(problems, []);
    assert_eq!(
        lines,
        [
            "h008.example. 5 A 192.0.2.9",
            "h010.example. 5 A 192.0.2.11",
            "001a.001A.32.a.1.0.\\$.example. 60 TXT \"$ 26\"",
        ]
    );
}

#[test]
fn reading_goes_on_behind_an_error() {
    for (text, wanted) in [
        ("a A (192.0.2.1\n \"open\n b A 1.1.1.1)\nf A 192.0.2.6", vec![(2, 2)]),
        ("a A (192.0.2.1\n ; x\n b\nf A 192.0.2.6", vec![(1, 5)]),
        ("a A 192.0.2.1)\n A 1.1.1\nf A 192.0.2.6", vec![(1, 14), (2, 4)]),
    ] {
        let (lines, problems) = read(text.as_bytes());
        let places: Vec<_> = problems.iter().map(|found| (found.line, found.column)).collect();
        assert_eq!(places, wanted, "{problems:?}");
        assert_eq!(lines, ["f.example. 60 A 192.0.2.6"]);
    }
}

proptest::proptest! {
    #[test]
    fn any_octets_are_survived(
        text in "([ \t\n\r;()\"\\\\$@.0-9]|A|NS|TXT|IN|\\$GENERATE 1-3|\\$ORIGIN|\\$TTL|\\$INCLUDE|\\PC){0,80}",
        octets in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
    ) {
        read(text.as_bytes());
        read(&octets);
    }
}
