//! What is asked, and who answers it.

use std::fmt;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, StatusCode};
use mesh_core::Site;
use mesh_core::explain::{Explainer, Explanation, Question};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::ask::Ask;
use super::metrics::{self, Scraped};
use super::options::Admin;
use super::reply::{Reply, json, text};
use super::{certs, changes, config, endpoints, graph, guard, page, peers, rates, routes, tap};
use crate::config::Keeper;
use crate::identity::IdentityHandle;
use crate::live::Live;
use crate::outbound::Shared;
use crate::serve::Drain;
use crate::telemetry::{Seen, Traffic, Window};

/// What the answers are read from.
pub(super) struct State {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) identity: IdentityHandle,
    pub(super) drain: Drain,
    pub(super) admin: Admin,
    pub(super) scraped: Option<Scraped>,
    pub(super) taps: Arc<Semaphore>,
    /// Who has one may have something explained: a task that works cannot be ended.
    pub(super) explanations: Arc<Semaphore>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// Every path, for who opens the first.
const INDEX: [(&str, &str); 14] = [
    (
        "/mesh/graph",
        "this process and its neighbours: rates, shares, durations, failures, TLS; ?window=1m|5m|15m&host=",
    ),
    ("/mesh/routes", "rules by port and host, with rates; ?host=&window="),
    ("/mesh/endpoints", "endpoints with health, ejections and rates; ?host=&window="),
    ("/mesh/peers", "who calls, who of them could no more under STRICT, what is called in plaintext; ?window="),
    ("/mesh/limits", "limits, what is in use of them and how often they were in the way; ?host="),
    ("/mesh/config", "generation, sources, resources that act and that are refused, findings"),
    ("/mesh/explain", "where a request goes and why; ?method=&url=&h=name:value&roll=&from=namespace/account&label="),
    ("/mesh/certs", "identity and expiry"),
    ("/mesh/lint", "findings of the last configuration"),
    ("/mesh/version", "version and features"),
    ("/mesh/tap", "requests as they end, as events; ?status=&method=&path=&host=&cluster=&flag=&side="),
    ("/metrics", "figures for Prometheus"),
    ("/live", "whether the process answers"),
    ("/ready", "whether it has a configuration and does not drain"),
];

impl State {
    pub(super) async fn answer(&self, request: Request<()>) -> Reply {
        if let Some(refused) = guard::refuse(&request, &self.admin) {
            return refused;
        }
        if request.method() == Method::POST {
            return changes::change(self, &request);
        }
        let ask = Ask::of(request.uri());
        let live = self.shared.live.current();
        let host = ask.get("host").unwrap_or_default();
        let seen = match rates::window(&ask) {
            Ok(window) => move || self.seen(window),
            Err(problem) => return text(StatusCode::BAD_REQUEST, problem),
        };
        match request.uri().path() {
            path if is_page(path) && wants_page(request.headers()) => self.page(&live),
            path if is_page(path) => json(&index()),
            "/mesh/routes" => json(&routes::routes(&live, &seen(), host)),
            "/mesh/endpoints" => json(&endpoints::endpoints(&live, &seen(), host)),
            "/mesh/graph" => json(&graph::graph(&live, &seen(), host)),
            "/mesh/peers" => json(&peers::peers(&live, &seen())),
            "/mesh/limits" => json(&endpoints::limits(&live, host)),
            "/mesh/config" => json(&config::config(&live, &self.keeper)),
            "/mesh/explain" => self.explain(live, ask).await,
            "/mesh/certs" => json(&certs::certs(&self.identity)),
            "/mesh/lint" => json(&config::lint(&self.keeper.report())),
            "/mesh/version" => json(&version()),
            "/mesh/tap" => tap::listen(self, &ask),
            "/metrics" => metrics::answer(self.scraped.as_ref()),
            "/live" => text(StatusCode::OK, "live"),
            "/ready" => self.ready(&live),
            _ => text(StatusCode::NOT_FOUND, "there is nothing here; /mesh/ lists what there is"),
        }
    }

    /// What requests came to of late.
    fn seen(&self, window: Window) -> Seen {
        self.shared.sinks.traffic.get_or_init(Traffic::default).seen(window)
    }

