//! Keeps the configuration: what sources say, whether it is good, and which version is in use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Document, ParseOptions, Report, Severity};
use mesh_core::{Site, compile};
use tokio::sync::watch;

use crate::cluster::Environment;
use crate::live::{Live, LiveHandle};
use crate::source::{Applied, Apply};

type Sources = BTreeMap<Arc<str>, Vec<Document>>;

/// The documents of every source, and what became of them.
#[derive(Debug)]
pub(crate) struct Keeper {
    live: LiveHandle,
    site: Site,
    environment: Environment,
    options: ParseOptions,
    mesh_config: Option<MeshConfig>,
    keep_good: bool,
    sources: Mutex<Sources>,
    report: ArcSwap<Report>,
    version: watch::Sender<u64>,
}

/// What a [`Keeper`] is made of.
#[derive(Debug)]
pub(crate) struct KeeperOptions {
    pub(crate) site: Site,
    pub(crate) environment: Environment,
    pub(crate) parse: ParseOptions,
    pub(crate) mesh_config: Option<MeshConfig>,
    /// Go on with the documents that are good instead of refusing the set.
    pub(crate) keep_good: bool,
}

impl Keeper {
    pub(crate) fn new(live: LiveHandle, options: KeeperOptions) -> Self {
        Self {
            live,
            site: options.site,
            environment: options.environment,
            options: options.parse,
            mesh_config: options.mesh_config,
            keep_good: options.keep_good,
            sources: Mutex::default(),
            report: ArcSwap::default(),
            version: watch::Sender::new(0),
        }
    }

    /// The findings of the last set that came in, whether it was taken or not.
    pub(crate) fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    pub(crate) fn parse_options(&self) -> &ParseOptions {
        &self.options
    }

    /// Tells each version that is put into use.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the documents of several sources into use as one set.
    pub(crate) fn apply_all(&self, given: Vec<(String, Vec<Document>, Report)>) -> Applied {
        let mut report = Report::new();
        let mut sources = self.sources();
        let mut next = sources.clone();
        for (source, documents, found) in given {
            next.insert(source.into(), documents);
            report.extend(found);
        }
        self.apply_sources(&mut sources, next, report)
    }

    /// Under the lock from the reading of the sources on: of two that deliver at once, neither may
    /// publish a set that lacks the documents of the other.
    fn apply_sources(&self, sources: &mut Sources, next: Sources, mut report: Report) -> Applied {
        let (set, replaced) = ConfigSet::from_documents(next.values().flatten().cloned());
        report.extend(replaced);
        let applied = self.apply_set(&set, report);
        if applied.accepted {
            *sources = next;
        }
        applied
    }

    /// Judges a set and puts it into use if it is good.
    fn apply_set(&self, set: &ConfigSet, mut report: Report) -> Applied {
        report.extend(set.validate());
        let refused = report.iter().any(|finding| finding.severity == Severity::Error);
        if refused && !self.keep_good {
            return self.refuse(report);
        }
        let good = if refused { without_refused(set, &report) } else { set.clone() };
        // Findings across resources act at run time, as in Istio: a missing subset is 503 for its
        // share of the requests, not a reason to refuse everything else.
        report.extend(good.analyze());
        let default = MeshConfig::default();
        let mesh = self.mesh_config.as_ref().or(good.mesh_config()).unwrap_or(&default);
        let compiled = compile(&good, mesh, &self.site);
        let broken = compiled.report.has_errors();
        report.extend(compiled.report);
        if broken {
            return self.refuse(report);
        }
        let next = Live::next(&self.live.current(), compiled.snapshot, &self.environment);
        let version = next.version();
        self.live.publish(next);
        let report = Arc::new(report);
        self.report.store(Arc::clone(&report));
        self.version.send_replace(version);
        Applied::new(version, report, true)
    }

    fn refuse(&self, report: Report) -> Applied {
        let report = Arc::new(report);
        self.report.store(Arc::clone(&report));
        Applied::new(self.live.current().version(), report, false)
    }
}

/// The set without the resources that have an error of their own.
fn without_refused(set: &ConfigSet, report: &Report) -> ConfigSet {
    let mut good = set.clone();
    for id in report.errors().filter_map(|finding| finding.resource.as_ref()) {
        good.remove(id);
    }
    good
}

impl Apply for Keeper {
    /// Replaces the documents of one source; those of the others stay. A set that is refused changes
    /// nothing, not even what this source is remembered to have said.
    fn apply(&self, source: &str, documents: Vec<Document>, report: Report) -> Applied {
        let mut sources = self.sources();
        let mut next = sources.clone();
        next.insert(source.into(), documents);
        self.apply_sources(&mut sources, next, report)
    }
}
