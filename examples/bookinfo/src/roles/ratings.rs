//! How many stars readers gave. A tonic service; calls nobody.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http::Uri;
use mesh_tower::{Mesh, MeshClient};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::case_of;
use crate::ledger::{Act, Ledger};
use crate::ratings::ratings_client::RatingsClient;
use crate::ratings::ratings_server::{Ratings, RatingsServer};
use crate::ratings::{Average, GetRatingRequest, RateRequest, Rating, WatchRatingsRequest};

/// A client of the ratings, through the mesh.
pub fn client(mesh: &Mesh) -> RatingsClient<MeshClient> {
    RatingsClient::with_origin(mesh.client(), Uri::from_static("http://ratings:9080"))
}

/// Serves the ratings until the mesh shuts down.
pub async fn serve(mesh: &Mesh, listener: TcpListener, ledger: Ledger, version: String) -> io::Result<()> {
    mesh.serve(listener, Routes::new(RatingsServer::new(Counter { ledger, version }))).await
}

/// The service, as the one who counts the stars.
#[derive(Debug)]
struct Counter {
    ledger: Ledger,
    version: String,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Ratings for Counter {
    async fn get_rating(&self, request: Request<GetRatingRequest>) -> Result<Response<Rating>, Status> {
        self.observe(request.metadata()).await?;
        Ok(Response::new(self.rating(request.into_inner().product_id)))
    }

    type WatchRatingsStream = Messages<Rating>;

    async fn watch_ratings(
        &self,
        request: Request<WatchRatingsRequest>,
    ) -> Result<Response<Self::WatchRatingsStream>, Status> {
        self.observe(request.metadata()).await?;
        let WatchRatingsRequest { product_id, messages } = request.into_inner();
        let rating = self.rating(product_id);
        Ok(Response::new(Box::pin(tokio_stream::iter((0..messages).map(move |_| Ok(rating.clone()))))))
    }

    type RateStreamStream = Messages<Average>;

    async fn rate_stream(
        &self,
        request: Request<Streaming<RateRequest>>,
    ) -> Result<Response<Self::RateStreamStream>, Status> {
        self.observe(request.metadata()).await?;
        let version = self.version.clone();
        let (mut received, mut sum) = (0, 0.0);
        let averages = request.into_inner().map(move |rate| {
            received += 1;
            sum += f64::from(rate?.stars);
            Ok(Average { received, stars: sum / f64::from(received), version: version.clone() })
        });
        Ok(Response::new(Box::pin(averages)))
    }
}

impl Counter {
    /// Counts the call and does to it what the ledger orders.
    async fn observe(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let headers = metadata.clone().into_headers();
        let case = case_of(&headers);
        match self.ledger.enter(case, None) {
            None => {}
            Some(Act::Delay(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Some(Act::Hold) => self.ledger.hold(case).await,
            Some(Act::Status(_) | Act::Cut) => return Err(Status::unavailable("as ordered")),
        }
        Ok(())
    }

    fn rating(&self, product_id: String) -> Rating {
        let stars = HashMap::from([("Hermia".to_owned(), 5), ("Nick Bottom".to_owned(), 4)]);
        Rating { product_id, stars, version: self.version.clone() }
    }
}
