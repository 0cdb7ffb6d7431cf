//! An endpoint that speaks HTTP/1.1.

use std::io;

use tokio::net::TcpStream;

use super::{HANG, Upstreams, take_mark};
use crate::record::{Arrival, Headers};
use crate::script::Act;
use crate::wire::{Framing, Wire, bytes_of, text_of, value_of};

pub(super) async fn serve(mut wire: Wire<TcpStream>, name: &str, upstreams: &Upstreams) -> io::Result<()> {
    while let Some(head) = wire.head().await? {
        let (body, _) = wire.body(Framing::of(&head.headers, Framing::Length(0))).await?;
        let mut words = head.start.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = head.headers;
        let mark = take_mark(&mut headers);
        let authority = value_of(&headers, "host").unwrap_or_default().to_owned();
        headers.retain(|(name, _)| name != "host");
        let arrival = Arrival {
            endpoint: name.to_owned(),
            proto: "h1".into(),
            method: method.to_owned(),
            path: path.to_owned(),
            authority,
            headers,
            body: text_of(&body),
            one_of: None,
        };
        let act = upstreams.arrive(&mark, arrival);
        if !perform(&mut wire, act, method == "HEAD").await? {
            break;
        }
    }
    Ok(())
}

/// Gives whether the connection goes on.
async fn perform(wire: &mut Wire<TcpStream>, mut act: Act, head: bool) -> io::Result<bool> {
    while let Act::Delay(time, then) = act {
        tokio::time::sleep(time).await;
        act = *then;
    }
    let (status, headers, body) = match act {
        Act::Answer { status, headers } => (status, headers, "ok"),
        Act::Grpc(code) | Act::GrpcTrailer(code) => (200, grpc(code), ""),
        Act::Break => {
            wire.write(b"HTTP/1.1 200 Reason\r\ncontent-length: 10\r\n\r\nok").await?;
            return Ok(false);
        }
        Act::Reset => {
            wire.stream.set_zero_linger()?;
            return Ok(false);
        }
        Act::Hang => {
            tokio::time::sleep(HANG).await;
            return Ok(false);
        }
        Act::Close | Act::Delay(..) => return Ok(false),
    };
    let mut answer = format!("HTTP/1.1 {status} Reason\r\n");
    for (name, value) in &headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    if status == 101 {
        answer.push_str("connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
        wire.write(&bytes_of(&answer)).await?;
        return Ok(false);
    }
    let bodiless = matches!(status, 100..200 | 204 | 304);
    if !bodiless {
        answer.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    answer.push_str("\r\n");
    if !bodiless && !head {
        answer.push_str(body);
    }
    wire.write(&bytes_of(&answer)).await?;
    Ok(!headers.iter().any(|(name, value)| name == "connection" && value == "close"))
}

fn grpc(code: i32) -> Headers {
    vec![("content-type".into(), "application/grpc".into()), ("grpc-status".into(), code.to_string())]
}
