//! Where Istio with Envoy gives up what a safe mesh promises. Each is kept under `Profile::Istio`, and stands here so that
//! nobody takes it for an oversight.

use http::{HeaderMap, Method};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::api::mesh_config::NormalizationType;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::request_form::normalize_for;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use serde_json::json;

fn normal(profile: Profile, path: &str) -> String {
    normalize_for(profile, path, NormalizationType::Base).unwrap().unwrap_or_else(|| path.to_owned())
}

/// Whether a path, as it comes, passes a policy with this action for these paths.
fn passes(action: &str, named: &str, path: &str, profile: Profile) -> bool {
    let spec = json!({"action": action, "rules": [{"to": [{"operation": {"paths": [named]}}]}]});
    let spec: AuthorizationPolicy = serde_json::from_value(spec).unwrap();
    let policy = Object::new(ObjectMeta::default(), spec);
    let trust_domains = &TrustDomains::new(["td"]);
    let setting = Setting { trust_domains, protocol: Protocol::Http, profile };
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path: &normal(profile, path),
        query: None,
        headers: &HeaderMap::new(),
        peer: PeerView::default(),
        port: 80,
    };
    Authorization::new([&policy], setting).decide(&Access::request(&view)).is_allowed()
}

#[test]
fn parameters_of_dots_are_dropped_in_both_but_envoy_looks_before_it_decodes() {
    for profile in [Profile::Istio, Profile::Safe] {
        assert_eq!(normal(profile, "/public/..;/admin"), "/admin");
    }
    let escaped = "/public/%2e%2e;/admin";
    assert_eq!(normal(Profile::Istio, escaped), "/public/..;/admin");
    assert_eq!(normal(Profile::Safe, escaped), "/admin");
    // Behind Envoy a server that drops parameters opens what the policy keeps closed.
    assert!(passes("DENY", "/admin", escaped, Profile::Istio));
    assert!(!passes("DENY", "/admin", escaped, Profile::Safe));
    // The form is not its own under Istio's profile: a second time gives another.
    assert_eq!(normal(Profile::Istio, &normal(Profile::Istio, escaped)), "/admin");
}

#[test]
fn an_escape_that_decoding_brings_out_is_decoded_by_a_safe_mesh_alone() {
    // `%%36%31` holds `%61` once decoded.
    assert_eq!(normal(Profile::Istio, "/%%36%31dmin"), "/%61dmin");
    assert_eq!(normal(Profile::Safe, "/%%36%31dmin"), "/admin");
    assert!(passes("DENY", "/admin", "/%%36%31dmin", Profile::Istio));
    assert!(!passes("DENY", "/admin", "/%%36%31dmin", Profile::Safe));
}

#[test]
fn a_policy_with_a_character_that_is_escaped_in_paths_never_matches() {
    for (raw, escaped) in [
        ("|", "%7C"),
        ("{", "%7B"),
        ("}", "%7D"),
        ("^", "%5E"),
        ("<", "%3C"),
        (">", "%3E"),
        ("\"", "%22"),
        ("`", "%60"),
    ] {
        for profile in [Profile::Istio, Profile::Safe] {
            let (path, named) = (format!("/a{raw}b"), format!("/a{escaped}b"));
            assert_eq!(normal(profile, &path), named);
            // A policy that names it as it is written is dead: it neither keeps out nor lets in.
            if !matches!(raw, "{" | "}") {
                assert!(passes("DENY", &path, &path, profile), "{raw}");
                assert!(!passes("ALLOW", &path, &path, profile), "{raw}");
            }
            assert!(!passes("DENY", &named, &path, profile), "{raw}");
            assert!(passes("ALLOW", &named, &path, profile), "{raw}");
        }
    }
}

#[test]
fn escapes_keep_their_case_so_a_policy_has_to_name_the_one_that_comes() {
    // `%7c` stays as it is, whereas `|` becomes `%7C`.
    for profile in [Profile::Istio, Profile::Safe] {
        assert_eq!(normal(profile, "/a%7cb"), "/a%7cb");
        assert!(passes("DENY", "/a%7Cb", "/a%7cb", profile));
    }
}
