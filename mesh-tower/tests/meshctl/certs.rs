//! `meshctl certs`: certificates for a laptop, and a look at those that are there.

use std::fs;

use super::{folder, run};

#[test]
fn a_development_authority_makes_what_a_mesh_starts_with() {
    let at = folder(&[]);
    let made = run(at.path(), &["certs", "dev-ca", "--out", "pki", "default/reviews", "*.example.com"]);
    assert_eq!(made.status, 0, "{}", made.err);
    assert!(made.out.contains("pki/default/reviews: spiffe://cluster.local/ns/default/sa/reviews"), "{}", made.out);
    let checked = run(at.path(), &["certs", "check", "pki/default/reviews"]);
    assert_eq!(checked.status, 0, "{}", checked.out);
    assert!(checked.out.contains("spiffe://cluster.local/ns/default/sa/reviews is good until 20"), "{}", checked.out);

    let shown = run(at.path(), &["certs", "show", "pki/default/reviews/cert-chain.pem", "pki/ca.pem"]);
    assert_eq!(shown.status, 0, "{}", shown.err);
    for line in
        ["identity  spiffe://cluster.local/ns/default/sa/reviews", "issuer    CN=mesh development CA", "authority yes"]
    {
        assert!(shown.out.contains(line), "{}", shown.out);
    }
    let shown = run(at.path(), &["certs", "show", "pki/_.example.com/tls.crt"]);
    assert!(shown.out.contains("dns       *.example.com"), "{}", shown.out);
}

#[test]
fn the_authority_that_is_there_is_used_again_and_a_foreign_one_is_not() {
    let at = folder(&[]);
    let make = |id: &str| run(at.path(), &["certs", "dev-ca", "--out", "pki", id]);
    assert_eq!(make("default/a").status, 0);
    let root = fs::read_to_string(at.path().join("pki/ca.pem")).unwrap();
    assert_eq!(make("default/b").status, 0);
    for workload in ["a", "b"] {
        let own = fs::read_to_string(at.path().join(format!("pki/default/{workload}/root-cert.pem"))).unwrap();
        assert_eq!(own, root);
    }
    // A certificate of the same directory that is nobody's authority.
    fs::copy(at.path().join("pki/default/a/cert-chain.pem"), at.path().join("pki/ca.pem")).unwrap();
    let refused = make("default/c");
    assert_eq!(refused.status, 2, "{}", refused.out);
    assert!(refused.err.contains("was not made here"), "{}", refused.err);
}

#[cfg(unix)]
#[test]
fn keys_can_be_read_by_their_owner_only_and_are_never_printed() {
    use std::os::unix::fs::PermissionsExt as _;
    let at = folder(&[]);
    let made = run(at.path(), &["certs", "dev-ca", "--out", "pki", "default/a"]);
    let checked = run(at.path(), &["certs", "check", "pki/default/a"]);
    for key in ["pki/ca-key.pem", "pki/default/a/key.pem"] {
        let path = at.path().join(key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
        let text = fs::read_to_string(&path).unwrap();
        let canary = text.lines().nth(1).unwrap();
        assert!(![&made.out, &made.err, &checked.out, &checked.err].iter().any(|printed| printed.contains(canary)));
    }
}

#[test]
fn files_that_make_no_identity_are_told_apart_from_those_that_are_not_there() {
    let at = folder(&[]);
    run(at.path(), &["certs", "dev-ca", "--out", "pki", "default/a", "default/b", "web.example.com"]);
    fs::copy(at.path().join("pki/default/b/key.pem"), at.path().join("pki/default/a/key.pem")).unwrap();
    let checked = run(at.path(), &["certs", "check", "pki/default/a"]);
    assert_eq!(checked.status, 1, "{}", checked.err);
    assert!(checked.out.contains("the private key does not belong to the certificate"), "{}", checked.out);
    // A server of the web has a certificate and no identity.
    let checked = run(at.path(), &["certs", "check", "pki/web.example.com"]);
    assert_eq!(checked.status, 1, "{}", checked.err);
    assert!(checked.out.contains("no SPIFFE id"), "{}", checked.out);
    let checked = run(at.path(), &["certs", "check", "nowhere"]);
    assert_eq!(checked.status, 1, "{}", checked.err);
    let shown = run(at.path(), &["certs", "show", "nowhere.pem"]);
    assert_eq!(shown.status, 2, "{}", shown.out);
}

#[test]
fn names_that_no_certificate_can_carry_are_refused() {
    let at = folder(&[]);
    for id in ["Default/", "spiffe://Cluster.Local/ns/a/sa/b", "spiffe://a", "a/b/../c", "a/b c", "..", "web server"] {
        let refused = run(at.path(), &["certs", "dev-ca", "--out", "pki", id]);
        assert_eq!(refused.status, 2, "{id}: {}", refused.out);
        assert!(!at.path().join("pki").exists(), "{id}");
    }
}
