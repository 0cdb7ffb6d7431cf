//! Keeps the configuration: what sources say, whether it is good, and which version is in use.

mod once;
mod problems;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mesh_config::analyze;
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Diagnostic, Document, ParseOptions, Report};
use mesh_core::{Site, compile};
use tokio::sync::watch;

use crate::cluster::Environment;
use crate::explained::Compiled;
use crate::live::{Live, LiveHandle};
use crate::source::{Applied, Apply};

use self::problems::ProblemLog;
use self::said::Said;

type Sources = BTreeMap<Arc<str>, Said>;

/// The documents of every source, and what became of them.
#[derive(Debug)]
pub(crate) struct Keeper {
    live: LiveHandle,
    site: Site,
    environment: Environment,
    options: ParseOptions,
    mesh_config: Option<MeshConfig>,
    keep_good: bool,
    state: Mutex<State>,
    report: ArcSwap<Report>,
    in_use: ArcSwap<Report>,
    version: watch::Sender<u64>,
}

/// What deliveries change, one after the other.
#[derive(Debug, Default)]
struct State {
    sources: Sources,
    /// Those that have delivered nothing that could be taken.
    awaited: BTreeSet<Arc<str>>,
    log: ProblemLog,
}

/// What a source says.
#[cfg(feature = "admin")]
#[derive(Debug)]
pub(crate) struct SourceState {
    pub(crate) name: String,
    /// The files of its documents.
    pub(crate) files: BTreeSet<Arc<str>>,
    /// Its documents that act.
    pub(crate) documents: usize,
    /// Errors in its last delivery.
    pub(crate) errors: usize,
    /// Whether it has delivered nothing that could be taken.
    pub(crate) is_awaited: bool,
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
    /// The names of the sources that deliver later: before all of them have, nobody is served.
    pub(crate) awaited: BTreeSet<Arc<str>>,
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
            state: Mutex::new(State { awaited: options.awaited, ..State::default() }),
            report: ArcSwap::default(),
            in_use: ArcSwap::default(),
            version: watch::Sender::new(0),
        }
    }

    /// The findings of the last set that came in, whether it was taken or not.
    pub(crate) fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    /// The findings of the set that is in use.
    pub(crate) fn report_in_use(&self) -> Arc<Report> {
        self.in_use.load_full()
    }

    /// What each source says, for who asks.
    #[cfg(feature = "admin")]
    pub(crate) fn sources(&self) -> Vec<SourceState> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(name, said): (&Arc<str>, &Said)| SourceState {
            name: name.to_string(),
            files: said.documents.iter().map(|document| Arc::clone(&document.origin.file)).collect(),
            documents: said.documents.len(),
            errors: said.findings.errors().count(),
            is_awaited: state.awaited.contains(name),
        };
        let nothing = Said::default();
        let silent = state.awaited.iter().filter(|name| !state.sources.contains_key(*name));
        let silent = silent.map(|name| of((name, &nothing))).collect::<Vec<_>>();
        state.sources.iter().map(of).chain(silent).collect()
    }

    pub(crate) fn parse_options(&self) -> &ParseOptions {
        &self.options
    }

    /// Tells each version that is put into use.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Puts the documents of several sources into use as one set. Two that share a name are one.
    pub(crate) fn apply_all(&self, given: Vec<(String, Vec<Document>, Report)>) -> Applied {
        let mut merged: BTreeMap<Arc<str>, (Vec<Document>, Report)> = BTreeMap::new();
        for (source, documents, report) in given {
            let (all, found) = merged.entry(source.into()).or_default();
            all.extend(documents);
            found.extend(report);
        }
        self.deliver("start", merged)
    }

    /// A source will say no more. One that never said anything is not waited for any longer.
    pub(crate) fn ended(&self, source: &str) {
        let is_awaited = self.state.lock().unwrap_or_else(PoisonError::into_inner).awaited.contains(source);
        if is_awaited {
            self.deliver(source, BTreeMap::from([(source.into(), (Vec::new(), Report::new()))]));
        }
    }

    /// Under the lock from the reading of the sources on: of two that deliver at once, neither may
    /// publish a set that lacks the documents of the other.
    fn deliver(&self, by: &str, given: BTreeMap<Arc<str>, (Vec<Document>, Report)>) -> Applied {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = state.sources.clone();
        let mut awaited = state.awaited.clone();
        let mut found: BTreeMap<Arc<str>, Report> = BTreeMap::new();
        for (source, (documents, findings)) in given {
            found.insert(Arc::clone(&source), findings.clone());
            awaited.remove(&source);
            let said = next.entry(source).or_default();
            *said = if self.keep_good {
                said.replaced_where_good(documents, findings)
            } else {
                Said::replaced(documents, findings)
            };
        }
        let unread = !self.keep_good && found.values().any(Report::has_errors);
        let applied = self.apply_set(&next, unread, awaited.is_empty());
        if applied.accepted {
            state.sources = next;
            state.awaited = awaited;
        } else {
            // Their documents stay what they were; what is wrong with the new ones is remembered.
            remember(&mut state.sources, found, &applied.report);
        }
        state.log.record(by, &applied);
        applied
    }

    /// Judges what all sources say and puts it into use if it is good.
    fn apply_set(&self, sources: &Sources, unread: bool, complete: bool) -> Applied {
        let (set, replaced) = ConfigSet::from_documents(sources.values().flat_map(|said| &said.documents).cloned());
        let mut report = Report::new();
        sources.values().for_each(|said| report.extend(said.findings.clone()));
        report.extend(replaced);
        let valid = set.validate();
        let refused = unread || valid.has_errors();
        report.extend(valid);
        if refused {
            return self.refuse(report);
        }
        // Findings across resources act at run time, as in Istio: a missing subset is 503 for its
        // share of the requests, not a reason to refuse everything else.
        let options = analyze::Options::default();
        let options = match self.mesh_config.clone() {
            Some(mesh) => options.mesh_config(mesh),
            None => options,
        };
        let analysis = set.analyze_with(&options);
        let default = MeshConfig::default();
        let mesh = self.mesh_config.as_ref().or(set.mesh_config()).unwrap_or(&default);
        let compiled = compile(&set, mesh, &self.site);
        let broken = compiled.report.has_errors();
        let compiling = once::without_what_analysis_says(compiled.report, &analysis);
        report.extend(analysis);
        report.extend(compiling);
        if broken {
            return self.refuse(report);
        }
        self.environment.identity.follow(compiled.snapshot.trust_domains(), compiled.snapshot.tls());
        let mesh = mesh.clone();
        let from = Compiled { set, mesh, site: self.site.clone() };
        let next = Live::next(&self.live.current(), (compiled.snapshot, from, complete), &self.environment);
        let version = next.version();
        self.live.publish(next);
        let report = Arc::new(report);
        self.report.store(Arc::clone(&report));
        self.in_use.store(Arc::clone(&report));
        self.version.send_replace(version);
        Applied::new(version, report, true)
    }

    fn refuse(&self, report: Report) -> Applied {
        let report = Arc::new(report);
        self.report.store(Arc::clone(&report));
        Applied::new(self.live.current().version(), report, false)
    }
}

/// Notes what a refused delivery was refused for.
fn remember(sources: &mut Sources, found: BTreeMap<Arc<str>, Report>, report: &Report) {
    for (source, mut findings) in found {
        let others = || sources.iter().filter(|(other, _)| **other != source).map(|(_, said)| &said.findings);
        let is_known = |error: &Diagnostic| others().any(|known| known.iter().any(|known| known == error));
        let new: Vec<_> = report.errors().filter(|error| !is_known(error)).cloned().collect();
        for error in new {
            if !findings.iter().any(|known| *known == error) {
                findings.push(error);
            }
        }
        sources.entry(source).or_default().findings = findings;
    }
}

impl Apply for Keeper {
    /// Replaces the documents of one source; those of the others stay. A set that is refused changes
    /// nothing of what acts.
    fn apply(&self, source: &str, documents: Vec<Document>, report: Report) -> Applied {
        self.deliver(source, BTreeMap::from([(source.into(), (documents, report))]))
    }
}
