//! The configuration as one client sees it, ready to be asked about requests.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Kind, Report, ResourceId, Severity, parse};
use mesh_core::explain::Explainer;
use mesh_core::{Site, Snapshot, compile};

use super::input::Input;

/// Whose requests, and by which configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Asker {
    /// Files, directories or patterns with the configuration; may be given several times
    #[arg(short, long, value_name = "FILES|DIR|GLOB|-", default_value = "mesh")]
    config: Vec<String>,

    /// The client: its namespace, and its service account if that matters
    #[arg(long, value_name = "NAMESPACE[/ACCOUNT]", default_value = "default")]
    from: String,

    /// The client's labels
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
}

pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Asker {
    /// The same client with other labels or another home.
    pub(crate) fn site(&self) -> Site {
        site(&self.from, self.labels.iter().cloned().collect())
    }

    pub(crate) fn load(&self) -> Result<World, String> {
        World::load(&self.config, self.site())
    }
}

/// A client by `namespace` or `namespace/account`.
pub(crate) fn site(from: &str, labels: BTreeMap<String, String>) -> Site {
    let (namespace, account) = match from.split_once('/') {
        Some((namespace, account)) => (namespace, Some(account.to_owned())),
        None => (from, None),
    };
    Site { namespace: namespace.to_owned(), service_account: account, labels, ..Site::default() }
}

/// A configuration, compiled for one client.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) set: ConfigSet,
    pub(crate) site: Site,
    /// Whether a mesh would refuse the configuration: what is explained is what its good documents come to.
    pub(crate) refused: bool,
    mesh: MeshConfig,
    snapshot: Snapshot,
}

impl World {
    /// Reads files, directories and patterns. What is no good is said on standard error and left out.
    pub(crate) fn load(config: &[String], site: Site) -> Result<Self, String> {
        let loaded = Input::of(config, &site.namespace).load(false)?;
        if let Some(problem) = loaded.problems.first() {
            return Err(problem.clone());
        }
        let (set, _) = ConfigSet::from_documents(loaded.documents);
        let mut report = loaded.report;
        report.extend(set.validate());
        complain_about(&report);
        Ok(Self { refused: report.has_errors(), ..Self::of(set, site) })
    }

    pub(crate) fn of(set: ConfigSet, site: Site) -> Self {
        let mesh = set.mesh_config().cloned().unwrap_or_default();
        let snapshot = compile(&set, &mesh, &site).snapshot;
        Self { set, site, refused: false, mesh, snapshot }
    }

    /// The same configuration, compiled for another client.
    pub(crate) fn seen_by(&self, site: Site) -> Self {
        Self { refused: self.refused, ..Self::of(self.set.clone(), site) }
    }

    /// The same with a Gateway for each one that a VirtualService names and nobody defines: it takes every host on
    /// port 80, and is served by this client. So rules for a gateway can be tested without it.
    pub(crate) fn with_missing_gateways(self) -> Self {
        let Self { mut set, site, refused, .. } = self;
        let named: BTreeSet<(String, String)> = set
            .virtual_services()
            .flat_map(|service| {
                let namespace = service.meta.namespace.as_str();
                service.spec.gateways.iter().filter(|name| *name != "mesh").map(move |name| full_name(name, namespace))
            })
            .collect();
        let selector: String = site.labels.iter().map(|(key, value)| format!("{key}: {value:?}, ")).collect();
        for (namespace, name) in named {
            if set.get(&ResourceId::new(Kind::Gateway, &namespace, &name)).is_some() {
                continue;
            }
            let yaml = format!(
                "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name:?}, namespace: {namespace:?}}}\n\
                 spec: {{selector: {{{selector}}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*/*']}}]}}\n"
            );
            for document in parse("gateway", &yaml).0 {
                set.upsert(document);
            }
        }
        Self { refused, ..Self::of(set, site) }
    }

    /// Whether a gateway's server has a port.
    pub(crate) fn has_gateway_on(&self, port: u16) -> bool {
        self.snapshot.gateway_servers().iter().any(|server| server.port == port)
    }

    pub(crate) fn explainer(&self) -> Explainer<'_> {
        Explainer::new(&self.set, &self.mesh, &self.site, &self.snapshot)
    }
}

/// A mesh keeps the last good set; here the good documents are looked at, and the others named.
fn complain_about(report: &Report) {
    for finding in report.iter().filter(|finding| finding.severity == Severity::Error) {
        super::output::complain(&finding.to_string());
    }
    if report.has_errors() {
        super::output::complain("a mesh refuses this configuration; what follows is about its good documents");
    }
}

/// A gateway as a VirtualService names it: `name`, `namespace/name`.
fn full_name(name: &str, namespace: &str) -> (String, String) {
    match name.split_once('/') {
        Some((".", name)) => (namespace.to_owned(), name.to_owned()),
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (namespace.to_owned(), name.to_owned()),
    }
}
