use super::*;
use crate::name::Name;

/// Text to wire, splitting at blanks: enough for rdata without quoted blanks.
fn wire(rtype: u16, text: &str) -> Result<Vec<u8>, Wrong> {
    let tokens: Vec<_> = text
        .split_whitespace()
        .map(|word| {
            let bare = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
            Token {
                text: bare.unwrap_or(word).as_bytes(),
                start: 0,
                quoted: bare.is_some(),
                escaped: word.contains('\\'),
            }
        })
        .collect();
    let mut out = Vec::new();
    from_tokens(rtype, &tokens, &Name::from_text("example.", None).unwrap(), &mut out)?;
    Ok(out)
}

#[test]
fn text_survives_the_way_through_wire() {
    let cases = [
        (rtype::A, "192.0.2.1"),
        (rtype::AAAA, "2001:db8::1"),
        (rtype::SOA, "ns.example. host\\.master.example. 4294967295 3600 900 604800 300"),
        (rtype::MX, "10 mail.example."),
        (rtype::TXT, "\"a\\\"b\" \"\" \"\\000\\255\""),
        (rtype::NAPTR, "1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:x!\" ."),
        (rtype::RRSIG, "TYPE65280 13 2 300 21060207062815 20240229235959 7 example. AAEC"),
        (rtype::NSEC, "a.example. A NS RRSIG NSEC TYPE1234 TYPE65535"),
        (rtype::NSEC3, "1 1 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"),
        (rtype::NSEC3, "1 0 5 AABB 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM NS"),
        (rtype::CAA, "128 issue \"ca.example; x=\\\"y\\\"\""),
        (rtype::URI, "1 2 \"https://example.org/\""),
        (rtype::EUI48, "00-00-5e-00-53-2a"),
        (rtype::L64, "10 2001:0db8:1140:1000"),
        (rtype::CDS, "0 0 0 00"),
        (rtype::CSYNC, "1 3"),
    ];
    for (number, text) in cases {
        let rdata = match number {
            // A blank inside quotes: the table's splitter can't.
            rtype::CAA => b"\x80\x05issueca.example; x=\"y\"".to_vec(),
            _ => wire(number, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")),
        };
        assert_eq!(validate(number, &rdata), Ok(()), "{text}");
        assert_eq!(to_text(number, &rdata).as_deref(), Some(text));
    }
}

#[test]
fn wrong_text_is_told_by_token() {
    let cases = [
        (rtype::A, "192.0.2.256", 0),
        (rtype::A, "192.0.2.1 x", 1),
        (rtype::MX, "10", 1),
        (rtype::MX, "65536 a", 0),
        (rtype::NSEC, "a. A BOGUS", 2),
        (rtype::DS, "1 13 2 00", 0),
        (rtype::DS, "1 13 9 0", 3),
        (rtype::A, "\\# 3 0A0000", 1),
        (rtype::A, "\\# 4 0A00", 1),
        (rtype::LOC, "52 N", 0),
        (rtype::RRSIG, "A 13 2 300 20230229000000 20230101000000 7 . AAEC", 4),
        (rtype::NSEC3PARAM, "1 0 0 ABC", 3),
        (rtype::CAA, "0 is-sue \"x\"", 1),
    ];
    for (number, text, token) in cases {
        assert_eq!(wire(number, text).map_err(|wrong| wrong.token), Err(token), "{text}");
    }
}

#[test]
fn only_the_listed_types_are_lowered_and_compressed() {
    let upper = wire(rtype::MX, "10 MAIL.Example.").unwrap();
    assert_eq!(*canonical(rtype::MX, &upper), *b"\0\x0a\x04mail\x07example\0");
    assert_eq!(compressible_names(rtype::MX, &upper).collect::<Vec<_>>(), [(2, 14)]);
    let srv = wire(rtype::SRV, "1 2 3 A.").unwrap();
    assert_eq!(canonical(rtype::SRV, &srv)[6..], *b"\x01a\0");
    assert_eq!(compressible_names(rtype::SRV, &srv).count(), 0);
    let nsec = wire(rtype::NSEC, "A. NS").unwrap();
    assert_eq!(*canonical(rtype::NSEC, &nsec), nsec);
}

#[test]
fn names_are_expanded_backwards_only() {
    let message = b"\x07example\0\x00\x0a\x02mx\xc0\x00\xc0\x0f";
    assert_eq!(
        decompress(rtype::MX, message, 9, 7).as_deref(),
        Ok(&b"\0\x0a\x02mx\x07example\0"[..])
    );
    assert!(decompress(rtype::NS, message, 14, 4).is_err());
    assert!(decompress(rtype::NS, b"\xc0\x00", 0, 2).is_err(), "a pointer to itself");
    assert!(decompress(rtype::DNAME, message, 14, 2).is_err(), "not RFC 3597's list");
    assert!(decompress(rtype::A, message, 9, 5).is_err());
    assert!(decompress(rtype::A, message, usize::MAX, 2).is_err());
}

proptest::proptest! {
    #[test]
    fn any_octets_are_survived(
        number in 0u16..260,
        message in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        offset in 0usize..40,
        length in 0usize..300,
    ) {
        if let Ok(rdata) = decompress(number, &message, offset, length) {
            assert_eq!(validate(number, &rdata), Ok(()));
            assert_eq!(canonical(number, &rdata).len(), rdata.len());
            for (start, size) in compressible_names(number, &rdata) {
                assert!(crate::name::NameRef::parse(&rdata[start..start + size]).is_ok());
            }
            assert_eq!(to_text(number, &rdata).is_some(), is_native(number));
        }
    }
}
