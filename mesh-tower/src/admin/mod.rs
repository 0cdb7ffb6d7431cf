//! What a process knows of itself, for who looks after it: a small server on the loopback address.
//!
//! Asked for with [`MeshBuilder::admin`](crate::MeshBuilder::admin); the feature `admin` brings it.
//!
//! ```no_run
//! # async fn f() -> Result<(), mesh_tower::BoxError> {
//! let mesh = mesh_tower::Mesh::builder().config_dir("mesh/").admin("127.0.0.1:15000").build().await?;
//! # Ok(()) }
//! ```
//!
//! Where the builder names no address the variable `MESH_ADMIN_ADDR` may: an address as above, or `off`, which is also what
//! holds without it.
//!
//! | path | says |
//! |-|-|
//! | `/mesh/` | what there is: a page for a browser (`Accept: text/html`), else this list |
//! | `/mesh/graph` | this process and its neighbours: [rates](#rates) by cluster, by endpoint and by caller; `?host=` picks clusters whose name has the text |
//! | `/mesh/routes` | rules by port and host, in the order in which they are tried, with rates; `?host=` picks those whose name has the text |
//! | `/mesh/endpoints` | clusters with their endpoints: health, seconds of ejection left, tries under way, rates; `?host=` as above |
//! | `/mesh/peers` | who calls this process, who of them could no more under `STRICT`, and what it calls in plaintext |
//! | `/mesh/limits` | what is in use of each limit, and how often it was in the way |
//! | `/mesh/config` | generation, a hash of what acts (of Secrets only the names), sources with when their files were changed, resources that act, resources that are refused, findings |
//! | `/mesh/effective/{host}` | clusters of a host with the policy that counts for each, and the rules that lead there, each value with the object, field and `file:line` that says so; 404 where no service has the host |
//! | `/mesh/explain?method=&url=&h=name:value&roll=` | [`Mesh::explain`](crate::Mesh::explain); `h` may be repeated |
//! | `/mesh/authz?as=&method=&path=&host=&h=name:value&port=&address=` | whether that would be let in here, by which rule of which policy; the policies that select this workload, with the first rule of each that matches (`matching_rule`); what those on trial would say, and what they have said so far. Without `as` the caller proves nothing |
//! | `/mesh/certs` | identity, expiry and when it was last reloaded; never a key |
//! | `/mesh/lint` | the findings of the last configuration that came in, and as `live` what is wrong now: `no-endpoints`, `impossible-ejection`, `certificate-expires` (a fifth of its time is left), `certificate-expired`, `plaintext-callers`, `plaintext-edge` |
//! | `/mesh/version` | who this process is, version, features, compiler, and the commit where `MESH_GIT_HASH` was set when it was built |
//! | `/mesh/log` | whether the level of the log can be set, and what it was set to here |
//! | `/mesh/tap?status=5xx&method=&path=&host=&cluster=&flag=&side=` | requests as they end, as `text/event-stream` |
//! | `/metrics` | Prometheus' text, where the mesh was given no provider of its own |
//! | `/live`, `/ready` | 200, or 503 with the reason; ready is who has a configuration and does not drain |
//!
//! # Rates
//!
//! While there is an admin server every request that comes to its end is counted by where it went (cluster and endpoint of
//! the last try), by the rule that took it and, where it arrived here, by who sent it. `?window=` of `/mesh/graph`,
//! `/mesh/peers`, `/mesh/routes` and `/mesh/endpoints` says how far back one looks: `1m` (unless said otherwise), `5m` or
//! `15m`. Of each of the three 256 rows are kept apart, and go when nothing has come for 15 minutes; what has no row counts in
//! `edges_left_out` and `callers_left_out`. Requests never wait to be counted.
//!
//! Figures stand in `rates` of each rule, endpoint and cluster of `/mesh/routes` and `/mesh/endpoints`, and in each row of
//! the others; what there is no figure for is `null`:
//!
//! | field | |
//! |-|-|
//! | `requests`, `rps` | requests that ended within the window, and that by the second |
//! | `errors`, `error_share`, `ok_percent` | those without an answer, with a status from 500 on, or with a gRPC status that is the server's fault; the share from 0 to 1; and what is not among them, in percent |
//! | `p50_ms`, `p95_ms`, `p99_ms` | from the beginning of a request to the last byte of its answer, all tries included; right to within a quarter |
//! | `tries_per_request` | 1 where nothing was tried again; 0 for callers, since nothing is sent on |
//! | `last_flag` | `{flags, seconds_ago, means}` of the last request with response flags |
//! | `last_seen_seconds` | since the last request, which may lie before the window |
//!
//! `/mesh/graph` and `/mesh/peers` begin with `window`, `covered_seconds` (what rates are of: the last part of a window is not
//! over, and before the server there was nothing) and `missed` (requests since the beginning that are in no figure). The graph
//! goes on with
//!
//! * `self`: `{namespace, account, labels, generation}`,
//! * `callers`: rows with `caller`, and of that either `principal` or `address`; `tls`, `would_be_cut_off_by_strict` (who has
//!   no certificate of its own),
//! * `clusters`: rows with `cluster`, `host`, `port`, `subset`, `share` (of the requests to that host and port, from 0 to 1),
//!   `tls` (how the last request went), `tls_policy` (`plaintext`, `auto`, `always`),
//! * `edges`: the same by endpoint, with `endpoint` (`null` where none was to be had), `health` (`ok`, `ejected`, `gone` for
//!   one that is no member any more) and `ejected_for_seconds`.
//!
//! Rows are those that had a request in the last 15 minutes. `/mesh/peers` has `mode` and `port_modes` (of
//! PeerAuthentication), `callers`, `cut_off_by_strict` (how many of them) and `plaintext_edges`, which are rows of `edges`.
//!
//! # Who may ask
//!
//! Answers name services, addresses and rules, so only this machine is let in unless [`Admin::beyond_loopback`] is called. A
//! web page that has its own name point here is answered 421, since `Host` has to be an address, `localhost` or a
//! [name that was allowed](Admin::host); a page of another site may link to `/mesh/`, and what else it asks for is answered
//! 403. Of requests neither queries nor values of headers are shown but those that [`Admin::show_header`] names. What the
//! configuration says is shown as it is written, the values in conditions of rules included; keys and tokens never. Nothing can be changed but with a [token](Admin::token): `POST /mesh/drain`,
//! `POST /mesh/uneject/{address}` and `POST /mesh/log?level=` then act with `Authorization: Bearer`.
//!
//! At most 32 connections are open at once, each for one request and 10 s; 8 of them may be taps, each for an hour. Two
//! explanations are made at once.
//! Shutting the mesh down does not end it: it goes with the mesh.

mod ask;
mod authz;
mod certs;
mod changes;
mod config;
mod effective;
mod endpoints;
mod facts;
mod graph;
mod guard;
mod metrics;
mod options;
mod page;
mod peers;
mod rates;
mod reply;
mod routes;
mod server;
mod state;
mod tap;
mod version;

pub use options::Admin;
pub(crate) use options::Bound;
