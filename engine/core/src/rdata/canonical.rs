//! The canonical form of rdata (RFC 4034 section 6.2), and where names may be compressed.

use std::borrow::Cow;

use super::table::{Field, NameUse, fields};
use super::wire::spans;

fn has_name(rtype: u16, wanted: impl Fn(NameUse) -> bool) -> bool {
    let is = |field: &Field| matches!(field, Field::Name(how) if wanted(*how));
    fields(rtype).is_some_and(|fields| fields.iter().any(is))
}

/// Rdata with its names lower-cased in the types that RFC 4034 section 6.2 lists, without
/// NSEC (RFC 6840 section 5.1).
pub fn canonical(rtype: u16, rdata: &[u8]) -> Cow<'_, [u8]> {
    if !has_name(rtype, |how| how != NameUse::Opaque) {
        return Cow::Borrowed(rdata);
    }
    let mut form = Cow::Borrowed(rdata);
    for (field, start, end) in spans(rtype, rdata) {
        if let Field::Name(how) = field
            && how != NameUse::Opaque
            && rdata[start..end].iter().any(u8::is_ascii_uppercase)
        {
            // Length octets are at most 63, 'A' is 65: the whole wire may be lowered.
            form.to_mut()[start..end].make_ascii_lowercase();
        }
    }
    form
}

/// Offset and length of each name that a sender may compress (RFC 3597 section 4).
pub fn compressible_names(
    rtype: u16,
    rdata: &[u8],
) -> impl Iterator<Item = (usize, usize)> + use<'_> {
    let any = has_name(rtype, |how| how == NameUse::Compressible);
    let all = any.then(|| spans(rtype, rdata)).into_iter().flatten();
    all.filter(|(field, ..)| *field == Field::Name(NameUse::Compressible))
        .map(|(_, start, end)| (start, end - start))
}
