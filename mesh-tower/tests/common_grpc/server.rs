//! The server side.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body::Body;
use tokio_stream::Stream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{ClientStreamingService, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{NAME, Text};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Texts = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// Answers with what it is told, and counts. Some texts it takes for orders: see [`obey`].
#[derive(Clone, Debug, Default)]
pub(crate) struct EchoServer {
    calls: Arc<AtomicU32>,
    under_way: Arc<AtomicU32>,
}

impl EchoServer {
    /// Calls that have come in.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Calls whose answers have neither ended nor been given up.
    pub(crate) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::SeqCst)
    }

    fn begin(&self) -> UnderWay {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(Arc::clone(&self.under_way))
    }
}

/// A call; over when dropped.
#[derive(Debug)]
struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `sleep` takes half a second, `hang` for ever, `fail` fails with a detail in its trailers, `unavailable` fails at once.
async fn obey(text: &str) -> Result<(), Status> {
    match text {
        "sleep" => tokio::time::sleep(Duration::from_millis(500)).await,
        "hang" => std::future::pending().await,
        "fail" => return Err(failed()),
        "unavailable" => return Err(Status::unavailable("told to be")),
        _ => {}
    }
    Ok(())
}

fn failed() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-detail", MetadataValue::from_static("kept"));
    metadata.insert_bin("x-detail-bin", MetadataValue::from_bytes(&[0, 159, 146, 150]));
    Status::with_details_and_metadata(Code::Aborted, "as told: 100 % ü", vec![8, 1].into(), metadata)
}

/// The answer tells in its headers what the caller's were.
fn answer<T>(message: T, asked: &MetadataMap) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(caller) = asked.get("x-caller") {
        response.metadata_mut().insert("x-seen-caller", caller.clone());
    }
    response
}

struct Say(EchoServer);

impl UnaryService<Text> for Say {
    type Response = Text;
    type Future = Answer<Text>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let call = self.0.begin();
        Box::pin(async move {
            let _call = call;
            obey(&request.get_ref().value).await?;
            let (metadata, _, text) = request.into_parts();
            Ok(answer(text, &metadata))
        })
    }
}

struct Repeat(EchoServer);

impl ServerStreamingService<Text> for Repeat {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = Answer<Texts>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let call = self.0.begin();
        Box::pin(async move {
            let (metadata, _, text) = request.into_parts();
            let (value, count) = (text.value, text.count);
            let texts = tokio_stream::iter(0..count).map(move |n| Ok(super::times(value.clone(), n)));
            let (order, call) = (metadata.get("x-then").is_some(), call);
            let end = futures_util::stream::once(async move {
                let _call = call;
                if order { Some(Err(failed())) } else { None }
            });
            let texts: Texts = Box::pin(texts.chain(end.filter_map(|end| async { end })));
            Ok(answer(texts, &metadata))
        })
    }
}

struct Join(EchoServer);

impl ClientStreamingService<Text> for Join {
    type Response = Text;
    type Future = Answer<Text>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let call = self.0.begin();
        Box::pin(async move {
            let _call = call;
            let (metadata, _, mut texts) = request.into_parts();
            let (mut joined, mut count) = (String::new(), 0);
            while let Some(text) = texts.message().await? {
                obey(&text.value).await?;
                joined.push_str(&text.value);
                count += 1;
            }
            Ok(answer(super::times(joined, count), &metadata))
        })
    }
}

struct Chat(EchoServer);

impl StreamingService<Text> for Chat {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = Answer<Texts>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let call = self.0.begin();
        Box::pin(async move {
            let (metadata, _, texts) = request.into_parts();
            let call = Arc::new(call);
            let texts: Texts = Box::pin(texts.then(move |text| {
                let call = Arc::clone(&call);
                async move {
                    let text = text?;
                    obey(&text.value).await?;
                    drop(call);
                    Ok(text)
                }
            }));
            Ok(answer(texts, &metadata))
        })
    }
}

impl<B> tower::Service<http::Request<B>> for EchoServer
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let echo = self.clone();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("Say") => grpc.unary(Say(echo), request).await,
                Some("Repeat") => grpc.server_streaming(Repeat(echo), request).await,
                Some("Join") => grpc.client_streaming(Join(echo), request).await,
                Some("Chat") => grpc.streaming(Chat(echo), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl tonic::server::NamedService for EchoServer {
    const NAME: &'static str = NAME;
}
