//! Requests as they end, told to who listens.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName};
use http_body::Frame;
use http_body_util::StreamBody;
use mesh_core::telemetry::{Record, Side};
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::ask::Ask;
use super::reply::{Reply, text, typed};
use super::state::State;
use crate::telemetry::Tap;
use crate::{Body, BoxError};

const EVENTS: &str = "text/event-stream";

/// Whether an answer goes on for as long as somebody listens.
pub(super) fn is_stream(reply: &Reply) -> bool {
    reply.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == EVENTS)
}

pub(super) fn listen(state: &State, ask: &Ask) -> Reply {
    let Ok(slot) = std::sync::Arc::clone(&state.taps).try_acquire_owned() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many listen already");
    };
    let filter = match Filter::of(ask) {
        Ok(filter) => filter,
        Err(problem) => return text(StatusCode::BAD_REQUEST, problem),
    };
    let (taps, shown) = (&state.shared.sinks.taps, state.admin.shown.clone());
    // What is not shown need not be kept.
    let tap = if shown.is_empty() { taps.listen_without_headers() } else { taps.listen() };
    let listener = Listener { tap, filter, shown, _slot: slot };
    // The head of the answer goes out with the first bytes.
    let first = stream::once(async { Ok::<_, BoxError>(Frame::data(Bytes::from_static(b": listening\n\n"))) });
    let rest = stream::unfold(listener, |mut listener| async move {
        let event = listener.event().await?;
        Some((Ok(Frame::data(Bytes::from(event))), listener))
    });
    typed(StatusCode::OK, EVENTS, Body::new(StreamBody::new(stream::StreamExt::chain(first, rest))))
}

struct Listener {
    tap: Tap,
    filter: Filter,
    shown: Vec<HeaderName>,
    _slot: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event; none once the mesh is gone.
    async fn event(&mut self) -> Option<String> {
        // What the filter leaves out breaks no silence.
        let end = Instant::now() + SILENCE;
        loop {
            match timeout_at(end, self.tap.next()).await {
                // A comment: whoever has gone is noticed by it.
                Err(_) => return Some(": nothing\n\n".to_owned()),
                Ok(None) => return None,
                Ok(Some(record)) if self.filter.takes(&record) => {
                    return Some(format!("data: {}\n\n", told(&record, &self.shown, self.tap.missed())));
                }
                Ok(Some(_)) => {}
            }
        }
    }
}

/// After so long without a request to tell of there is a sign of life.
const SILENCE: Duration = Duration::from_secs(15);

/// What is told of a request: neither its query nor headers but those that are allowed.
fn told(record: &Record, shown: &[HeaderName], missed: u64) -> Value {
    let value = |name: &HeaderName| Some((name.to_string(), json!(record.request_header(name.as_str())?)));
    let headers: Map<_, _> = shown.iter().filter_map(value).collect();
    let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    json!({
        "time": record.started.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
        "side": match record.side { Side::Client => "client", Side::Server => "server" },
        "method": record.method.as_str(),
        "host": record.authority,
        "path": record.url_path(),
        "status": record.status,
        "grpc_status": record.grpc_status,
        "flags": record.flags.to_string(),
        "details": record.details,
        "duration_ms": milliseconds(record.duration),
        "route": record.route,
        "cluster": record.cluster,
        "endpoint": record.upstream,
        "tries": record.attempts,
        "caller": record.tls.peer_uri,
        "tls": record.tls.is_tls,
        "trace_id": record.trace_id,
        "generation": record.version,
        "headers": headers,
        "missed": missed,
    })
}

/// Which requests are wanted; what is not set takes all.
#[derive(Debug, Default)]
struct Filter {
    statuses: Option<(u16, u16)>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    cluster: Option<String>,
    flag: Option<String>,
    side: Option<Side>,
}

impl Filter {
    fn of(ask: &Ask) -> Result<Self, String> {
        let text = |name: &str| ask.get(name).map(ToOwned::to_owned);
        Ok(Self {
            statuses: ask.get("status").map(statuses).transpose()?,
            method: text("method").map(|method| method.to_ascii_uppercase()),
            path: text("path"),
            host: text("host"),
            cluster: text("cluster"),
            flag: text("flag"),
            side: match ask.get("side") {
                None => None,
                Some("client") => Some(Side::Client),
                Some("server") => Some(Side::Server),
                Some(side) => return Err(format!("`{side}` is no side: client and server are")),
            },
        })
    }

    fn takes(&self, record: &Record) -> bool {
        let is_in = |text: &Option<String>, whole: &str| text.as_ref().is_none_or(|text| whole.contains(&**text));
        self.statuses.is_none_or(|(from, to)| (from..=to).contains(&record.status))
            && self.method.as_ref().is_none_or(|method| record.method == **method)
            && self.path.as_ref().is_none_or(|path| record.url_path().starts_with(&**path))
            && is_in(&self.host, &record.authority)
            && is_in(&self.cluster, record.cluster.as_deref().unwrap_or_default())
            && self.flag.as_ref().is_none_or(|flag| record.flags.to_string().split(',').any(|known| known == flag))
            && self.side.is_none_or(|side| record.side == side)
    }
}

/// `503`, `5xx` or `500-599`.
fn statuses(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| text.parse::<u16>().ok();
    let range = match (text.strip_suffix("xx").and_then(number), text.split_once('-')) {
        (Some(hundreds), _) => hundreds.checked_mul(100).and_then(|from| Some((from, from.checked_add(99)?))),
        (None, Some((from, to))) => number(from).zip(number(to)),
        (None, None) => number(text).map(|status| (status, status)),
    };
    range.ok_or_else(|| format!("`{text}` is no status: 503, 5xx and 500-599 are"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{Method, Uri};

    use super::*;

    fn takes(query: &str, status: u16) -> bool {
        let uri: Uri = format!("/mesh/tap?{query}").parse().unwrap();
        let mut record = Record::new(Side::Client, SystemTime::UNIX_EPOCH, Method::GET);
        record.status = status;
        record.authority = "reviews:9080".into();
        record.path = Some("/api/1?token=secret".parse().unwrap());
        Filter::of(&Ask::of(&uri)).unwrap().takes(&record)
    }

    #[test]
    fn filters_pick_by_what_is_told() {
        for (query, taken) in [
            ("", true),
            ("status=5xx", true),
            ("status=500-502", false),
            ("status=503&method=get", true),
            ("method=POST", false),
            ("path=/api", true),
            ("path=/other", false),
            ("path=secret", false),
            ("host=reviews", true),
            ("cluster=reviews", false),
            ("side=server", false),
            ("flag=UF", false),
        ] {
            assert_eq!(takes(query, 503), taken, "{query}");
        }
        assert!(statuses("66000").is_err() && statuses("999xx").is_err() && statuses("x").is_err());
    }

    #[test]
    fn neither_queries_nor_headers_are_told() {
        let mut record = Record::new(Side::Client, SystemTime::UNIX_EPOCH, Method::GET);
        record.path = Some("/api?token=secret".parse().unwrap());
        record.request_headers.insert("authorization", "secret".parse().unwrap());
        record.request_headers.insert("end-user", "jason".parse().unwrap());
        let without = told(&record, &[], 0).to_string();
        assert!(!without.contains("secret") && !without.contains("jason"), "{without}");
        let with = told(&record, &[HeaderName::from_static("end-user")], 0);
        assert_eq!(with["headers"], json!({"end-user": "jason"}));
    }
}
