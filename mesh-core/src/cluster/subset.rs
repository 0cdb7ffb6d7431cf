//! Subsets: the endpoints that have certain labels.

use mesh_config::value::{Labels, labels};

use super::EndpointSource;

/// The endpoints of a source that have all of `wanted`; empty labels select all.
pub fn select(source: &EndpointSource, wanted: &Labels) -> EndpointSource {
    match source {
        EndpointSource::Static(endpoints) => EndpointSource::Static(
            endpoints.iter().filter(|endpoint| labels::subset_of(wanted, &endpoint.labels)).cloned().collect(),
        ),
        EndpointSource::Dns { targets, logical, refresh } => EndpointSource::Dns {
            targets: targets.iter().filter(|target| labels::subset_of(wanted, &target.labels)).cloned().collect(),
            logical: *logical,
            refresh: *refresh,
        },
        EndpointSource::OriginalDestination { port } => EndpointSource::OriginalDestination { port: *port },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{EndpointAddress, EndpointSpec};

    fn endpoint(ip: &str, version: &str) -> EndpointSpec {
        let labels = Labels::from([("app".to_owned(), "a".to_owned()), ("version".to_owned(), version.to_owned())]);
        EndpointSpec { labels, ..EndpointSpec::at(EndpointAddress::parse(ip, 80).unwrap()) }
    }

    #[test]
    fn a_subset_has_the_endpoints_with_all_its_labels() {
        let source = EndpointSource::Static(vec![endpoint("10.0.0.1", "v1"), endpoint("10.0.0.2", "v2")]);
        let count = |labels: &[(&str, &str)]| {
            let wanted = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            match select(&source, &wanted) {
                EndpointSource::Static(endpoints) => endpoints.len(),
                _ => unreachable!(),
            }
        };
        assert_eq!(count(&[]), 2);
        assert_eq!(count(&[("version", "v2")]), 1);
        assert_eq!(count(&[("version", "v2"), ("app", "b")]), 0);
    }
}
