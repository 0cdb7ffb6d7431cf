//! The servers that both callers call: this program again, as a child process.
//!
//! Two versions with two endpoints each, once per protocol. The child prints its addresses, then a
//! line of [`Counts`] for each line it reads, and ends when its input ends.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::BoxError;
use crate::callers::CANARY;
use crate::counts::{Answered, Counts};
use crate::options::{Options, Protocol};
use crate::usage;

const ENDPOINTS_PER_VERSION: usize = 2;

/// Where the two versions listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) v1: [SocketAddr; ENDPOINTS_PER_VERSION],
    pub(crate) v2: [SocketAddr; ENDPOINTS_PER_VERSION],
}

/// The child process; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    child: Child,
    /// Taken, and so closed, to end the child.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    http1: Addresses,
    http2: Addresses,
}

impl Upstream {
    pub(crate) fn start(options: &Options) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--upstream")
            .args(["--threads", &options.threads.to_string()])
            .args(["--response-bytes", &options.response_bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().ok_or("the servers have no output")?);
        let mut read = || -> Result<Addresses, BoxError> {
            let line = read_line(&mut output)?;
            let parsed: Vec<SocketAddr> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            match parsed[..] {
                [a, b, c, d] => Ok(Addresses { v1: [a, b], v2: [c, d] }),
                _ => Err(format!("four addresses expected, got {line:?}").into()),
            }
        };
        let (http1, http2) = (read()?, read()?);
        Ok(Self { child, input, output, http1, http2 })
    }

    pub(crate) const fn addresses(&self, protocol: Protocol) -> Addresses {
        match protocol {
            Protocol::Http1 => self.http1,
            Protocol::Http2 => self.http2,
        }
    }

    pub(crate) fn counts(&mut self) -> Result<Counts, BoxError> {
        let mut input = self.input.as_ref().ok_or("the servers have no input")?;
        input.write_all(b"counts\n")?;
        Ok(read_line(&mut self.output)?.parse()?)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.input.take());
        // Nothing is left to do about a child that cannot be waited for.
        drop(self.child.wait());
    }
}

fn read_line(output: &mut impl BufRead) -> Result<String, BoxError> {
    let mut line = String::new();
    match output.read_line(&mut line)? {
        0 => Err("the servers ended".into()),
        _ => Ok(line),
    }
}

/// The child's side.
pub(crate) fn serve(runtime: &Runtime, options: &Options) -> Result<(), BoxError> {
    let body = Bytes::from(vec![b'x'; options.response_bytes]);
    let versions: [Arc<Version>; 2] = std::array::from_fn(|_| Arc::new(Version::new(body.clone())));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut line = String::new();
        for version in &versions {
            for _ in 0..ENDPOINTS_PER_VERSION {
                let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
                line += &format!("{} ", listener.local_addr()?);
                runtime.spawn(accept(listener, protocol, Arc::clone(version)));
            }
        }
        println!("{line}");
    }
    for line in io::stdin().lines() {
        line?;
        let [v1, v2] = [versions[0].answered(), versions[1].answered()];
        println!("{}", Counts { cpu: usage::process_cpu(), v1, v2 });
    }
    Ok(())
}

/// One version of the service.
struct Version {
    body: Bytes,
    plain: AtomicU64,
    canary: AtomicU64,
}

impl Version {
    const fn new(body: Bytes) -> Self {
        Self { body, plain: AtomicU64::new(0), canary: AtomicU64::new(0) }
    }

    fn answered(&self) -> Answered {
        Answered { plain: self.plain.load(Ordering::Relaxed), canary: self.canary.load(Ordering::Relaxed) }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let count = if request.headers().contains_key(CANARY) { &self.canary } else { &self.plain };
        count.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Full::new(self.body.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, version: Arc<Version>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, protocol, Arc::clone(&version)));
    }
}

async fn connection(stream: TcpStream, protocol: Protocol, version: Arc<Version>) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let service = service_fn(move |request| {
        let response = version.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => http1::Builder::new().serve_connection(io, service).await?,
        Protocol::Http2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?,
    }
    Ok(())
}