    async fn explain(&self, live: Arc<Live>, ask: Ask) -> Reply {
        let question = match question(&ask) {
            Ok(question) => question,
            Err(problem) => return text(StatusCode::BAD_REQUEST, problem),
        };
        let Ok(permit) = Arc::clone(&self.explanations).try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too much is being explained already");
        };
        // Asking as somebody else compiles everything anew: not among the tasks of requests, and it holds its permit to the
        // end although nobody may wait for it any more.
        let explained = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match ask.get("from") {
                Some(from) => as_somebody_else(&live, &question, from, &ask),
                None => live.explain(&question),
            }
        });
        match explained.await.map(serde_json::to_value) {
            Ok(Ok(explanation)) => json(&explanation),
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, "the explanation cannot be given"),
        }
    }

    fn page(&self, live: &Live) -> Reply {
        let seen = self.seen(Window::default());
        let site = live.compiled().map(|compiled| &compiled.site);
        let account = site.and_then(|site| site.service_account.as_deref()).unwrap_or("this process");
        let name = site.map_or_else(String::new, |site| format!("{}/{account}", site.namespace));
        page::page(&page::Seen {
            name: &name,
            generation: live.version(),
            certs: &certs::certs(&self.identity),
            lint: &config::lint(&self.keeper.report()),
            routes: &routes::routes(live, &seen, ""),
            endpoints: &endpoints::endpoints(live, &seen, ""),
            limits: &endpoints::limits(live, ""),
            index: &INDEX,
        })
    }

    fn ready(&self, live: &Live) -> Reply {
        let unready = |why| text(StatusCode::SERVICE_UNAVAILABLE, why);
        if self.drain.has_begun() {
            return unready("draining");
        }
        if !live.is_complete() {
            return unready("waits for a source of the configuration");
        }
        text(StatusCode::OK, "ready")
    }
}

/// The paths of the page.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/mesh" | "/mesh/")
}

/// A browser says so; a program that takes anything gets what it can read.
fn wants_page(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

fn index() -> Value {
    INDEX.iter().map(|(path, says)| ((*path).to_owned(), json!(says))).collect::<serde_json::Map<_, _>>().into()
}

pub(super) fn version() -> Value {
    let features = [
        ("admin", true),
        ("axum", cfg!(feature = "axum")),
        ("cli", cfg!(feature = "cli")),
        ("otlp", cfg!(feature = "otlp")),
        ("testing", cfg!(feature = "testing")),
        ("workload-api", cfg!(feature = "workload-api")),
    ];
    let features: Vec<_> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    json!({ "name": "mesh-tower", "version": env!("CARGO_PKG_VERSION"), "features": features })
}

fn question(ask: &Ask) -> Result<Question, String> {
    let url = ask.get("url").ok_or("?url= is missing, such as http://reviews:9080/")?;
    let method = ask.get("method").unwrap_or("GET");
    let mut question = Question::new(method, url).map_err(|problem| problem.to_string())?;
    for line in ask.all("h").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is not name:value"))?;
        question = question.header(name.trim(), value.trim()).map_err(|problem| problem.to_string())?;
    }
    let roll = ask.get("roll").unwrap_or("0");
    Ok(question.with_roll(roll.parse().map_err(|_| format!("`{roll}` is no roll: a number is"))?))
}

/// What a workload `namespace/account` with these labels would meet, by the same documents.
fn as_somebody_else(live: &Live, question: &Question, from: &str, ask: &Ask) -> Explanation {
    let Some(compiled) = live.compiled() else { return Explanation::default() };
    let (namespace, account) = from.split_once('/').unwrap_or((from, "default"));
    let labels = ask.all("label").filter_map(|label| label.split_once('='));
    let site = Site {
        namespace: namespace.to_owned(),
        service_account: Some(account.to_owned()),
        labels: labels.map(|(key, value)| (key.into(), value.into())).collect(),
        ..compiled.site.clone()
    };
    let theirs = mesh_core::compile(&compiled.set, &compiled.mesh, &site);
    Explainer::new(&compiled.set, &compiled.mesh, &site, &theirs.snapshot).explain(question)
}
