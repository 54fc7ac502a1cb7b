//! What a field wants and what stands in its stead, for messages.

use std::borrow::Cow;

use super::parse::Token;
use super::table::Field;

/// A token for a message: printable, not too long.
pub fn shown(token: &Token<'_>) -> String {
    const MOST: usize = 40;
    let cut = &token.text[..token.text.len().min(MOST)];
    let dots = if cut.len() < token.text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", String::from_utf8_lossy(cut).escape_debug())
}

pub fn expected(field: Field, token: &Token<'_>) -> Cow<'static, str> {
    format!("expected {}, found {}", wanted(field), shown(token)).into()
}

pub fn wanted(field: Field) -> &'static str {
    match field {
        Field::Name(_) => "a domain name",
        Field::U8 => "a number up to 255",
        Field::U16 => "a number up to 65535",
        Field::U32 => "a number up to 4294967295",
        Field::Period => "seconds up to 4294967295 or a period such as 1h30m",
        Field::Time => "a time as YYYYMMDDHHmmSS",
        Field::Ipv4 => "an IPv4 address such as 192.0.2.1",
        Field::Ipv6 => "an IPv6 address such as 2001:db8::1",
        Field::Type => "a record type",
        Field::Algorithm => "an algorithm number or mnemonic such as ECDSAP256SHA256",
        Field::CertType => "a certificate type such as PKIX",
        Field::Scheme => "a scheme number or NOTIFY",
        Field::Locator => "four groups of hex such as 0014:4fff:ff20:ee64",
        Field::Eui48 => "six hex pairs such as 00-00-5e-00-53-2a",
        Field::Eui64 => "eight hex pairs such as 00-00-5e-ef-10-00-00-2a",
        Field::Text | Field::Texts | Field::Value => "a string",
        Field::Tag => "a tag of letters and digits",
        Field::Base64 => "base64",
        Field::Hex => "hex digits",
        Field::Salt => "a salt in hex, or - for none",
        Field::Hash => "a hash in base32hex",
        Field::Bitmap => "record types",
    }
}
