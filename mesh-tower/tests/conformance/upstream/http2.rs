//! An endpoint that speaks HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{HANG, Upstreams, take_mark};
use crate::record::{Arrival, Headers};
use crate::script::Act;
use crate::wire::{bytes_of, text_of, value_of};

/// How long the head of an answer is there before its stream breaks.
const BREAK: Duration = Duration::from_millis(30);

/// A gRPC message without content.
pub(crate) const EMPTY_MESSAGE: &[u8] = &[0; 5];

pub(super) async fn serve(
    stream: TcpStream,
    name: &str,
    upstreams: &std::sync::Arc<Upstreams>,
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut streams = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let (name, upstreams) = (name.to_owned(), std::sync::Arc::clone(upstreams));
        streams.spawn(async move {
            // That a stream breaks is what the recordings are about.
            let _broken = exchange(request, respond, &name, &upstreams).await;
        });
    }
    Ok(())
}

async fn exchange(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    name: &str,
    upstreams: &Upstreams,
) -> Result<(), h2::Error> {
    let (parts, stream) = request.into_parts();
    let body = read(stream).await?.0;
    let mut headers = headers_of(&parts.headers);
    let mark = take_mark(&mut headers);
    let grpc = value_of(&headers, "content-type").is_some_and(|value| value.starts_with("application/grpc"));
    let head = parts.method == http::Method::HEAD;
    let arrival = Arrival {
        endpoint: name.to_owned(),
        proto: "h2".into(),
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()).to_owned(),
        authority: parts.uri.authority().map_or("", |authority| authority.as_str()).to_owned(),
        headers,
        body: text_of(&body),
        one_of: None,
    };
    let mut act = upstreams.arrive(&mark, arrival);
    while let Act::Delay(time, then) = act {
        tokio::time::sleep(time).await;
        act = *then;
    }
    match act {
        Act::Answer { status, headers } => answer(respond, status, &headers, grpc.then_some(0), head),
        Act::GrpcTrailer(code) => answer(respond, 200, &Headers::new(), Some(code), head),
        Act::Grpc(code) => {
            let mut response = response(200, &Headers::new(), true);
            response.headers_mut().insert("grpc-status", HeaderValue::from(code));
            respond.send_response(response, true).map(drop)
        }
        Act::Break => {
            let mut stream = respond.send_response(response(200, &Headers::new(), grpc), false)?;
            stream.send_data(Bytes::from_static(b"ok"), false)?;
            // What was sent has left by then: a reset drops what waits.
            tokio::time::sleep(BREAK).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        Act::Reset => {
            respond.send_reset(Reason::REFUSED_STREAM);
            Ok(())
        }
        Act::Close | Act::Delay(..) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        Act::Hang => {
            tokio::time::sleep(HANG).await;
            respond.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
    }
}

/// With a gRPC code: a message, and the code behind it.
fn answer(
    mut respond: SendResponse<Bytes>,
    status: u16,
    headers: &Headers,
    grpc: Option<i32>,
    head: bool,
) -> Result<(), h2::Error> {
    let response = response(status, headers, grpc.is_some());
    let Some(code) = grpc else {
        let bodiless = head || matches!(status, 204 | 304);
        let mut stream = respond.send_response(response, bodiless)?;
        return if bodiless { Ok(()) } else { stream.send_data(Bytes::from_static(b"ok"), true) };
    };
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(Bytes::from_static(EMPTY_MESSAGE), false)?;
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(code))]);
    stream.send_trailers(trailers)
}

fn response(status: u16, headers: &Headers, grpc: bool) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if grpc {
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    }
    append(response.headers_mut(), headers);
    response
}

/// Adds headers of a recording to those of a message.
pub(crate) fn append(map: &mut HeaderMap, headers: &Headers) {
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        map.append(name, HeaderValue::from_bytes(&bytes_of(value)).expect("a header value"));
    }
}

/// The headers of a message as recordings have them.
pub(crate) fn headers_of(map: &HeaderMap) -> Headers {
    map.iter().map(|(name, value)| (name.to_string(), text_of(value.as_bytes()))).collect()
}

/// Reads a stream to its end.
pub(crate) async fn read(mut stream: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok((body, stream.trailers().await?))
}
