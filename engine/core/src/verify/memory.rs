//! Signatures that verified once, by digest. A hint and no more: what it does not know is
//! verified again.

use std::io::Write;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};
use foldhash::HashSet;

use crate::disk::files;
use crate::error::Result;

const MARK: &[u8; 8] = b"ZWSEEN1\n";
const SIZE: usize = 16;

/// Of a key, a signature, and the octets that it signs (RFC 4034 section 3.1.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; SIZE]);

impl Digest {
    pub fn of(dnskey: &[u8], signature: &[u8], message: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [dnskey, signature] {
            context.update(&(part.len() as u32).to_be_bytes());
            context.update(part);
        }
        context.update(message);
        let mut digest = [0; SIZE];
        digest.copy_from_slice(&context.finish().as_ref()[..SIZE]);
        Self(digest)
    }
}

#[derive(Debug, Default)]
pub struct Memory {
    known: HashSet<Digest>,
}

impl Memory {
    /// What `save` wrote; nothing when there is no such file, or it is damaged.
    pub fn load(path: &Path) -> Self {
        let content = files::read(path).ok().flatten().unwrap_or_default();
        Self { known: parse(&content).unwrap_or_default() }
    }

    /// Raises "io".
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut content = Vec::with_capacity(MARK.len() + self.known.len() * SIZE + 32);
        content.extend_from_slice(MARK);
        self.known.iter().for_each(|digest| content.extend_from_slice(&digest.0));
        let sum = digest(&SHA256, &content);
        content.extend_from_slice(sum.as_ref());
        files::replace(path, |file| file.write_all(&content))
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn knows(&self, digest: &Digest) -> bool {
        self.known.contains(digest)
    }

    /// Take in what verified. `whole`: nothing else is in the zone, so the rest is forgotten.
    pub fn learn(&mut self, seen: Vec<Digest>, whole: bool) {
        if whole {
            self.known.clear();
        }
        self.known.extend(seen);
    }
}

fn parse(content: &[u8]) -> Option<HashSet<Digest>> {
    let (body, sum) = content.split_at_checked(content.len().checked_sub(SHA256_OUTPUT_LEN)?)?;
    if digest(&SHA256, body).as_ref() != sum {
        return None;
    }
    let digests = body.strip_prefix(MARK)?.chunks_exact(SIZE);
    Some(digests.filter_map(|octets| octets.try_into().ok()).map(Digest).collect())
}
