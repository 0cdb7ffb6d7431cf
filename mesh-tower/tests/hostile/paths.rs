//! The path that policies see is the one that routes match and the one that is served, however it was written.
//!
//! Paths are made at random and sent byte by byte. `MESH_PROPERTIES` says how many (20,000 unless set),
//! `MESH_PROPERTY_SEED` where they begin; `MESH_PROPERTIES=1000000 cargo test --release -p mesh-tower --test hostile paths`
//! shows what is promised.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use mesh_tower::inbound::{Allowed, CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use mesh_tower::mesh_core::{Rng, SplitMix64};
use mesh_tower::{Body, Mesh, MeshBuilder, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LEVELS: [&str; 4] = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"];

/// What paths are made of: what is special to somebody, and what policies and routes name.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "//",
    ".",
    "..",
    "/../",
    "/./",
    "\\",
    ";",
    ";x=1",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%5c",
    "%25",
    "%252e",
    "%252f",
    "%3b",
    "%00",
    "%",
    "%61",
    "%41",
    "%7e",
    "%c0%ae",
    "%ff",
    "a",
    "/admin",
    "/admin",
    "admin",
    "/public",
    "/public/",
    "secret",
    "/secret",
    "é",
    "|",
    "^",
    "`",
    "{",
    "}",
    "\"",
    "<",
    ">",
    "~",
    "*",
    "+",
    "&",
    "=",
    ":",
    "@",
    "!",
    "$",
    "?",
    "?a=/admin",
    "#",
    "%23",
    "%3f",
    "%uff0e",
    "\u{1}",
    "\u{7f}",
    "\t",
];

fn target(rng: &mut SplitMix64) -> Vec<u8> {
    let mut path = vec![b'/'];
    for _ in 0..rng.below(9) {
        match rng.below(12) {
            0 => path.push(0x21 + rng.below(0x5e) as u8),
            1 => path.extend(format!("%{:02x}", rng.below(256)).bytes()),
            2 if rng.below(8) == 0 => path.push(0x80 | rng.below(128) as u8),
            _ => path.extend(PIECES[rng.below(PIECES.len() as u64) as usize].bytes()),
        }
    }
    path
}

/// What the policies below make of a path.
fn is_denied(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/") || path.ends_with("/secret")
}

/// What the routes below make of it.
fn route(path: &str) -> &'static str {
    match path {
        "/public" => "exact",
        _ if path.starts_with("/public/") => "prefix",
        _ if path.len() > 2 && path.starts_with("/a") && path.ends_with('b') && !path[1..].contains('/') => "regex",
        _ => "rest",
    }
}

const POLICIES: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: default}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin, /admin/*, '*/secret']}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: look, namespace: default}
spec: {action: CUSTOM, provider: {name: look}, rules: [{}]}
";

fn routes(behind: u16) -> String {
    let to = "route: [{destination: {host: behind.example}}]";
    let set = |name: &str| format!("headers: {{request: {{set: {{x-route: {name}}}}}}}");
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: default}}\nspec: {{selector: {{app: app}}, servers: [{{hosts: ['*'], port: {{number: 80, name: http, protocol: HTTP}}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: edge, namespace: default}}\nspec: {{hosts: ['*'], gateways: [edge], http: [\n\
         {{match: [{{uri: {{exact: /public}}}}], {}, {to}}},\n\
         {{match: [{{uri: {{prefix: /public/}}}}], {}, {to}}},\n\
         {{match: [{{uri: {{regex: '/a[^/]*b'}}}}], {}, {to}}},\n\
         {{{}, {to}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: behind, namespace: default}}\nspec: {{hosts: [behind.example], resolution: STATIC, location: MESH_EXTERNAL, \
         ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 127.0.0.1, ports: {{http: {behind}}}}}]}}\n",
        set("exact"),
        set("prefix"),
        set("regex"),
        set("rest"),
    )
}

/// Notes which path policies see, by the number of the request.
#[derive(Clone, Debug, Default)]
struct Look(Arc<Mutex<HashMap<String, String>>>);

impl ExternalAuthorizer for Look {
    fn check(&self, request: CheckRequest) -> Checking {
        let number = request.headers["x-n"].to_str().unwrap().to_owned();
        self.0.lock().unwrap().insert(number, request.uri.path().to_owned());
        Box::pin(std::future::ready(CheckAnswer::Allow(Allowed::default())))
    }
}

/// A socket that answers with the target and the route as they have come.
async fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(head) = head(&mut stream).await {
                    let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
                    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
                    let route = text.split("x-route: ").nth(1).and_then(|rest| rest.split('\r').next()).unwrap_or("");
                    let body = [target, b"\n", route.as_bytes()].concat();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _gone = stream.write_all(&[answer.as_bytes(), &body].concat()).await;
                }
            });
        }
    });
    port
}

async fn head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// An application that answers as the socket does.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from(format!("{}\n", request.uri()))))
}

