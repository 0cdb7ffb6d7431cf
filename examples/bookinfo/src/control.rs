//! The plain HTTP port beside each service, outside the mesh: what was counted, and orders for what comes.
//!
//! | Request | Answer or effect |
//! |---|---|
//! | `GET /counts` | requests by case |
//! | `GET /counts/{case}` | the figures of one case ([`Counts`]) |
//! | `PUT /orders/{case}` | an [`Order`] as JSON, for example `{"act": {"status": 503}, "times": 5}` |
//! | `DELETE /orders/{case}` | withdraws it and lets go whom it holds |

use std::collections::BTreeMap;
use std::io;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::ledger::{Counts, Ledger, Order};

/// Serves the control port of a ledger until the task is dropped.
pub async fn serve(listener: TcpListener, ledger: Ledger) -> io::Result<()> {
    let app = Router::new()
        .route("/counts", get(totals))
        .route("/counts/{case}", get(counts))
        .route("/orders/{case}", put(order).delete(clear))
        .with_state(ledger);
    axum::serve(listener, app).await
}

async fn totals(State(ledger): State<Ledger>) -> Json<BTreeMap<String, u64>> {
    Json(ledger.totals())
}

async fn counts(State(ledger): State<Ledger>, Path(case): Path<String>) -> Json<Counts> {
    Json(ledger.counts(&case))
}

async fn order(State(ledger): State<Ledger>, Path(case): Path<String>, Json(order): Json<Order>) -> StatusCode {
    ledger.order(&case, order);
    StatusCode::NO_CONTENT
}

async fn clear(State(ledger): State<Ledger>, Path(case): Path<String>) -> StatusCode {
    ledger.clear(&case);
    StatusCode::NO_CONTENT
}
