//! Calls of the ratings: unary and streaming, through the mesh and through the gateway.

use http::Uri;
use tokio_stream::StreamExt;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::ledger::CASE;
use crate::probe::{Answer, Tally};
use crate::ratings::ratings_client::RatingsClient;
use crate::ratings::{GetRatingRequest, RateRequest};
use crate::stage::Stage;

/// Streams of each kind.
const STREAMS: usize = 200;

/// Messages of each stream.
const MESSAGES: usize = 10;

pub(super) async fn play(stage: &Stage) -> Result<Vec<Check>> {
    let mut checks = unary(stage).await?;
    checks.extend(streams(stage, "watch", "server streams").await?);
    checks.extend(streams(stage, "rate", "streams both ways").await?);
    checks.extend(through_the_gateway(stage).await?);
    Ok(checks)
}

async fn unary(stage: &Stage) -> Result<Vec<Check>> {
    let requests = stage.requests();
    let call = stage.shop("/api/v1/products/0/ratings").case("grpc-unary");
    let answers = stage.probe().flood(&call, requests, AT_ONCE).await;
    let (v1, v2) = both(stage, "grpc-unary").await?;
    Ok(vec![
        Check::count("unary: answered", requests, answers.with_status(200)),
        Check::share("unary: at ratings v2", 20.0, requests, v2),
        Check::count("unary: at both", requests, v1 + v2),
    ])
}

async fn streams(stage: &Stage, kind: &str, what: &str) -> Result<Vec<Check>> {
    let case = format!("grpc-{kind}");
    let call = stage.shop(&format!("/api/v1/products/0/ratings/{kind}/{MESSAGES}")).case(&case);
    let answers = stage.probe().flood(&call, STREAMS, AT_ONCE).await;
    let (v1, v2) = both(stage, &case).await?;
    Ok(vec![
        Check::count(format!("{what}: all {MESSAGES} messages, of one version"), STREAMS, of_one_version(&answers)),
        Check::share(format!("{what}: at ratings v2"), 20.0, STREAMS, v2),
        Check::count(format!("{what}: at both"), STREAMS, v1 + v2),
    ])
}

/// A tonic client without any mesh, as somebody outside would use one.
async fn through_the_gateway(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 20;
    let case = "grpc-gateway";
    let endpoint = Endpoint::from_shared(format!("http://{}", stage.gateway()))?;
    let channel = endpoint.origin(Uri::from_static("http://ratings.example.com")).connect().await?;
    let mut client = RatingsClient::new(channel);
    let mut answered = 0;
    for _ in 0..CALLS {
        let request = tagged(GetRatingRequest { product_id: "0".to_owned() }, case);
        answered += u64::from(client.get_rating(request).await?.into_inner().version == "v2");
    }
    let stars = tokio_stream::iter(1..=5).map(|stars| RateRequest { stars });
    let mut averages = client.rate_stream(tagged(stars, case)).await?.into_inner();
    let mut last = None;
    while let Some(average) = averages.message().await? {
        last = Some(average);
    }
    let last = last.map(|average| format!("{} of {}", average.stars, average.received)).unwrap_or_default();
    Ok(vec![
        Check::count("tonic client at the gateway: answered by v2", CALLS, answered),
        Check::says("tonic client at the gateway: stream of 5, average", "3 of 5", last),
        Check::count("tonic client at the gateway: at ratings v2", CALLS + 1, stage.ratings(2).requests(case).await?),
    ])
}

fn tagged<T>(message: T, case: &'static str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert(CASE, MetadataValue::from_static(case));
    request
}

async fn both(stage: &Stage, case: &str) -> Result<(u64, u64)> {
    Ok((stage.ratings(1).requests(case).await?, stage.ratings(2).requests(case).await?))
}

fn of_one_version(answers: &Tally) -> u64 {
    answers.count(|answer| versions(answer).is_some_and(|versions| versions.windows(2).all(|two| two[0] == two[1])))
}

/// The versions that sent the messages of a stream, if all messages came.
fn versions(answer: &Answer) -> Option<Vec<String>> {
    answer.json::<Vec<String>>().ok().filter(|versions| versions.len() == MESSAGES)
}
