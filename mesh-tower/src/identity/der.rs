//! What a certificate says that the library that checks chains does not tell: its times, its key usage, its names in
//! words. Read after that library has read it, and never believed further than it is well-formed.

use rustls_pki_types::CertificateDer;

/// What is read of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a [u8],
    /// Seconds since 1970 from which it counts.
    pub(super) not_before: i64,
    /// Seconds since 1970 until which it counts, the last one included.
    pub(super) not_after: i64,
    pub(super) subject: &'a [u8],
    pub(super) public_key: &'a [u8],
    /// The bits of the key usage extension, the first one highest; `None` without the extension.
    pub(super) key_usage: Option<u8>,
    pub(super) is_authority: bool,
    /// How many URIs it names, readable or not.
    pub(super) uris: usize,
}

/// The bit of `digitalSignature`.
pub(super) const DIGITAL_SIGNATURE: u8 = 0b1000_0000;
/// The bit of `keyCertSign`.
pub(super) const KEY_CERT_SIGN: u8 = 0b0000_0100;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// A URI among the names of a certificate.
const URI: u8 = 0x86;
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// Reads a certificate; `None` if it is none.
pub(super) fn facts<'a>(certificate: &'a CertificateDer<'_>) -> Option<Facts<'a>> {
    let mut outer = Reader(certificate.as_ref());
    let mut signed = Reader(outer.expect(SEQUENCE)?);
    if !outer.0.is_empty() {
        return None;
    }
    let mut body = Reader(signed.expect(SEQUENCE)?);
    body.optional(0xa0);
    body.expect(0x02)?;
    body.expect(SEQUENCE)?;
    let issuer = body.expect(SEQUENCE)?;
    let mut validity = Reader(body.expect(SEQUENCE)?);
    let (not_before, not_after) = (validity.time()?, validity.time()?);
    let subject = body.expect(SEQUENCE)?;
    let public_key = body.expect(SEQUENCE)?;
    body.optional(0x81);
    body.optional(0x82);
    let mut found = Facts { issuer, not_before, not_after, subject, public_key, ..Facts::default() };
    if let Some(extensions) = body.optional(0xa3) {
        let mut extensions = Reader(Reader(extensions).expect(SEQUENCE)?);
        while !extensions.0.is_empty() {
            extension(Reader(extensions.expect(SEQUENCE)?), &mut found)?;
        }
    }
    Some(found)
}

/// The certificates that stand one after the other; `None` if there is anything else.
#[cfg(feature = "workload-api")]
pub(super) fn split(mut bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    while !bytes.is_empty() {
        let mut rest = Reader(bytes);
        rest.optional(SEQUENCE)?;
        let (one, others) = bytes.split_at(bytes.len() - rest.0.len());
        let certificate = CertificateDer::from(one.to_vec());
        facts(&certificate)?;
        certificates.push(certificate);
        bytes = others;
    }
    Some(certificates)
}

fn extension(mut extension: Reader<'_>, found: &mut Facts<'_>) -> Option<()> {
    let name = extension.expect(0x06)?;
    extension.optional(0x01);
    let mut value = Reader(extension.expect(0x04)?);
    match name {
        KEY_USAGE => {
            let bits = value.expect(0x03)?;
            // The first byte counts the bits that are not used.
            found.key_usage = Some(bits.get(1).copied().unwrap_or(0));
        }
        BASIC_CONSTRAINTS => {
            let mut constraints = Reader(value.expect(SEQUENCE)?);
            found.is_authority = constraints.optional(0x01).is_some_and(|flag| flag != [0]);
        }
        ALTERNATIVE_NAMES => {
            let mut names = Reader(value.expect(SEQUENCE)?);
            while !names.0.is_empty() {
                found.uris += usize::from(names.next()?.0 == URI);
            }
        }
        _ => {}
    }
    Some(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The tag and the content of what comes next.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.optional(tag)
    }

    /// What comes next, if it has this tag; else it is still to come.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = self.0;
        match self.next() {
            Some((found, content)) if found == tag => Some(content),
            _ => {
                self.0 = before;
                None
            }
        }
    }

    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            0x17 => {
                let year: i64 = text.get(..2)?.parse().ok()?;
                (if year < 50 { year + 2000 } else { year + 1900 }, text.get(2..)?)
            }
            0x18 => (text.get(..4)?.parse().ok()?, text.get(4..)?),
            _ => return None,
        };
        let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
        let days = days_before(year, part(0)?, part(2)?);
        Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
    }
}

/// The days from 1970 to a date of the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their odd day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A name as RFC 2253 writes it, the last part first: `CN=reviews,O=example`.
pub(super) fn name_in_words(name: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut name = Reader(name);
    while let Some(set) = name.optional(SET) {
        let mut set = Reader(set);
        let mut pairs = Vec::new();
        while let Some(pair) = set.optional(SEQUENCE) {
            let mut pair = Reader(pair);
            let (Some(kind), Some((_, value))) = (pair.expect(0x06), pair.next()) else { break };
            pairs.push(format!("{}={}", kind_in_words(kind), escaped(&String::from_utf8_lossy(value))));
        }
        parts.push(pairs.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

fn kind_in_words(kind: &[u8]) -> String {
    let known = match kind {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        _ => return kind.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    known.to_owned()
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, letter) in value.char_indices() {
        let special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        let at_edge = (at == 0 && matches!(letter, ' ' | '#')) || (at + 1 == value.len() && letter == ' ');
        if letter.is_control() {
            for byte in letter.to_string().bytes() {
                out.push_str(&format!("\\{byte:02X}"));
            }
            continue;
        }
        if special || at_edge {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_counted_from_1970() {
        assert_eq!(days_before(1970, 1, 1), 0);
        assert_eq!(days_before(2000, 3, 1), 11_017);
        assert_eq!(days_before(2026, 11, 23), 20_780);
        assert_eq!(days_before(1969, 12, 31), -1);
    }

    #[test]
    fn a_certificate_tells_its_times_its_usage_and_its_subject() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 11, 23);
        params.not_after = rcgen::date_time_ymd(2061, 1, 2);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "a, b");
        params.distinguished_name.push(rcgen::DnType::CommonName, "reviews");
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let facts = facts(certificate.der()).unwrap();
        assert_eq!((facts.not_before, facts.not_after), (20_780 * 86_400, days_before(2061, 1, 2) * 86_400));
        assert_eq!(facts.key_usage, Some(DIGITAL_SIGNATURE | KEY_CERT_SIGN));
        assert!(facts.is_authority && facts.issuer == facts.subject);
        assert_eq!(name_in_words(facts.subject), "CN=reviews,O=a\\, b");
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = facts(&CertificateDer::from(bytes.clone()));
            let _ = name_in_words(&bytes);
        }
    }
}
