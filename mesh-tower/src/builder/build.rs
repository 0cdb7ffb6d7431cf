//! From what was said of a mesh to one that runs.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Document, ParseOptions, Report};
use mesh_core::Profile;
use mesh_core::telemetry::Workload;
use tokio::task::JoinSet;

use super::{AnyIdentity, AnySource, BuildError, MeshBuilder};
use crate::Mesh;
use crate::chance::Chance;
use crate::cluster::Environment;
use crate::config::{Keeper, KeeperOptions};
use crate::discovery::{Dns, Resolver, SystemResolver};
use crate::identity::{IdentityHandle, IdentitySink, IdentitySource};
use crate::live::LiveHandle;
use crate::outbound::{AddedHeader, Shared};
use crate::serve::Drain;
use crate::source::{Apply, ConfigSink, ConfigSource as _, DirSource};
use crate::telemetry::{self, Metrics, Propagators, Traces};

/// Documents of a source, and what reading them has found.
type Read = (String, Vec<Document>, Report);

impl MeshBuilder {
    /// Reads the configuration and puts it into use.
    ///
    /// # Errors
    /// If the configuration has an error and [`keep_good_on_error`](Self::keep_good_on_error) was not
    /// asked for, or if there is an error that concerns this workload as a whole.
    pub async fn build(mut self) -> Result<Mesh, BuildError> {
        self.options.profile = self.site.profile;
        self.options.carry_deadline = self.carry_deadline.unwrap_or(self.site.profile != Profile::Istio);
        if self.site.profile == Profile::Istio {
            self.options.left_out.add(AddedHeader::Nature);
        }
        let parse = self.parse_options();
        let mesh_config = self.mesh_config.as_deref().map(|text| read_mesh_config(text, &parse)).transpose()?;
        #[cfg(feature = "admin")]
        let admin = self.bind_admin().await?;
        let identity = IdentityHandle::new(std::mem::take(&mut self.identity_options));
        let identities = self.identity.take().map(|AnyIdentity(source)| begun(source, &identity)).transpose()?;
        let (metrics, traces) = (self.metrics(&identity), self.traces());
        let environment = Environment {
            resolver: Resolver::new(self.discovery.unwrap_or_else(|| Arc::new(Dns::new(SystemResolver)))),
            profile: self.site.profile,
            network: self.network,
            identity: identity.clone(),
            first_turn: self.seed.map_or_else(|| fastrand::u32(..), |_| 0),
            metrics: metrics.clone(),
        };
        let live = LiveHandle::default();
        let keeper = Arc::new(Keeper::new(
            live.clone(),
            KeeperOptions {
                site: self.site,
                environment,
                parse: parse.clone(),
                mesh_config,
                keep_good: self.keep_good,
                awaited: self.sources.iter().map(|AnySource(source)| source.name().into()).collect(),
            },
        ));
        let shared = Arc::new(
            Shared::new(live, Chance::new(self.seed), self.options, metrics)
                .traced(traces)
                .exporting(self.exporter.take()),
        );
        if let Some(meter) = &self.meter {
            telemetry::observe(meter, &shared, &identity);
        }
        let mut initial = self.documents;
        initial.extend(self.texts.iter().map(|(name, text)| {
            let (documents, report) = mesh_config::parse_with(name, text, &parse);
            (name.clone(), documents, report)
        }));
        let (read, directories) = read_directories(self.directories, &parse);
        initial.extend(read);
        // One set, judged as a whole, so that documents may refer to those of another source.
        let applied = keeper.apply_all(initial);
        if !applied.accepted {
            return Err(BuildError::of_report(applied.report));
        }
        let mut tasks = JoinSet::new();
        self.sources.into_iter().chain(directories).for_each(|source| follow(source, &keeper, &mut tasks));
        if let Some(source) = identities {
            tasks.spawn(source.run(IdentitySink::new(identity.clone())));
        }
        let drains = Drain::new();
        #[cfg(feature = "admin")]
        let admin = admin.map(|admin| admin.start((&shared, &keeper), &identity, &drains.0, &mut tasks));
        let mesh = Mesh::new(shared, keeper, identity, drains, tasks);
        #[cfg(feature = "admin")]
        let mesh = mesh.administered_at(admin);
        Ok(mesh)
    }

