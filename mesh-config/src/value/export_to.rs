//! Namespaces that an object is exported to.

/// The namespaces of a Service's annotation `networking.istio.io/exportTo`, separated by commas: `.` is that of the Service,
/// an annotation without content is `*`.
///
/// ```
/// use mesh_config::value::export_to;
///
/// assert_eq!(export_to::of_annotation("., shop", "default"), ["default", "shop"]);
/// assert_eq!(export_to::of_annotation("", "default"), ["*"]);
/// ```
#[must_use]
pub fn of_annotation(annotation: &str, namespace: &str) -> Vec<String> {
    if annotation.is_empty() {
        return vec!["*".to_owned()];
    }
    let entries = annotation.split(',').map(str::trim);
    entries.map(|entry| if entry == "." { namespace } else { entry }.to_owned()).collect()
}
