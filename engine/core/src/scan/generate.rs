//! BIND's $GENERATE: a template line, repeated over a range of numbers.

use std::fmt::Write;

/// Enough for the reverse names of sixteen /16 networks; a slip of the finger is no bomb.
const MAX_COUNT: u64 = 1 << 20;
/// No name or string takes a longer number.
const MAX_WIDTH: usize = 255;

/// `start-stop[/step]`, the stop included.
#[derive(Debug)]
pub struct Range {
    next: u64,
    stop: u64,
    step: u64,
}

impl Range {
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let parsed = std::str::from_utf8(text).ok().and_then(|text| {
            let (bounds, step) = text.split_once('/').unwrap_or((text, "1"));
            let (start, stop) = bounds.split_once('-')?;
            Some((number(start)?, number(stop)?, number(step)?))
        });
        let Some((next, stop, step)) = parsed else {
            return Err("not a range: write START-STOP or START-STOP/STEP".into());
        };
        if next > stop || step == 0 {
            return Err("a range begins at or before its end, its step is at least 1".into());
        }
        if (stop - next) / step >= MAX_COUNT {
            return Err(format!("a range of more than {MAX_COUNT} numbers: split it"));
        }
        Ok(Self { next, stop, step })
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse::<u32>().ok().filter(|_| digits).map(u64::from)
}

impl Iterator for Range {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let value = (self.next <= self.stop).then_some(self.next)?;
        self.next += self.step;
        Some(value as u32)
    }
}

/// Append the template with `$` and `${offset,width,base}` replaced. `\$` and `$$` stand
/// for a dollar sign; comments stay as they are.
pub fn expand(template: &[u8], value: u32, out: &mut Vec<u8>) -> Result<(), String> {
    let (mut at, mut in_quotes) = (0, false);
    while let Some(&octet) = template.get(at) {
        match octet {
            b'\\' => {
                let pair = &template[at..template.len().min(at + 2)];
                out.extend_from_slice(pair);
                at += pair.len();
                continue;
            }
            b'$' => {
                at += 1;
                at += substitute(&template[at..], value, out)?;
                continue;
            }
            b';' if !in_quotes => {
                let rest = &template[at..];
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..length]);
                at += length;
                continue;
            }
            b'"' => in_quotes = !in_quotes,
            _ => {}
        }
        out.push(octet);
        at += 1;
    }
    Ok(())
}

/// What stands behind a dollar sign; gives how much of it was read.
fn substitute(rest: &[u8], value: u32, out: &mut Vec<u8>) -> Result<usize, String> {
    match rest.first() {
        Some(b'$') => {
            out.extend_from_slice(b"\\$");
            Ok(1)
        }
        Some(b'{') => {
            let end = memchr::memchr(b'}', rest).ok_or("\"${\" without \"}\"")?;
            let modifier = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
            let text = modified(modifier, value).ok_or_else(|| {
                format!(
                    "not a modifier: ${{{modifier}}}; write ${{OFFSET,WIDTH,BASE}} with BASE one \
                     of d o x X n N, and no result below 0"
                )
            })?;
            out.extend_from_slice(text.as_bytes());
            Ok(end + 1)
        }
        _ => {
            out.extend_from_slice(value.to_string().as_bytes());
            Ok(0)
        }
    }
}

fn modified(modifier: &str, value: u32) -> Option<String> {
    let mut parts = modifier.split(',');
    let offset: i64 = parts.next()?.parse::<i32>().ok()?.into();
    let width: usize = parts.next().map_or(Some(0), |width| width.parse().ok())?;
    let base = parts.next().unwrap_or("d");
    let value = u64::try_from(i64::from(value) + offset).ok()?;
    if parts.next().is_some() || width > MAX_WIDTH {
        return None;
    }
    Some(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" => nibbles(value, width),
        "N" => nibbles(value, width).to_ascii_uppercase(),
        _ => return None,
    })
}

/// Hex digits from the last to the first with dots between, as ip6.arpa has them; the
/// width counts the dots too.
fn nibbles(mut value: u64, width: usize) -> String {
    let mut text = String::new();
    loop {
        // Writing to a String does not fail.
        let _ = write!(text, "{:x}", value & 15);
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if value == 0 && text.len() >= width {
            return text;
        }
    }
}
