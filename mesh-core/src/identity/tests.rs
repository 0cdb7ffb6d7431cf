use proptest::prelude::*;

use super::*;
use crate::{Rng as _, SplitMix64};

fn id(text: &str) -> Result<SpiffeId, NotAnId> {
    text.parse()
}

#[test]
fn an_id_has_a_trust_domain_and_a_path() {
    let reviews = id("spiffe://cluster.local/ns/default/sa/reviews").unwrap();
    assert_eq!(reviews.trust_domain(), "cluster.local");
    assert_eq!(reviews.path(), "/ns/default/sa/reviews");
    assert_eq!(reviews.principal(), "cluster.local/ns/default/sa/reviews");
    assert_eq!(reviews.workload(), Some(("default", "reviews")));
    assert_eq!((reviews.namespace(), reviews.service_account()), (Some("default"), Some("reviews")));
    let domain = "cluster.local".parse().unwrap();
    assert_eq!(SpiffeId::of_service_account(&domain, "default", "reviews"), Ok(reviews));
    assert_eq!(id("spiffe://a/vm/1").unwrap().workload(), None);
    assert_eq!(id("spiffe://a/ns/b/sa/c/d").unwrap().workload(), None);
}

#[test]
fn what_can_be_read_in_two_ways_is_no_id() {
    for (text, why) in [
        ("", NotAnId::Scheme),
        ("SPIFFE://a/b", NotAnId::Scheme),
        ("https://a/b", NotAnId::Scheme),
        ("spiffe:///b", NotAnId::Domain),
        ("spiffe://Cluster.Local/ns/a/sa/b", NotAnId::Domain),
        ("spiffe://user@a/b", NotAnId::Domain),
        ("spiffe://a:443/b", NotAnId::Domain),
        ("spiffe://a?q/b", NotAnId::Domain),
        ("spiffe://a", NotAnId::NoPath),
        ("spiffe://a/", NotAnId::NoPath),
        ("spiffe://a/b/", NotAnId::Path),
        ("spiffe://a//b", NotAnId::Path),
        ("spiffe://a/../b", NotAnId::Path),
        ("spiffe://a/./b", NotAnId::Path),
        ("spiffe://a/b%2fc", NotAnId::Path),
        ("spiffe://a/b?q=1", NotAnId::Path),
        ("spiffe://a/b#c", NotAnId::Path),
        ("spiffe://a/b c", NotAnId::Path),
        ("spiffe://a/b\0", NotAnId::Path),
        ("spiffe://a/\u{e9}", NotAnId::Path),
    ] {
        assert_eq!(id(text), Err(why), "{text:?}");
    }
    let long = format!("spiffe://a/{}", "b".repeat(2048 - 11));
    assert!(id(&long).is_ok());
    assert_eq!(id(&format!("{long}b")), Err(NotAnId::TooLong));
    assert!(id(&format!("spiffe://{}/b", "a".repeat(255))).is_ok());
    assert_eq!(id(&format!("spiffe://{}/b", "a".repeat(256))), Err(NotAnId::Domain));
}

#[test]
fn a_certificate_has_one_uri_or_no_identity() {
    let one = "spiffe://a/b";
    assert_eq!(SpiffeId::of_uris([one]), id(one));
    assert_eq!(SpiffeId::of_uris([]), Err(NotAnId::NoUri));
    assert_eq!(SpiffeId::of_uris([one, one]), Err(NotAnId::SeveralUris));
    assert_eq!(SpiffeId::of_uris([one, "https://a/b"]), Err(NotAnId::SeveralUris));
}

#[test]
fn aliases_are_the_mesh_too_and_case_counts() {
    let domains = TrustDomains::new(["cluster.local", "old"]);
    assert!(domains.contains("old") && domains.contains("cluster.local"));
    assert!(!domains.contains("Cluster.Local") && !domains.contains(""));
    assert_eq!(domains.own(), Some("cluster.local"));
}

/// Pieces that ids are made of, and what is put between them to be read in two ways.
const PIECES: &[&str] = &[
    "spiffe://",
    "SPIFFE://",
    "spiffe:",
    "/",
    "//",
    "/ns/",
    "/sa/",
    "cluster.local",
    "Cluster",
    ".",
    "..",
    "%2f",
    "%",
    ":443",
    "@",
    "?",
    "#",
    "\\",
    "\0",
    "\u{e9}",
    "\u{212a}",
    " ",
    "a",
    "-",
    "_",
    "*",
    "xn--",
];

#[test]
fn a_million_texts_are_ids_as_the_grammar_has_them_or_none() {
    let mut rng = SplitMix64::new(8);
    let mut found = 0;
    let mut text = String::new();
    for _ in 0..1_000_000 {
        text.clear();
        // Half of them begin like one, so that the rest is looked at.
        if rng.below(2) == 0 {
            text.push_str("spiffe://a");
        }
        for _ in 0..rng.below(8) {
            text.push_str(PIECES[rng.below(PIECES.len() as u64) as usize]);
        }
        let Ok(id) = id(&text) else { continue };
        found += 1;
        let rest = text.strip_prefix("spiffe://").unwrap();
        let (domain, path) = rest.split_once('/').unwrap();
        assert_eq!((id.as_str(), id.trust_domain(), &id.path()[1..]), (text.as_str(), domain, path));
        assert!(
            domain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte))
        );
        assert!(path.split('/').all(|segment| !["", ".", ".."].contains(&segment)), "{text}");
        assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte)), "{text}");
    }
    assert!(found > 1_000, "{found}");
}

proptest! {
    #[test]
    fn reading_never_panics_and_keeps_the_text(text in "(spiffe://)?[a-zA-Z0-9./:@?#%_ \u{e9}-]{0,40}|.{0,40}") {
        if let Ok(id) = id(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        }
    }
}

#[test]
fn an_identity_stands_for_itself_and_under_every_name_of_the_mesh() {
    let domains = TrustDomains::new(["cluster.local", "old.example"]);
    let ours = id("spiffe://cluster.local/ns/a/sa/b").unwrap();
    for (name, expected) in [
        ("spiffe://cluster.local/ns/a/sa/b", true),
        ("spiffe://old.example/ns/a/sa/b", true),
        ("spiffe://old.example/ns/a/sa/c", false),
        ("spiffe://else.example/ns/a/sa/b", false),
        ("no id", false),
    ] {
        assert_eq!(domains.stands_for(&ours, name), expected, "{name}");
    }
    // Strangers stand for themselves alone.
    let stranger = id("spiffe://else.example/ns/a/sa/b").unwrap();
    assert!(domains.stands_for(&stranger, stranger.as_str()));
    assert!(!domains.stands_for(&stranger, ours.as_str()));
    let domain: TrustDomain = "cluster.local".parse().unwrap();
    assert_eq!(domain.as_str(), "cluster.local");
}
