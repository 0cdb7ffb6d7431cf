//! What is read and what is printed.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::inspect::{base64, hash_of_base64};
use super::*;

fn issued(uris: &[&str]) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

const ID: &str = "spiffe://cluster.local/ns/default/sa/reviews";

#[test]
fn material_is_good_as_a_whole_or_not_at_all() {
    let (chain, key) = issued(&[ID]);
    assert_eq!(Material::from_pem(&chain, &key, &chain).unwrap().id().as_str(), ID);
    let wrong = |chain: &str, key: &str, roots: &str| Material::from_pem(chain, key, roots).unwrap_err();
    let (other, other_key) = issued(&[ID, "https://a"]);
    assert_eq!(wrong(&chain, &other_key, &chain), BadMaterial::KeyMismatch);
    assert!(matches!(wrong(&other, &other_key, &chain), BadMaterial::Identity(_)));
    assert_eq!(wrong(&chain, &key, ""), BadMaterial::NoCertificate);
    assert_eq!(wrong(&chain[..chain.len() / 2], &key, &chain), BadMaterial::Pem);
    assert_eq!(wrong("", &key, &chain), BadMaterial::NoCertificate);
    assert_eq!(wrong(&chain, "", &chain), BadMaterial::Key);
}

#[test]
fn nothing_of_a_key_is_printed() {
    let (chain, key) = issued(&[ID]);
    let secret = key.lines().nth(1).unwrap();
    let material = Material::from_pem(&chain, &key, &chain).unwrap();
    let handle = IdentityHandle::default();
    handle.replace(material.clone());
    for printed in [format!("{material:?}"), format!("{handle:?}"), format!("{:?}", MemoryIdentity::new(material))] {
        assert!(!printed.contains(secret) && printed.contains("reviews"), "{printed}");
    }
}

#[test]
fn a_certificate_is_described() {
    let (chain, _) = issued(&[ID]);
    let described = inspect(&chain).unwrap();
    assert_eq!(described[0].id().unwrap().as_str(), ID);
    assert!(described[0].not_before < described[0].not_after);
}

/// A little generator: the same numbers each time.
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    }
}

#[test]
fn certificates_that_are_damaged_in_any_way_are_read_or_refused() {
    let (chain, key) = issued(&[ID, "https://a"]);
    let whole = pem::certificates(chain.as_bytes()).unwrap()[0].to_vec();
    let mut any = numbers(8);
    for _ in 0..100_000 {
        let mut bytes = whole.clone();
        for _ in 0..=any(4) {
            let (at, by) = (any(bytes.len()), any(256) as u8);
            match any(3) {
                0 => bytes[at] = by,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, by),
            }
        }
        let damaged = rustls_pki_types::CertificateDer::from(bytes);
        if let Some(facts) = der::facts(&damaged) {
            let _words = (der::name_in_words(facts.subject), der::name_in_words(facts.issuer));
        }
    }
    for _ in 0..5_000 {
        let mut text = chain.clone().into_bytes();
        let (at, by) = (any(text.len()), any(128) as u8);
        text[at] = by;
        let _refused = Material::from_pem(&text, &key, &text);
    }
}

#[test]
fn hashes_are_read_as_they_are_written() {
    let hash = sha256(b"abc");
    assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(hash_of_base64(&base64(&hash)), Some(hash));
    assert_eq!((base64(b"a"), base64(b"ab"), base64(b"abc")), ("YQ==".into(), "YWI=".into(), "YWJj".into()));
    assert_eq!(hash_of_base64("YQ=="), None);
    assert_eq!(hash_of_base64("*"), None);
}
