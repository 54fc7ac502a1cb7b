//! What is said of a whole zone in one value.

use aws_lc_rs::digest;

use crate::dnssec::canonical::push_rrset;
use crate::rdata::rtype;
use crate::zone::Zone;

impl Zone {
    /// SHA-384 over all records, signatures included, in canonical form and order.
    pub fn digest(&self) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA384);
        let mut records = vec![];
        for node in self.canonical_after(None) {
            records.clear();
            for rrset in node.rrsets() {
                push_rrset(&mut records, node.name(), rrset.rtype, rrset.ttl, rrset.rdatas());
                let mut signatures: Vec<_> = rrset.signatures().collect();
                signatures.sort_unstable();
                let signatures = signatures.into_iter();
                push_rrset(&mut records, node.name(), rtype::RRSIG, rrset.ttl, signatures);
            }
            context.update(&records);
        }
        context.finish().as_ref().to_vec()
    }

    /// The least RRSIG expiration, in Unix seconds; None in a zone without signatures.
    pub fn earliest_expiration(&self) -> Option<u32> {
        let of_nsec3 = self.nsec3.earliest_expiration();
        self.order.earliest_expiration().into_iter().chain(of_nsec3).min()
    }
}
