//! A path is judged, routed and passed on in one form.

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::api::mesh_config::NormalizationType;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::request_form::normalize_for;
use mesh_core::{PeerView, Profile, RequestView, Rng, Scheme, SplitMix64};
use serde_json::json;

use crate::number;

const LEVELS: [NormalizationType; 4] = [
    NormalizationType::None,
    NormalizationType::Base,
    NormalizationType::MergeSlashes,
    NormalizationType::DecodeAndMergeSlashes,
];

/// What paths are made of: what is special to somebody, and what policies name.
const PIECES: &[&str] = &[
    "/", "/", "/", "//", ".", "..", "/../", "/./", "\\", ";", ";x=1", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%25",
    "%252e", "%252f", "%3b", "%00", "%", "%6", "%61", "%41", "%7e", "%c0%ae", "%ff", "a", "admin", "public", "é", "|",
    "^", "`", "{", "}", "\"", "<", ">", "~", "*", "+", "&", "=", ":", "@", "!", "$", "'", "(", ")", ",", "%uff0e",
    "%1f",
];

fn path(rng: &mut SplitMix64) -> String {
    let mut path = String::from("/");
    for _ in 0..rng.below(14) {
        match rng.below(8) {
            0 => path.push(char::from(u8::try_from(0x21 + rng.below(0x5e)).unwrap())),
            1 => path.push_str(&format!("%{:02x}", rng.below(256))),
            _ => path.push_str(PIECES[usize::try_from(rng.below(PIECES.len() as u64)).unwrap()]),
        }
    }
    // What divides a path from what follows it is never a part of one.
    path.replace(['?', '#'], "")
}

/// Policies that tell spellings of a place apart, one that keeps out and one that lets in.
fn authorizations() -> [Authorization; 2] {
    let paths = json!(["/admin", "/admin/*", "*/a", "/public/{**}", "/{*}/admin", "/%61", "/a|b"]);
    ["DENY", "ALLOW"].map(|action| {
        let spec = json!({"action": action, "rules": [{"to": [{"operation": {"paths": paths}}]}]});
        let spec: AuthorizationPolicy = serde_json::from_value(spec).unwrap();
        let policy = Object::new(ObjectMeta::default(), spec);
        let trust_domains = &TrustDomains::new(["td"]);
        Authorization::new([&policy], Setting { trust_domains, protocol: Protocol::Http, profile: Profile::Safe })
    })
}

fn decide(authorizations: &[Authorization; 2], path: &str) -> [bool; 2] {
    let headers = HeaderMap::new();
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path,
        query: None,
        headers: &headers,
        peer: PeerView::default(),
        port: 80,
    };
    authorizations.each_ref().map(|authorization| authorization.decide(&Access::request(&view)).is_allowed())
}

#[test]
fn a_safe_mesh_has_one_form_of_every_path_and_judges_and_forwards_that() {
    let cases: u64 = number("MESH_PROPERTIES", 20_000);
    let seed = number("MESH_PROPERTY_SEED", 1);
    let authorizations = authorizations();
    for level in LEVELS {
        let mut rng = SplitMix64::new(seed);
        let (mut changed, mut refused) = (0, 0);
        for _ in 0..cases {
            let path = path(&mut rng);
            let normal = match normalize_for(Profile::Safe, &path, level) {
                Err(_) => {
                    refused += 1;
                    continue;
                }
                Ok(None) => path.clone(),
                Ok(Some(normal)) => {
                    assert_ne!(normal, path, "{level:?}");
                    changed += 1;
                    normal
                }
            };
            assert_eq!(normalize_for(Profile::Safe, &normal, level), Ok(None), "{level:?} {path:?} -> {normal:?}");
            let again = normalize_for(Profile::Safe, &normal, level).unwrap().unwrap_or_else(|| normal.clone());
            assert_eq!(decide(&authorizations, &normal), decide(&authorizations, &again), "{level:?} {path:?}");
            if level != NormalizationType::None {
                assert_is_plain(&normal, level, &path);
            }
            // The form that was judged is the one that can be put into the request, byte by byte.
            match PathAndQuery::try_from(normal.as_str()) {
                Ok(forwarded) => assert_eq!(forwarded.path(), normal, "{level:?} {path:?}"),
                // Only as it came, which no server hands on.
                Err(_) => assert!(PathAndQuery::try_from(path.as_str()).is_err(), "{level:?} {path:?} -> {normal:?}"),
            }
        }
        println!("{level:?}: {cases} paths from seed {seed}, {changed} changed, {refused} refused");
    }
}

/// Nothing is left in it that a server behind might still resolve, decode or divide otherwise.
fn assert_is_plain(normal: &str, level: NormalizationType, path: &str) {
    assert!(normal.starts_with('/') && !normal.contains('\\'), "{path:?} -> {normal:?}");
    for segment in normal.split('/') {
        let (name, _) = segment.split_once(';').unwrap_or((segment, ""));
        assert!(name != "." && name != "..", "{path:?} -> {normal:?}");
    }
    let lower = normal.to_ascii_lowercase();
    assert!(!lower.contains("%00") && !lower.contains("%2e") && !lower.contains("%61"), "{path:?} -> {normal:?}");
    if level == NormalizationType::DecodeAndMergeSlashes {
        assert!(!lower.contains("%2f") && !lower.contains("%5c"), "{path:?} -> {normal:?}");
    }
    if matches!(level, NormalizationType::MergeSlashes | NormalizationType::DecodeAndMergeSlashes) {
        assert!(!normal.contains("//"), "{path:?} -> {normal:?}");
    }
}
