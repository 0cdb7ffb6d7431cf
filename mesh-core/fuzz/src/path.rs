//! Paths.

use mesh_config::api::mesh_config::NormalizationType;
use mesh_core::Profile;
use mesh_core::request_form::normalize_for;

const LEVELS: [NormalizationType; 4] = [
    NormalizationType::None,
    NormalizationType::Base,
    NormalizationType::MergeSlashes,
    NormalizationType::DecodeAndMergeSlashes,
];

/// Brings a path into its form at every level. A safe mesh has one form of it, in which nothing is left to be resolved.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace(['?', '#'], "/");
    for level in LEVELS {
        // Envoy's way is not its own form; it only has to come to an end.
        let _any = normalize_for(Profile::Istio, &text, level);
        let Ok(found) = normalize_for(Profile::Safe, &text, level) else { continue };
        let normal = found.unwrap_or_else(|| text.clone());
        assert_eq!(normalize_for(Profile::Safe, &normal, level), Ok(None), "{level:?} {text:?} -> {normal:?}");
        if level == NormalizationType::None {
            continue;
        }
        assert!(normal.is_ascii() && normal.starts_with('/') && !normal.contains('\\'), "{text:?} -> {normal:?}");
        for segment in normal.split('/') {
            let (name, _) = segment.split_once(';').unwrap_or((segment, ""));
            assert!(!matches!(name, "." | ".."), "{text:?} -> {normal:?}");
        }
        assert!(!normal.to_ascii_lowercase().contains("%2e"), "{text:?} -> {normal:?}");
        assert!(level == NormalizationType::Base || !normal.contains("//"), "{text:?} -> {normal:?}");
    }
}
