//! Type numbers and their mnemonics (IANA's registry of resource record types).

use std::borrow::Cow;
use std::sync::LazyLock;

/// The one mnemonic that is no identifier.
fn spelled(identifier: &'static str) -> &'static str {
    if identifier == "NSAP_PTR" { "NSAP-PTR" } else { identifier }
}

macro_rules! types {
    ($($name:ident = $value:literal,)*) => {
        /// Record types by mnemonic.
        pub mod rtype {
            $(pub const $name: u16 = $value;)*
        }

        static MNEMONICS: &[(&str, u16)] = &[$((stringify!($name), $value),)*];

        fn mnemonic(number: u16) -> Option<&'static str> {
            match number {
                $($value => Some(spelled(stringify!($name))),)*
                _ => None,
            }
        }
    };
}

types! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10,
    WKS = 11, PTR = 12, HINFO = 13, MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18,
    X25 = 19, ISDN = 20, RT = 21, NSAP = 22, NSAP_PTR = 23, SIG = 24, KEY = 25, PX = 26,
    GPOS = 27, AAAA = 28, LOC = 29, NXT = 30, EID = 31, NIMLOC = 32, SRV = 33, ATMA = 34,
    NAPTR = 35, KX = 36, CERT = 37, A6 = 38, DNAME = 39, SINK = 40, OPT = 41, APL = 42,
    DS = 43, SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49,
    NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, HIP = 55, NINFO = 56, RKEY = 57,
    TALINK = 58, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63, SVCB = 64,
    HTTPS = 65, DSYNC = 66, HHIT = 67, BRID = 68, SPF = 99, UINFO = 100, UID = 101,
    GID = 102, UNSPEC = 103, NID = 104, L32 = 105, L64 = 106, LP = 107, EUI48 = 108,
    EUI64 = 109, NXNAME = 128, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253,
    MAILA = 254, ANY = 255, URI = 256, CAA = 257, AVC = 258, DOA = 259, AMTRELAY = 260,
    RESINFO = 261, WALLET = 262, TA = 32768, DLV = 32769,
}

/// The mnemonic, or TYPEnnn (RFC 3597 section 5).
pub fn type_name(number: u16) -> Cow<'static, str> {
    match mnemonic(number) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(format!("TYPE{number}")),
    }
}

/// A mnemonic or TYPEnnn, in any case.
pub fn type_from_text(text: &str) -> Option<u16> {
    type_from_octets(text.as_bytes())
}

const SLOTS: usize = 512;
const LONGEST: usize = 16;

type Slot = Option<(&'static [u8], u16)>;

/// Open addressing over the upper-cased mnemonic: the scanner looks one up per record.
static SLOT_OF: LazyLock<[Slot; SLOTS]> = LazyLock::new(|| {
    let mut slots = [None; SLOTS];
    for &(identifier, number) in MNEMONICS {
        let text = spelled(identifier).as_bytes();
        let mut slot = slot(text);
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = Some((text, number));
    }
    slots
});

fn slot(upper: &[u8]) -> usize {
    let hash = upper
        .iter()
        .fold(5381u32, |sum, &octet| sum.wrapping_mul(33).wrapping_add(u32::from(octet)));
    (hash ^ (hash >> 9)) as usize % SLOTS
}

pub(crate) fn type_from_octets(text: &[u8]) -> Option<u16> {
    let mut buffer = [0u8; LONGEST];
    let upper = buffer.get_mut(..text.len())?;
    upper.copy_from_slice(text);
    upper.make_ascii_uppercase();
    let mut at = slot(upper);
    while let Some((known, number)) = SLOT_OF[at] {
        if known == upper {
            return Some(number);
        }
        at = (at + 1) % SLOTS;
    }
    let digits = upper.strip_prefix(b"TYPE")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
