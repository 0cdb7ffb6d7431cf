//! Paths as they come in and as they go on.

use std::path::Path;

use mesh_core::path_normalization::normalize;
use serde_json::Value;

use crate::differs;

pub(crate) fn normal_form(_: &Path, case: &Value) -> Option<String> {
    let sent = case["input"]["path"].as_str()?;
    let level = serde_json::from_value(case["input"]["normalization"].clone()).expect("a level");
    // Whoever reads the request's head cuts its fragment.
    let path = sent.split_once('#').map_or(sent, |(path, _)| path);
    let found = normalize(path, level).map(|normal| normal.unwrap_or_else(|| path.to_owned()));
    if case["expect"]["status"].is_u64() {
        let status = found.err().map(|failure| u64::from(failure.http_status().as_u16()));
        return differs(status, case["expect"]["status"].as_u64());
    }
    differs(found.ok(), case["expect"]["path"].as_str().map(str::to_owned))
}