    /// Takes the address of the admin server; who has one and no provider of its own counts for it.
    #[cfg(feature = "admin")]
    async fn bind_admin(&mut self) -> Result<Option<crate::admin::Bound>, BuildError> {
        let Some(admin) = self.admin.take().or_else(crate::admin::Admin::of_environment) else { return Ok(None) };
        let bound = admin.bind(self.meter.is_none()).await.map_err(BuildError::of_admin)?;
        self.meter = self.meter.take().or_else(|| bound.meter());
        Ok(Some(bound))
    }

    /// This workload, as labels name it.
    fn own_workload(&self) -> Workload {
        let Self { site, workload_name: name, .. } = self;
        let own =
            Workload::new(name.as_deref().or(site.service_account.as_deref()), Some(&site.namespace), &site.labels);
        match name {
            Some(_) => own,
            None => Workload { name: own.canonical_service.clone(), ..own },
        }
    }

    fn metrics(&self, identity: &IdentityHandle) -> Option<Arc<Metrics>> {
        let (meter, mut own) = (self.meter.as_ref()?, self.own_workload());
        // Its namespace stays the one that was said.
        if let Some(id) = identity.id() {
            own.principal = id.as_str().into();
        }
        Some(Metrics::new(meter, own, &self.site.cluster_domain, self.introduces))
    }

    fn traces(&mut self) -> Option<Arc<Traces>> {
        let (tracer, own) = (self.tracer.take()?, self.own_workload());
        let propagators = self.propagators.take().unwrap_or_else(|| {
            let (propagators, baggage) = Propagators::of_environment();
            self.options.carried.extend(baggage.then(|| http::HeaderName::from_static("baggage")));
            propagators
        });
        Some(Traces::new(tracer, propagators, own))
    }
}

/// A source of certificates whose first one is in use.
fn begun(
    mut source: Box<dyn IdentitySource>,
    identity: &IdentityHandle,
) -> Result<Box<dyn IdentitySource>, BuildError> {
    let material = source.first().map_err(|problem| BuildError::of_identity(source.name(), problem))?;
    identity.replace(material);
    Ok(source)
}

/// What directories have at the beginning, and what follows them.
fn read_directories(directories: Vec<PathBuf>, parse: &ParseOptions) -> (Vec<Read>, Vec<AnySource>) {
    let read = |directory| {
        let mut source = DirSource::new(directory, parse.clone());
        let (documents, report) = source.read();
        ((source.name().to_owned(), documents, report), AnySource(Box::new(source)))
    };
    directories.into_iter().map(read).unzip()
}

/// Has a source deliver for as long as it can.
fn follow(AnySource(source): AnySource, keeper: &Arc<Keeper>, tasks: &mut JoinSet<()>) {
    let sink = ConfigSink::new(Arc::clone(keeper) as Arc<dyn Apply>, source.name());
    let keeper = Arc::clone(keeper);
    tasks.spawn(async move {
        let name = source.name().to_owned();
        match source.run(sink).await {
            Ok(()) => keeper.ended(&name),
            Err(error) => {
                tracing::error!(%error, "a configuration source ended; its last documents stay in use");
            }
        }
    });
}

fn read_mesh_config(text: &str, parse: &ParseOptions) -> Result<MeshConfig, BuildError> {
    let (documents, report) = mesh_config::parse_with("mesh config", text, parse);
    let (set, _) = ConfigSet::from_documents(documents);
    match set.mesh_config() {
        Some(config) if !report.has_errors() => Ok(config.clone()),
        _ => Err(BuildError::no_mesh_config(report)),
    }
}
