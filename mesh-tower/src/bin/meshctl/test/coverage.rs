//! Which rules some request was taken by.

use std::collections::BTreeMap;

use mesh_config::ConfigSet;
use serde::Serialize;

/// The HTTP rules of all VirtualServices.
#[derive(Debug, Default, Serialize)]
pub(super) struct Coverage {
    covered: usize,
    rules: usize,
    /// Rules that no request was taken by, `VirtualService default/ratings spec.http[2] "legacy"`.
    never_hit: Vec<String>,
    #[serde(skip)]
    hits: BTreeMap<(String, String), (String, bool)>,
}

impl Coverage {
    /// Nothing hit yet.
    pub(super) fn of(set: &ConfigSet) -> Self {
        let mut hits = BTreeMap::new();
        for service in set.virtual_services() {
            for (index, rule) in service.spec.http.iter().enumerate() {
                let object = format!("VirtualService {}", service.meta.namespaced_name());
                hits.insert((object, format!("spec.http[{index}]")), (rule.name.clone(), false));
            }
        }
        Self { hits, ..Self::default() }
    }

    pub(super) fn hit(&mut self, object: &str, field: &str) {
        if let Some((_, hit)) = self.hits.get_mut(&(object.to_owned(), field.to_owned())) {
            *hit = true;
        }
    }

    /// Adds up.
    pub(super) fn finish(&mut self) {
        self.rules = self.hits.len();
        let missed = self.hits.iter().filter(|(_, (_, hit))| !hit);
        self.never_hit = missed
            .map(|((object, field), (name, _))| match name.as_str() {
                "" => format!("{object} {field}"),
                name => format!("{object} {field} {name:?}"),
            })
            .collect();
        self.covered = self.rules - self.never_hit.len();
    }

    /// The share of the rules that were hit; everything of nothing is 100.
    pub(super) fn percent(&self) -> f64 {
        if self.rules == 0 { 100.0 } else { 100.0 * self.covered as f64 / self.rules as f64 }
    }

    pub(super) fn text(&self) -> String {
        let never = match self.never_hit.as_slice() {
            [] => String::new(),
            missed => format!(", never hit:\n  {}", missed.join("\n  ")),
        };
        format!("rules covered {} of {} ({:.1} %){never}\n", self.covered, self.rules, self.percent())
    }
}
