use proptest::prelude::*;

use super::*;

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

proptest! {
    #[test]
    fn reading_never_panics_and_keeps_the_text(text in "(spiffe://)?[a-zA-Z0-9./:@?#%_ \u{e9}-]{0,40}|.{0,40}") {
        if let Ok(id) = id(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        }
    }
}
