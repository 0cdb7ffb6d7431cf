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
//! | path | says |
//! |-|-|
//! | `/mesh/` | what there is: a page for a browser (`Accept: text/html`), else this list |
//! | `/mesh/routes` | rules by port and host, in the order in which they are tried; `?host=` picks those whose name has the text |
//! | `/mesh/endpoints` | clusters with their endpoints: health, seconds of ejection left, tries under way; `?host=` as above |
//! | `/mesh/limits` | what is in use of each limit, and how often it was in the way |
//! | `/mesh/config` | generation, sources, resources that act, resources that are refused, findings |
//! | `/mesh/explain?method=&url=&h=name:value&roll=` | [`Mesh::explain`](crate::Mesh::explain); `h` may be repeated |
//! | `/mesh/certs` | identity and expiry; never a key |
//! | `/mesh/lint` | the findings of the last configuration that came in |
//! | `/mesh/version` | version and features |
//! | `/mesh/tap?status=5xx&method=&path=&host=&cluster=&flag=&side=` | requests as they end, as `text/event-stream` |
//! | `/metrics` | Prometheus' text, where the mesh was given no provider of its own |
//! | `/live`, `/ready` | 200, or 503 with the reason; ready is who has a configuration and does not drain |
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
mod certs;
mod changes;
mod config;
mod endpoints;
mod guard;
mod metrics;
mod options;
mod page;
mod reply;
mod routes;
mod server;
mod state;
mod tap;

pub use options::Admin;
pub(crate) use options::Bound;
