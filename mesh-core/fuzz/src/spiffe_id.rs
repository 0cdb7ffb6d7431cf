//! Identities.

use mesh_core::identity::SpiffeId;

/// Takes lines for the names of a certificate. An identity is the one name, says itself again, and has nothing in it that
/// could be read otherwise.
pub fn spiffe_id(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    for name in [text.clone(), format!("spiffe://{text}").into(), format!("spiffe://td/{text}").into()] {
        let Ok(id) = name.parse::<SpiffeId>() else { continue };
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), name);
        assert!(name.len() <= 2_048 && name.is_ascii() && !name.contains(['%', '?', '#', '@', '*', '\\']), "{name:?}");
        assert!(!id.trust_domain().contains(|letter: char| letter.is_ascii_uppercase()), "{name:?}");
        assert!(!id.path()[1..].split('/').any(|segment| matches!(segment, "" | "." | "..")), "{name:?}");
        assert!(SpiffeId::of_uris([&*name, "x"]).is_err(), "{name:?}");
    }
    assert!(lines.len() == 1 || SpiffeId::of_uris(lines).is_err());
}