/// A caller that connects again where it has to.
struct Caller {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Caller {
    /// The status and the content; nothing where the connection was closed instead.
    async fn ask(&mut self, target: &[u8], number: u64) -> Option<(u16, Vec<u8>)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            }
        };
        let end = format!(" HTTP/1.1\r\nhost: app\r\nx-n: {number}\r\n\r\n");
        stream.write_all(&[b"GET ", target, end.as_bytes()].concat()).await.ok()?;
        let mut answer = Vec::new();
        let (text, body) = loop {
            if stream.read_buf(&mut answer).await.ok()? == 0 {
                return None;
            }
            let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            break (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), answer.split_off(end + 4));
        };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
        let mut body = body;
        while length.is_some_and(|length: usize| body.len() < length) {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        let status = text[9..12].parse().ok()?;
        if length.is_some() && !text.contains("connection: close") {
            self.stream = Some(stream);
        }
        Some((status, body))
    }
}

/// How many were served, denied and refused.
type Counts = [usize; 3];

/// Asks for so many paths; what policies saw is what was served, and what was decided and routed by.
async fn asked(address: SocketAddr, look: &Look, seed: u64, count: u64, is_gateway: bool) -> Counts {
    let mut counts = Counts::default();
    let mut rng = SplitMix64::new(seed);
    let mut caller = Caller { address, stream: None };
    for n in 0..count {
        let target = target(&mut rng);
        let number = seed.wrapping_mul(1_000_000_000) + n;
        let answer = caller.ask(&target, number).await;
        let seen = look.0.lock().unwrap().remove(&number.to_string());
        let about = || format!("{:?} seen as {seen:?}: {answer:?}", String::from_utf8_lossy(&target));
        match (&answer, &seen) {
            (Some((200, body)), Some(seen)) => {
                counts[0] += 1;
                let text = String::from_utf8(body.clone()).unwrap();
                let (served, by) = text.split_once('\n').unwrap();
                assert_eq!(served.split('?').next(), Some(seen.as_str()), "{}", about());
                assert!(!is_denied(seen), "{}", about());
                assert_eq!(by, if is_gateway { route(seen) } else { "" }, "{}", about());
            }
            (Some((403, _)), Some(seen)) => {
                counts[1] += 1;
                assert!(is_denied(seen), "{}", about());
            }
            // What is malformed nobody is asked about.
            (Some((400 | 404, _)) | None, None) => counts[2] += 1,
            _ => panic!("{}", about()),
        }
    }
    counts
}

fn builder(level: &str, profile: Profile, look: &Look) -> MeshBuilder {
    let config = format!(
        "{{pathNormalization: {{normalization: {level}}}, extensionProviders: [{{name: look, envoyExtAuthzGrpc: {{service: look.example, port: 80}}}}]}}"
    );
    let builder = Mesh::builder().workload("default/app").label("app", "app").profile(profile);
    builder.mesh_config_yaml(config).config_yaml("policies", POLICIES).external_authorizer("look", look.clone())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_path_is_judged_routed_and_served_as_one() {
    let _turn = crate::world::turn();
    let (cases, seed) = (number("MESH_PROPERTIES", 20_000), number("MESH_PROPERTY_SEED", 1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut counts = Counts::default();
    let mut worlds = 0;
    for profile in [Profile::Safe, Profile::Istio] {
        for level in LEVELS {
            for is_gateway in [true, false] {
                worlds += 1;
                let found = runtime.block_on(async {
                    let look = Look::default();
                    let builder = builder(level, profile, &look);
                    let (mesh, gateway, address);
                    if is_gateway {
                        mesh = builder.config_yaml("edge", routes(upstream().await)).build().await.unwrap();
                        let started = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
                        address = started.address_of(80).unwrap();
                        gateway = Some(started);
                    } else {
                        mesh = builder.build().await.unwrap();
                        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                        address = listener.local_addr().unwrap();
                        let server = mesh.clone();
                        tokio::spawn(async move { server.serve(listener, tower::service_fn(echo)).await });
                        gateway = None;
                    }
                    // Some callers at a time: all of them wait most of the time.
                    let callers = (0..4).map(|n| {
                        let look = look.clone();
                        tokio::spawn(async move { asked(address, &look, seed + n, cases / 64, is_gateway).await })
                    });
                    let mut found = Counts::default();
                    for caller in callers.collect::<Vec<_>>() {
                        found.iter_mut().zip(caller.await.unwrap()).for_each(|(sum, more)| *sum += more);
                    }
                    drop(gateway);
                    mesh.shutdown(std::time::Duration::ZERO).await;
                    found
                });
                counts.iter_mut().zip(found).for_each(|(sum, more)| *sum += more);
            }
        }
    }
    println!("{worlds} servers: {} served, {} denied, {} refused", counts[0], counts[1], counts[2]);
    assert!(counts.iter().all(|count| *count as u64 > cases / 64), "{counts:?}");
}
