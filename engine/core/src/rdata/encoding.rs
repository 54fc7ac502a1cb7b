//! Text encodings inside rdata: hex, base32hex, dates, periods, mnemonics of numbers.

/// RFC 8624's mnemonics, as RFC 4034 appendix A.1 allows them in zone files.
pub const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("DSANSEC3SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1NSEC3SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// RFC 4398 section 2.1.
pub const CERT_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// RFC 9859 section 2.1.
pub const SCHEMES: &[(&str, u16)] = &[("NOTIFY", 1)];

pub fn mnemonic_value(table: &[(&str, u16)], text: &[u8]) -> Option<u16> {
    let found = table.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text));
    found.map(|&(_, value)| value)
}

/// A plain decimal number of at most `most`.
pub fn decimal(text: &[u8], most: u64) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    for octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (value <= most).then_some(value)
}

/// Seconds, plain or with units as in `1h30m` (w, d, h, m, s in any case); a number without
/// a unit stands alone. Larger than a u64 is None too.
pub fn period(text: &[u8]) -> Option<u64> {
    if let Some(seconds) = decimal(text, u64::MAX) {
        return Some(seconds);
    }
    let (mut total, mut number) = (0u64, None);
    for &octet in text {
        if octet.is_ascii_digit() {
            let digit = u64::from(octet - b'0');
            number = Some(number.unwrap_or(0u64).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// YYYYMMDDHHmmSS or plain seconds (RFC 4034 section 3.2).
pub fn parse_time(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return decimal(text, u64::from(u32::MAX)).map(|seconds| seconds as u32);
    }
    let part = |from: usize, to: usize| decimal(&text[from..to], 9999).map(|v| v as i64);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    u32::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

pub fn time_text(seconds: u32) -> String {
    let days = i64::from(seconds / 86_400);
    // An upper guess of the year, then months, walked down: at most a step or two.
    let mut year = 1970 + days / 365;
    while days_before(year, 1) > days {
        year -= 1;
    }
    let month = (1..=12).rev().find(|&month| days_before(year, month) <= days).unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let past = year - 1;
    let leaps = past / 4 - past / 100 + past / 400 - 477;
    (year - 1970) * 365 + leaps + (1..month).map(|m| days_in(year, m)).sum::<i64>()
}

/// Append the octets that hex digits stand for; `half` carries an odd digit over to the
/// next piece of the same field.
pub fn push_hex(text: &[u8], half: &mut Option<u8>, out: &mut Vec<u8>) -> Option<()> {
    for &octet in text {
        let digit = char::from(octet).to_digit(16)? as u8;
        match half.take() {
            None => *half = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    Some(())
}

pub fn hex_text(octets: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(octets.len() * 2);
    for octet in octets {
        out.push(char::from(DIGITS[usize::from(octet >> 4)]));
        out.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
}

const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// RFC 4648 section 7 without padding, as NSEC3 owners and next hashes are written.
pub fn base32hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0u32, 0);
    for &octet in octets {
        bits = bits << 8 | u32::from(octet);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(BASE32HEX[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(BASE32HEX[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// Append the octets that such text stands for, in any case; None when it is none.
pub fn push_base32hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut bits, mut held) = (0u32, 0);
    for octet in text {
        let value = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'v' => octet - b'a' + 10,
            b'A'..=b'V' => octet - b'A' + 10,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Leftover bits are padding: fewer than five, and zero.
    (held < 5 && bits == 0).then_some(())
}
