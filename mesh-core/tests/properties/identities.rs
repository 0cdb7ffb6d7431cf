//! Whatever a certificate names, it is one identity or none.

use mesh_core::identity::{SpiffeId, only_uri};
use mesh_core::{Rng, SplitMix64};

use crate::number;

const PIECES: &[&str] = &[
    "spiffe://",
    "spiffe:",
    "SPIFFE://",
    "https://",
    "td",
    "cluster.local",
    "/ns/",
    "/sa/",
    "ns",
    "sa",
    "a",
    "B",
    "/",
    "//",
    ".",
    "..",
    "/./",
    "/../",
    "-",
    "_",
    "%2f",
    "%",
    "?q",
    "#f",
    "@",
    ":80",
    "é",
    " ",
    "\0",
    "\n",
    "*",
    "\\",
    "[::1]",
];

fn text(rng: &mut SplitMix64) -> String {
    let mut text = String::from(if rng.below(4) == 0 { "" } else { "spiffe://td/" });
    for _ in 0..rng.below(10) {
        match rng.below(8) {
            0 => text.push(char::from(u8::try_from(rng.below(256)).unwrap())),
            1 if rng.below(50) == 0 => text.push_str(&"a".repeat(2_040)),
            _ => text.push_str(PIECES[usize::try_from(rng.below(PIECES.len() as u64)).unwrap()]),
        }
    }
    text
}

/// The grammar of SPIFFE-ID 2, read from left to right, without the code that is asked.
fn is_id(text: &str) -> bool {
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let of = |text: &str, letters: fn(char) -> bool| {
        !text.is_empty() && text.chars().all(|letter| letters(letter) || "0123456789.-_".contains(letter))
    };
    let is_domain = domain.len() <= 255 && of(domain, |letter| letter.is_ascii_lowercase());
    let is_segment =
        |segment: &str| segment != "." && segment != ".." && of(segment, |letter| letter.is_ascii_alphabetic());
    text.len() <= 2_048 && is_domain && path.split('/').all(is_segment)
}

#[test]
fn every_text_is_an_identity_that_says_itself_again_or_none() {
    let cases: u64 = number("MESH_PROPERTIES", 20_000);
    let mut rng = SplitMix64::new(number("MESH_PROPERTY_SEED", 1));
    let mut ids = 0;
    for _ in 0..cases {
        let text = text(&mut rng);
        let parsed = text.parse::<SpiffeId>();
        assert_eq!(parsed.is_ok(), is_id(&text), "{text:?}: {parsed:?}");
        let Ok(id) = parsed else { continue };
        ids += 1;
        assert_eq!((id.as_str(), id.to_string()), (&*text, text.clone()));
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        if let Some((namespace, account)) = id.workload() {
            assert_eq!(id.path(), format!("/ns/{namespace}/sa/{account}"));
        }
        // A second name beside it, even a broken one, and there is none.
        assert!(SpiffeId::of_uris([&*text, "x"]).is_err() && only_uri(["", &*text]).is_err());
        assert_eq!(SpiffeId::of_uris([&*text]).as_ref(), Ok(&id));
    }
    println!("{cases} texts, {ids} of them identities");
}
