//! What may be changed by who has the token.

use std::sync::PoisonError;
use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::ask::Ask;
use super::reply::{Reply, text};
use super::state::State;

/// How long a drain waits where nobody says.
const GRACE: Duration = Duration::from_secs(5);

/// The longest drain.
const MOST_GRACE: u64 = 3600;

/// A change by who was found to be allowed it.
pub(super) fn change(state: &State, request: &Request<()>) -> Reply {
    let ask = Ask::of(request.uri());
    match request.uri().path() {
        "/mesh/drain" => drain(state, &ask),
        "/mesh/log" => log(state, &ask),
        path => match path.strip_prefix("/mesh/uneject/") {
            Some(address) => take_back(state, address),
            None => text(StatusCode::NOT_FOUND, "nothing can be changed here"),
        },
    }
}

fn drain(state: &State, ask: &Ask) -> Reply {
    let grace = match ask.get("seconds").map(str::parse::<u64>) {
        None => GRACE,
        Some(Ok(seconds)) if seconds <= MOST_GRACE => Duration::from_secs(seconds),
        Some(_) => return text(StatusCode::BAD_REQUEST, format!("seconds are a number up to {MOST_GRACE}")),
    };
    let drain = state.drain.clone();
    tracing::warn!(?grace, "draining, as the admin server was asked");
    // It goes on when whoever asked has gone.
    tokio::spawn(async move { drain.shutdown(grace).await });
    text(StatusCode::ACCEPTED, "draining")
}

fn log(state: &State, ask: &Ask) -> Reply {
    let Some(set) = &state.admin.set_level else {
        return text(StatusCode::NOT_IMPLEMENTED, "the log is the application's: Admin::log_level says how to set it");
    };
    let Some(level) = ask.get("level") else {
        return text(StatusCode::BAD_REQUEST, "?level= is missing, such as mesh=debug");
    };
    match set(level) {
        Ok(()) => {
            *state.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.to_owned());
            tracing::warn!(level, "the level of the log was set, as the admin server was asked");
            text(StatusCode::OK, format!("the log is at {level}"))
        }
        Err(problem) => text(StatusCode::BAD_REQUEST, problem.to_string()),
    }
}

/// What is known of the level of the log.
pub(super) fn level(state: &State) -> Value {
    let level = state.level.lock().unwrap_or_else(PoisonError::into_inner);
    json!({ "can_be_set": state.admin.set_level.is_some() && state.admin.token.is_some(), "set_to": *level })
}

fn take_back(state: &State, address: &str) -> Reply {
    let live = state.shared.live.current();
    let mut back = 0;
    let mut known = false;
    for cluster in live.clusters() {
        for endpoint in cluster.endpoints_now() {
            if endpoint.address().to_string() == address {
                known = true;
                back += usize::from(cluster.take_back(&endpoint));
            }
        }
    }
    if back > 0 {
        tracing::warn!(endpoint = address, "endpoint taken back, as the admin server was asked");
    }
    match (known, back) {
        (false, _) => text(StatusCode::NOT_FOUND, "no endpoint has this address"),
        (true, back) => text(StatusCode::OK, format!("back in {back} clusters")),
    }
}
