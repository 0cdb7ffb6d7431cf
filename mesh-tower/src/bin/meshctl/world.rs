//! The configuration as one client sees it, ready to be asked about requests.

use std::collections::BTreeMap;

use clap::Args;
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Kind, Report, Resource, ResourceId, Severity};
use mesh_core::explain::{Explainer, Explanation};
use mesh_core::route::RuleOrigin;
use mesh_core::{Site, Snapshot, compile};
use serde_json::Value;

use super::gateways::Like;
use super::input::Input;

/// Whose requests, and by which configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Asker {
    /// Files, directories or patterns with the configuration; may be given several times
    #[arg(short, long, value_name = "FILES|DIR|GLOB|-", default_value = "mesh")]
    config: Vec<String>,

    /// The client: its namespace, and its service account if that matters [default: default; at a Gateway, its namespace]
    #[arg(long, value_name = "NAMESPACE[/ACCOUNT]")]
    from: Option<String>,

    /// The client's labels; at a Gateway its workload has those of the selector, too
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
}

pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Asker {
    pub(crate) fn site(&self) -> Site {
        site(self.from.as_deref().unwrap_or(DEFAULT), self.labels.iter().cloned().collect())
    }

    /// What the workload of a Gateway is like that is asked about.
    pub(crate) fn like(&self) -> Like {
        let Site { namespace, service_account, labels, .. } = self.site();
        Like { namespace: self.from.is_some().then_some(namespace), account: service_account, labels }
    }

    pub(crate) fn load(&self) -> Result<World, String> {
        World::load(&self.config, self.site())
    }
}

/// The namespace of a client that names none.
pub(crate) const DEFAULT: &str = "default";

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

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Where the rule of an explained decision comes from.
    pub(crate) fn origin(&self, found: &Explanation) -> Option<&RuleOrigin> {
        let taken = found.tried.last().filter(|tried| tried.failed.is_none())?;
        let port = found.listener.port;
        let table = match found.listener.gateways.is_empty() {
            true => self.snapshot.mesh_table(port)?,
            false => self.snapshot.gateway_servers().iter().find(|server| server.port == port)?.table,
        };
        let domain = &found.vhost.as_ref()?.domain;
        let (_, vhost) = self.snapshot.domains(table).into_iter().find(|(known, _)| known == domain)?;
        Some(&self.snapshot.vhost(vhost).1.get(taken.index)?.origin)
    }

    /// The HTTP rule of a VirtualService, as it stands in its document.
    pub(crate) fn rule_as_written(&self, origin: &RuleOrigin) -> Option<Value> {
        let id = ResourceId::new(Kind::VirtualService, &*origin.namespace, &*origin.name);
        match &self.set.get(&id).filter(|_| origin.kind == "VirtualService")?.resource {
            Resource::VirtualService(service) => {
                serde_json::to_value(service.spec.http.get(usize::try_from(origin.rule?).ok()?)?).ok()
            }
            _ => None,
        }
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
