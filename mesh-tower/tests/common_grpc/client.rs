//! The client side, with the bounds that tonic's generated clients have.

use std::error::Error as StdError;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use http_body::Body;
use tonic::codec::Streaming;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{GrpcMethod, IntoRequest, IntoStreamingRequest, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::{NAME, Text};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Calls the echo.
#[derive(Clone, Debug)]
pub(crate) struct EchoClient<T> {
    inner: tonic::client::Grpc<T>,
}

impl<T> EchoClient<T>
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: Into<BoxError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<BoxError> + Send,
{
    pub(crate) fn with_origin(transport: T, origin: Uri) -> Self {
        Self { inner: tonic::client::Grpc::with_origin(transport, origin) }
    }

    /// As the generated constructor of this name, which asks more of a transport than the others.
    pub(crate) fn with_interceptor<F>(transport: T, interceptor: F, origin: Uri) -> EchoClient<InterceptedService<T, F>>
    where
        F: Interceptor,
        T::ResponseBody: Default,
        T: tower::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<<T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody>,
            >,
        <T as tower::Service<http::Request<tonic::body::Body>>>::Error: Into<BoxError> + Send + Sync,
    {
        EchoClient::with_origin(InterceptedService::new(transport, interceptor), origin)
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(format!("not ready: {}", error.into())))
    }

    /// One text for another.
    pub(crate) async fn say(&mut self, request: impl IntoRequest<Text>) -> Result<Response<Text>, Status> {
        self.ready().await?;
        let (request, path) = named(request.into_request(), "Say", "/echo.v1.Echo/Say");
        self.inner.unary(request, path, ProstCodec::<Text, Text>::default()).await
    }

    /// Many texts for one.
    pub(crate) async fn repeat(
        &mut self,
        request: impl IntoRequest<Text>,
    ) -> Result<Response<Streaming<Text>>, Status> {
        self.ready().await?;
        let (request, path) = named(request.into_request(), "Repeat", "/echo.v1.Echo/Repeat");
        self.inner.server_streaming(request, path, ProstCodec::<Text, Text>::default()).await
    }

    /// One text for many.
    pub(crate) async fn join(
        &mut self,
        request: impl IntoStreamingRequest<Message = Text>,
    ) -> Result<Response<Text>, Status> {
        self.ready().await?;
        let (request, path) = named(request.into_streaming_request(), "Join", "/echo.v1.Echo/Join");
        self.inner.client_streaming(request, path, ProstCodec::<Text, Text>::default()).await
    }

    /// A text for each text, as they come.
    pub(crate) async fn chat(
        &mut self,
        request: impl IntoStreamingRequest<Message = Text>,
    ) -> Result<Response<Streaming<Text>>, Status> {
        self.ready().await?;
        let (request, path) = named(request.into_streaming_request(), "Chat", "/echo.v1.Echo/Chat");
        self.inner.streaming(request, path, ProstCodec::<Text, Text>::default()).await
    }
}

fn named<M>(mut request: Request<M>, method: &'static str, path: &'static str) -> (Request<M>, PathAndQuery) {
    request.extensions_mut().insert(GrpcMethod::new(NAME, method));
    (request, PathAndQuery::from_static(path))
}
