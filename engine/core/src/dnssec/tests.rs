//! Examples of the RFCs: keys and signatures that others made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::name::Name;
use crate::rdata::rtype;

fn name(text: &str) -> Name {
    Name::from_text(text, None).unwrap()
}

fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

struct Example {
    dnskey: &'static str,
    algorithm: u8,
    tag: u16,
    owner: &'static str,
    rtype: u16,
    rdata: Vec<u8>,
    times: (u32, u32),
    signer: &'static str,
    signature: &'static str,
}

impl Example {
    fn dnskey(&self) -> Vec<u8> {
        [&[1, 1, 3, self.algorithm], &base64(self.dnskey)[..]].concat()
    }

    fn rrsig(&self) -> Vec<u8> {
        let signer = name(self.signer);
        let head = canonical::RrsigHead {
            covered: self.rtype,
            algorithm: self.algorithm,
            labels: name(self.owner).rrsig_labels(),
            original_ttl: 3600,
            expiration: self.times.0,
            inception: self.times.1,
            tag: self.tag,
            signer: &signer,
        };
        [head.to_wire(), base64(self.signature)].concat()
    }
}

/// RFC 6605 sections 6.1 and 6.2, RFC 8080 section 6.1.
fn examples() -> [Example; 3] {
    [
        Example {
            dnskey: "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9x\
                     MWyQLc8NAA==",
            algorithm: 13,
            tag: 55648,
            owner: "www.example.net.",
            rtype: rtype::A,
            rdata: vec![192, 0, 2, 1],
            times: (1_284_026_679, 1_281_607_479),
            signer: "example.net.",
            signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus\
                        7ZwmwWep666VCw==",
        },
        Example {
            dnskey: "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRS\
                     EkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
            algorithm: 14,
            tag: 10771,
            owner: "www.example.net.",
            rtype: rtype::A,
            rdata: vec![192, 0, 2, 1],
            times: (1_284_027_625, 1_281_608_425),
            signer: "example.net.",
            signature: "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74\
                        hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
        },
        Example {
            dnskey: "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
            algorithm: 15,
            tag: 3613,
            owner: "example.com.",
            rtype: rtype::MX,
            rdata: [&[0, 10], name("mail.example.com.").wire()].concat(),
            times: (1_440_021_600, 1_438_207_200),
            signer: "example.com.",
            signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9\
                        VrbpMngwcrqNAg==",
        },
    ]
}

#[test]
fn signatures_of_the_rfcs_verify_and_none_that_differs_by_a_bit() {
    for example in examples() {
        let key = PublicKey::from_dnskey(&example.dnskey()).unwrap();
        assert_eq!(key.tag(), example.tag);
        assert!(key.is_zone_key() && !key.is_revoked());
        let rdata = example.rrsig();
        let rrsig = Rrsig::parse(&rdata).unwrap();
        let rdatas = || std::iter::once(&example.rdata[..]);
        let message = signed_data(&rrsig, &name(example.owner), rdatas()).unwrap();
        assert!(key.verify(&message, rrsig.signature), "algorithm {}", example.algorithm);
        for at in 0..rrsig.signature.len() * 8 {
            let mut flipped = rrsig.signature.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(!key.verify(&message, &flipped), "bit {at}");
        }
        for at in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(!key.verify(&flipped, rrsig.signature), "bit {at}");
        }
    }
}

#[test]
fn an_answer_from_a_wildcard_is_signed_under_the_wildcard() {
    let [example, ..] = examples();
    let mut rdata = example.rrsig();
    rdata[3] = 2;
    let rrsig = Rrsig::parse(&rdata).unwrap();
    let of = |owner: &str| signed_data(&rrsig, &name(owner), [&[1u8, 2, 3, 4][..]].into_iter());
    assert_eq!(of("a.b.example.net."), of("*.example.net."));
    assert_eq!(of("*.b.example.net."), of("*.example.net."));
    assert_ne!(of("example.net."), of("*.example.net."));
    assert_eq!(of("net."), None);
}

#[test]
fn rdata_that_is_no_rrsig_is_none() {
    let [example, ..] = examples();
    let rdata = example.rrsig();
    for length in 0..18 + example.signer.len() {
        assert!(Rrsig::parse(&rdata[..length]).is_none(), "{length}");
    }
}

#[test]
fn rsa_moduli_from_1024_to_4096_bits_are_read() {
    let dnskey = |bytes: usize| {
        let mut rdata = vec![1, 0, 3, 8, 3, 1, 0, 1];
        rdata.extend(std::iter::repeat_n(0xff, bytes));
        PublicKey::from_dnskey(&rdata)
    };
    assert!(dnskey(128).is_ok() && dnskey(512).is_ok());
    assert!(dnskey(127).is_err() && dnskey(513).is_err());
    // RFC 3110 section 2: the long form of the exponent's length, and zeros that say nothing.
    let mut long = vec![1, 0, 3, 10, 0, 0, 4, 0, 1, 0, 1];
    long.extend(std::iter::repeat_n(0xff, 256));
    assert!(PublicKey::from_dnskey(&long).is_ok());
    assert!(PublicKey::from_dnskey(&[1, 0, 3, 8, 0, 0xff]).is_err());
}
