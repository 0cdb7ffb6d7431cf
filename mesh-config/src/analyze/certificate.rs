//! From when until when a certificate is valid.
//!
//! Only as much of X.509 is read as it takes to get to these two times, and nothing is trusted for it.

use crate::meta::days_since_epoch;
use crate::value::Bytes;

/// The time of validity, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// The time of validity of the first certificate in PEM; nothing if there is none, or it cannot be read.
pub(super) fn validity(pem: &[u8]) -> Option<Validity> {
    let der = first_block(std::str::from_utf8(pem).ok()?)?;
    let certificate = Element::read(&der.0)?.0.sequence()?;
    let mut fields = Element::read(certificate)?.0.sequence()?;
    let (first, rest) = Element::read(fields)?;
    // The version, in a tag of its own, may be left out.
    if first.tag == VERSION {
        fields = rest;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = Element::read(fields)?.1;
    }
    let (not_before, rest) = Element::read(Element::read(fields)?.0.sequence()?)?;
    let (not_after, _) = Element::read(rest)?;
    Some(Validity { not_before: not_before.time()?, not_after: not_after.time()? })
}

/// The bytes of the first block of a text.
fn first_block(pem: &str) -> Option<Bytes> {
    let (_, after) = pem.split_once("-----BEGIN ")?;
    let (_, body) = after.split_once("-----")?;
    let (body, _) = body.split_once("-----END ")?;
    Bytes::from_base64(body.trim_start_matches(['\r', '\n', ' ']).trim_end())
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

const VERSION: u8 = 0xa0;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl<'a> Element<'a> {
    /// The first element of some bytes, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let count = usize::from(first & 0x7f);
            let (digits, behind) = rest.split_at_checked(count)?;
            // More than four bytes of length are in no certificate.
            length =
                (1..=4).contains(&count).then(|| digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))?;
            rest = behind;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { tag, content }, rest))
    }

    fn sequence(&self) -> Option<&'a [u8]> {
        (self.tag == SEQUENCE).then_some(self.content)
    }

    /// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
    fn time(&self) -> Option<i64> {
        let text = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        let (year, rest) = match self.tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: i64 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
        let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
        let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
        is_date.then(|| days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of nobody, with just the fields that come before its validity.
    fn certificate(not_before: &[u8], not_after: &[u8]) -> String {
        let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat();
        let validity = element(SEQUENCE, &[not_before, not_after].concat());
        let version = element(VERSION, &element(2, &[2]));
        let fields = [version, element(2, &[1]), element(SEQUENCE, &[]), element(SEQUENCE, &[]), validity].concat();
        let der = element(SEQUENCE, &element(SEQUENCE, &fields));
        format!("# made up\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", Bytes(der).to_base64())
    }

    fn time(tag: u8, text: &str) -> Vec<u8> {
        [&[tag, u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let pem = certificate(&time(UTC_TIME, "700101000001Z"), &time(GENERALIZED_TIME, "20000301000000Z"));
        assert_eq!(validity(pem.as_bytes()), Some(Validity { not_before: 1, not_after: 951_868_800 }));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        let strange = certificate(&time(2, "700101000001Z"), &time(UTC_TIME, "7001"));
        let cut = certificate(&[], &[]);
        for pem in ["", "text", "-----BEGIN X-----", "-----BEGIN X-----\n!\n-----END X-----", &strange, &cut] {
            assert_eq!(validity(pem.as_bytes()), None, "{pem}");
        }
    }

    #[test]
    fn lengths_that_lie_do_not_panic() {
        for bytes in [
            &[0x30][..],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80],
            &[0x30, 5, 0],
        ] {
            assert!(Element::read(bytes).is_none());
        }
    }
}
