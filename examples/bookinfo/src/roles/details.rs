//! What is known of a book. Serves HTTP; calls nobody.

use std::io;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router, middleware};
use mesh_tower::Mesh;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_http::trace::TraceLayer;

use super::connection::Counted;
use super::{Observer, observe};
use crate::ledger::Ledger;

/// The details of a book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Details {
    /// Number of the book.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// Year of publication.
    pub year: u16,
    /// Number of pages.
    pub pages: u16,
    /// Language.
    pub language: String,
    /// Which replica answered.
    pub replica: String,
}

/// Serves the details until the mesh shuts down.
pub async fn serve(mesh: &Mesh, listener: TcpListener, ledger: Ledger, replica: String) -> io::Result<()> {
    let (listener, connections) = Counted::new(listener);
    let app = Router::new()
        .route("/details/{id}", get(details))
        .with_state(replica)
        .layer(middleware::from_fn_with_state(Observer { ledger, connections }, observe))
        .layer(TraceLayer::new_for_http());
    mesh.serve(listener, app).await
}

async fn details(State(replica): State<String>, Path(id): Path<String>) -> Json<Details> {
    Json(Details {
        id,
        author: "William Shakespeare".to_owned(),
        year: 1595,
        pages: 200,
        language: "English".to_owned(),
        replica,
    })
}
