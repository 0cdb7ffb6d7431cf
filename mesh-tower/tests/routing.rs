//! Documents in, real requests over 127.0.0.1 out: Istio's own files and those of a how-to, what each failure looks like
//! from outside and inside, and what bad documents do to a mesh at start and while it runs.
//!
//! What was observed is counted by the upstreams, or printed by `curl`; only why something happened is asked of the mesh.
//! The files of others are not part of this repository, see `support/cases.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

#[path = "routing/actions.rs"]
mod actions;
#[path = "routing/bad_documents.rs"]
mod bad_documents;
#[path = "routing/bad_reload.rs"]
mod bad_reload;
#[path = "routing/bad_start.rs"]
mod bad_start;
#[path = "routing/bookinfo.rs"]
mod bookinfo;
#[path = "routing/breaker.rs"]
mod breaker;
#[path = "routing/cors.rs"]
mod cors;
#[path = "routing/edge.rs"]
mod edge;
#[path = "routing/embedding.rs"]
mod embedding;
#[path = "routing/explained.rs"]
mod explained;
#[path = "routing/how_to.rs"]
mod how_to;
#[path = "routing/live_change.rs"]
mod live_change;
#[path = "routing/local_replies.rs"]
mod local_replies;
#[path = "routing/look_ups.rs"]
mod look_ups;
#[path = "routing/my_app.rs"]
mod my_app;
#[path = "routing/nine_together.rs"]
mod nine_together;
#[path = "routing/places.rs"]
mod places;
#[path = "routing/scope.rs"]
mod scope;
#[path = "routing/several_sources.rs"]
mod several_sources;
#[path = "routing/sticky.rs"]
mod sticky;
mod support;
#[path = "routing/travel.rs"]
mod travel;
