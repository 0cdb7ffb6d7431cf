//! What readers say of a book. Serves HTTP; v2 and v3 ask the ratings over gRPC, through the mesh.

use std::collections::HashMap;
use std::io;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::HeaderMap;
use mesh_tower::{Mesh, MeshClient};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tower_http::trace::TraceLayer;

use super::connection::Counted;
use super::{Observer, observe, passed_on, ratings};
use crate::ledger::Ledger;
use crate::ratings::GetRatingRequest;
use crate::ratings::ratings_client::RatingsClient;

/// All reviews of a book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reviews {
    /// Number of the book.
    pub id: String,
    /// Version of the service that answered.
    pub version: String,
    /// The reviews.
    pub reviews: Vec<Review>,
}

/// One reader's review.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Review {
    /// Who wrote it.
    pub reviewer: String,
    /// What it says.
    pub text: String,
    /// The reader's stars; v1 shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<Stars>,
}

/// The stars of a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stars {
    /// So many.
    Given {
        /// 1 to 5.
        stars: u32,
        /// `black` or `red`.
        color: String,
    },
    /// The ratings did not answer; this is the gRPC message.
    Unavailable(String),
}

#[derive(Clone)]
struct Desk {
    version: String,
    ratings: RatingsClient<MeshClient>,
}

/// Serves the reviews until the mesh shuts down.
pub async fn serve(mesh: &Mesh, listener: TcpListener, ledger: Ledger, version: String) -> io::Result<()> {
    let (listener, connections) = Counted::new(listener);
    let ratings = ratings::client(mesh);
    let app = Router::new()
        .route("/reviews/{id}", get(reviews))
        .with_state(Desk { version, ratings })
        .layer(middleware::from_fn_with_state(Observer { ledger, connections }, observe))
        .layer(TraceLayer::new_for_http());
    mesh.serve(listener, app).await
}

async fn reviews(State(desk): State<Desk>, Path(id): Path<String>, headers: HeaderMap) -> Json<Reviews> {
    let color = match desk.version.as_str() {
        "v2" => Some("black"),
        "v3" => Some("red"),
        _ => None,
    };
    let rating = match color {
        Some(color) => Some((color, stars(desk.ratings, &id, &headers).await)),
        None => None,
    };
    let review = |reviewer: &str, text: &str| Review {
        reviewer: reviewer.to_owned(),
        text: text.to_owned(),
        rating: rating.as_ref().map(|(color, stars)| match stars {
            Ok(stars) => {
                Stars::Given { stars: stars.get(reviewer).copied().unwrap_or_default(), color: (*color).to_owned() }
            }
            Err(status) => Stars::Unavailable(status.message().to_owned()),
        }),
    };
    let reviews = vec![
        review("Hermia", "Every lover in it is a fool, and I was glad of each of them."),
        review("Nick Bottom", "I should have liked to play the wall as well."),
    ];
    Json(Reviews { id, version: desk.version, reviews })
}

async fn stars(
    mut ratings: RatingsClient<MeshClient>,
    id: &str,
    headers: &HeaderMap,
) -> Result<HashMap<String, u32>, tonic::Status> {
    let mut request = tonic::Request::new(GetRatingRequest { product_id: id.to_owned() });
    *request.metadata_mut() = MetadataMap::from_headers(passed_on(headers));
    Ok(ratings.get_rating(request).await?.into_inner().stars)
}
