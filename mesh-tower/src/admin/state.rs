//! What is asked, and who answers it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, StatusCode};
use mesh_core::Site;
use mesh_core::explain::{Explainer, Explanation, Question};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::ask::Ask;
use super::metrics::{self, Scraped};
use super::options::Admin;
use super::reply::{Reply, json, text};
use super::{
    authz, certs, changes, config, effective, endpoints, facts, graph, guard, peers, rates, routes, tap, version,
};
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
    pub(super) began: Instant,
    pub(super) scraped: Option<Scraped>,
    pub(super) taps: Arc<Semaphore>,
    /// What the level of the log was last set to here.
    pub(super) level: Mutex<Option<String>>,
    /// Who has one may have something explained: a task that works cannot be ended.
    pub(super) explanations: Arc<Semaphore>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// Every path, for who opens the first.
pub(super) const INDEX: [(&str, &str); 17] = [
    (
        "/mesh/graph",
        "this process and its neighbours: rates, shares, durations, failures, TLS; ?window=1m|5m|15m&host=",
    ),
    ("/mesh/routes", "rules by port and host, with rates; ?host=&window="),
    ("/mesh/endpoints", "endpoints with health, ejections and rates; ?host=&window="),
    ("/mesh/peers", "who calls, who of them could no more under STRICT, what is called in plaintext; ?window="),
    ("/mesh/limits", "limits, what is in use of them and how often they were in the way; ?host="),
    ("/mesh/effective/{host}", "the policy that counts for a host, each value with where it was said"),
    ("/mesh/config", "generation, hash, sources, resources that act and that are refused, findings"),
    ("/mesh/explain", "where a request goes and why; ?method=&url=&h=name:value&roll=&from=namespace/account&label="),
    ("/mesh/authz", "who may do what here, and by which policy; ?as=&method=&path=&host=&h=name:value&port=&address="),
    ("/mesh/certs", "identity, expiry and last reload"),
    ("/mesh/lint", "findings of the last configuration, and what is wrong at this moment"),
    ("/mesh/version", "who this is, version, features, compiler"),
    ("/mesh/log", "whether the level of the log can be set, and to what it was"),
    ("/mesh/tap", "requests as they end, as events; ?status=&method=&path=&host=&cluster=&flag=&side="),
    ("/metrics", "figures for Prometheus"),
    ("/live", "whether the process answers"),
    ("/ready", "whether it has a configuration and does not drain"),
];

/// Where a window may be chosen by who wants to know; the page goes on with the usual one.
const WINDOWED: [&str; 5] = ["/mesh/routes", "/mesh/endpoints", "/mesh/graph", "/mesh/peers", "/mesh/lint"];

/// Behind it stands a host.
const EFFECTIVE: &str = "/mesh/effective/";

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
        let window = match rates::window(&ask) {
            Ok(window) => window,
            Err(problem) if WINDOWED.contains(&request.uri().path()) => return text(StatusCode::BAD_REQUEST, problem),
            Err(_) => Window::default(),
        };
        let seen = || self.seen(window);
        match request.uri().path() {
            path if is_page(path) && wants(request.headers(), "text/html") => self.page(&live, &ask),
            path if is_page(path) => json(&index()),
            "/mesh/routes" => json(&routes::routes(&live, &seen(), host)),
            "/mesh/endpoints" => json(&endpoints::endpoints(&live, &seen(), host)),
            "/mesh/graph" => json(&graph::graph(&live, &seen(), host)),
            "/mesh/peers" => json(&peers::peers(&live, &seen())),
            "/mesh/limits" => json(&endpoints::limits(&live, host)),
            "/mesh/config" => self.config(live).await,
            "/mesh/authz" => match authz::authz(&live, self.shared.trials.counts(), &ask) {
                Ok(told) => json(&told),
                Err(problem) => text(StatusCode::BAD_REQUEST, problem),
            },
            "/mesh/explain" => {
                let is_read = ["text/html", "text/plain"].iter().any(|kind| wants(request.headers(), kind));
                self.explain(live, ask, is_read).await
            }
            "/mesh/certs" => json(&certs::certs(&self.identity)),
            "/mesh/lint" => json(&self.lint(&live, &seen())),
            "/mesh/version" => json(&version::version(&live)),
            "/mesh/tap" => tap::listen(self, &ask),
            "/mesh/log" => json(&changes::level(self)),
            "/metrics" => metrics::answer(self.scraped.as_ref()),
            "/live" => text(StatusCode::OK, "live"),
            "/ready" => self.ready(&live),
            path if let Some(host) = path.strip_prefix(EFFECTIVE) => self.effective(live, host).await,
            _ => text(StatusCode::NOT_FOUND, "there is nothing here; /mesh/ lists what there is"),
        }
    }

    /// What requests came to of late.
    pub(super) fn seen(&self, window: Window) -> Seen {
        self.shared.sinks.traffic.get_or_init(Traffic::default).seen(window)
    }

    /// As a person reads it where one does.
    async fn explain(&self, live: Arc<Live>, ask: Ask, is_read: bool) -> Reply {
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
        let explained = explained.await;
        if let Ok(explanation) = &explained
            && is_read
        {
            return text(StatusCode::OK, explanation.to_string().trim_end());
        }
        match explained.map(serde_json::to_value) {
            Ok(Ok(explanation)) => json(&explanation),
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, "the explanation cannot be given"),
        }
    }

    /// Files are looked at, and all that acts: not among the tasks of requests.
    async fn config(&self, live: Arc<Live>) -> Reply {
        let keeper = Arc::clone(&self.keeper);
        self.worked_out(move || Some(config::config(&live, &keeper))).await
    }

    async fn effective(&self, live: Arc<Live>, host: &str) -> Reply {
        let host = percent_decode_str(host).decode_utf8_lossy().into_owned();
        self.worked_out(move || effective::effective(&live, &host)).await
    }

    /// An answer that takes its time.
    async fn worked_out(&self, work: impl FnOnce() -> Option<Value> + Send + 'static) -> Reply {
        let Ok(permit) = Arc::clone(&self.explanations).try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too much is being explained already");
        };
        let work = move || {
            let _permit = permit;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Some(told)) => json(&told),
            Ok(None) => text(StatusCode::NOT_FOUND, "no service has this host; /mesh/endpoints lists what there is"),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be given"),
        }
    }

    /// What documents say that is wrong, and what is wrong now.
    pub(super) fn lint(&self, live: &Live, seen: &Seen) -> Value {
        config::lint(&self.keeper.report(), &facts::facts(live, &self.identity, seen))
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

/// Browsers say what they want; a program that takes anything gets what it can read.
fn wants(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(kind)))
}

fn index() -> Value {
    INDEX.iter().map(|(path, says)| ((*path).to_owned(), json!(says))).collect::<serde_json::Map<_, _>>().into()
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
