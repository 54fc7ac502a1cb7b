//! The table: each native type is a list of fields, in the order of the wire.

use super::types::rtype;

/// What may be done to a name inside rdata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameUse {
    /// RFC 1035's own types: compressed when sent, lower-cased in canonical form.
    Compressible,
    /// RFC 3597 section 4: expanded when received, never compressed when sent; lower-cased.
    Decompressible,
    /// Neither compressed nor expanded; lower-cased (RFC 4034 section 6.2).
    Lowered,
    /// Left alone: types that came after RFC 3597, and NSEC (RFC 6840 section 5.1).
    Opaque,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Name(NameUse),
    U8,
    U16,
    U32,
    /// A u32 of seconds that text may give with units, as in `1h30m`.
    Period,
    /// Seconds since 1970, in text YYYYMMDDHHmmSS or plain (RFC 4034 section 3.2).
    Time,
    Ipv4,
    Ipv6,
    /// A type number of 16 bits, in text its mnemonic.
    Type,
    /// A DNSSEC algorithm: a number of 8 bits or its mnemonic.
    Algorithm,
    /// RFC 4398 section 2.1.
    CertType,
    /// RFC 9859 section 2.1: a number of 8 bits or its mnemonic.
    Scheme,
    /// Four groups of four hex digits with colons (RFC 6742 section 2).
    Locator,
    /// Six octets as hex pairs with dashes (RFC 7043).
    Eui48,
    Eui64,
    /// One character-string (RFC 1035 section 3.3).
    Text,
    /// One or more character-strings, to the end.
    Texts,
    /// A character-string of letters and digits, never quoted (RFC 8659 section 4.1).
    Tag,
    /// The rest as one string without a length (CAA, URI).
    Value,
    /// The rest, not empty.
    Base64,
    /// The rest, not empty.
    Hex,
    /// Length octet and octets: in text hex, or `-` for none (RFC 5155 section 3.3).
    Salt,
    /// Length octet and octets, not empty: in text base32hex (RFC 5155 section 3.3).
    Hash,
    /// Windows of types, to the end (RFC 4034 section 4.1.2).
    Bitmap,
}

use Field::{
    Algorithm, Base64, Bitmap, CertType, Eui48, Eui64, Hash, Hex, Ipv4, Ipv6, Locator, Name,
    Period, Salt, Scheme, Tag, Text, Texts, Time, Type, U8, U16, U32, Value,
};
use NameUse::{Compressible, Decompressible, Lowered, Opaque};

/// The fields of a native type; None for a foreign one.
pub fn fields(number: u16) -> Option<&'static [Field]> {
    Some(match number {
        rtype::A => &[Ipv4],
        rtype::NS
        | rtype::CNAME
        | rtype::PTR
        | rtype::MD
        | rtype::MF
        | rtype::MB
        | rtype::MG
        | rtype::MR => &[Name(Compressible)],
        rtype::SOA => {
            &[Name(Compressible), Name(Compressible), U32, Period, Period, Period, Period]
        }
        rtype::MINFO => &[Name(Compressible), Name(Compressible)],
        rtype::MX => &[U16, Name(Compressible)],
        rtype::TXT | rtype::SPF | rtype::AVC | rtype::NINFO | rtype::RESINFO | rtype::WALLET => {
            &[Texts]
        }
        rtype::HINFO => &[Text, Text],
        rtype::X25 => &[Text],
        rtype::AAAA => &[Ipv6],
        rtype::RP => &[Name(Decompressible), Name(Decompressible)],
        rtype::AFSDB | rtype::RT => &[U16, Name(Decompressible)],
        rtype::PX => &[U16, Name(Decompressible), Name(Decompressible)],
        rtype::SRV => &[U16, U16, U16, Name(Decompressible)],
        rtype::NAPTR => &[U16, U16, Text, Text, Text, Name(Decompressible)],
        rtype::SIG => &[Type, Algorithm, U8, Period, Time, Time, U16, Name(Decompressible), Base64],
        rtype::RRSIG => &[Type, Algorithm, U8, Period, Time, Time, U16, Name(Lowered), Base64],
        rtype::KX => &[U16, Name(Lowered)],
        rtype::DNAME => &[Name(Lowered)],
        rtype::DNSKEY | rtype::CDNSKEY => &[U16, U8, Algorithm, Base64],
        rtype::DS | rtype::CDS | rtype::DLV | rtype::TA => &[U16, Algorithm, U8, Hex],
        rtype::NSEC => &[Name(Opaque), Bitmap],
        rtype::NSEC3 => &[U8, U8, U16, Salt, Hash, Bitmap],
        rtype::NSEC3PARAM => &[U8, U8, U16, Salt],
        rtype::CSYNC => &[U32, U16, Bitmap],
        rtype::ZONEMD => &[U32, U8, U8, Hex],
        rtype::TLSA | rtype::SMIMEA => &[U8, U8, U8, Hex],
        rtype::SSHFP => &[U8, U8, Hex],
        rtype::CERT => &[CertType, U16, Algorithm, Base64],
        rtype::OPENPGPKEY | rtype::DHCID => &[Base64],
        rtype::CAA => &[U8, Tag, Value],
        rtype::URI => &[U16, U16, Value],
        rtype::NID | rtype::L64 => &[U16, Locator],
        rtype::L32 => &[U16, Ipv4],
        rtype::LP => &[U16, Name(Opaque)],
        rtype::EUI48 => &[Eui48],
        rtype::EUI64 => &[Eui64],
        rtype::DSYNC => &[Type, Scheme, U16, Name(Opaque)],
        _ => return None,
    })
}

/// Whether text and wire of this type are read and written here.
pub fn is_native(number: u16) -> bool {
    fields(number).is_some()
}

/// What a type demands beyond the shape of its fields; `rdata` has that shape.
pub fn demands(number: u16, rdata: &[u8]) -> Result<(), &'static str> {
    let right = match number {
        // A CDS of algorithm 0 asks for the removal of the DS (RFC 8078 section 4).
        rtype::CDS if rdata[2] == 0 => {
            return if rdata == [0, 0, 0, 0, 0] {
                Ok(())
            } else {
                Err("a CDS of algorithm 0 is written 0 0 0 00 (RFC 8078 section 4)")
            };
        }
        rtype::DS | rtype::CDS | rtype::DLV | rtype::TA => match rdata[3] {
            1 => rdata.len() == 4 + 20,
            2 => rdata.len() == 4 + 32,
            4 => rdata.len() == 4 + 48,
            _ => true,
        },
        // RFC 8976 section 2.2.4: at least 12 octets, or what the hash gives.
        rtype::ZONEMD => match rdata[5] {
            1 => rdata.len() == 6 + 48,
            2 => rdata.len() == 6 + 64,
            _ => rdata.len() >= 6 + 12,
        },
        rtype::URI if rdata.len() == 4 => return Err("a URI record needs a target"),
        _ => true,
    };
    if right { Ok(()) } else { Err("the digest's length does not fit its algorithm") }
}
