//! Faults under load: what breaks between the mesh and its endpoints, and what must hold whatever breaks.
//!
//! Each scenario runs a mesh against a ledger, which notes every request that reaches it, mostly through a proxy that
//! breaks connections on purpose. At its end nothing is left of it: no slot, no kept body, no task; no request that
//! must not be repeated was seen twice, and every one that was acknowledged is in the ledger once, with the content
//! that was sent; the endpoints were asked no more than a fifth and ten a second more often than the mesh was.
//!
//! Scenarios run one after the other, since they measure the memory of the process. Each has a limit of its own, and all
//! together take less than six minutes on two processors without optimization; the last one says how long it was.
//! What others take of the machine meanwhile is left out, and where a bound is a matter of milliseconds it is what a timer
//! may be late on top.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]
#![allow(clippy::print_stdout, reason = "the seed of a scenario, and how long it took")]
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

#[path = "support/content.rs"]
mod content;
#[path = "support/documents.rs"]
mod documents;

#[path = "chaos/faultd.rs"]
mod faultd;
#[path = "chaos/judged.rs"]
mod judged;
#[path = "chaos/lag.rs"]
mod lag;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/load.rs"]
mod load;
#[path = "chaos/raw.rs"]
mod raw;
#[path = "chaos/scenario.rs"]
mod scenario;
#[path = "chaos/served.rs"]
mod served;
#[path = "chaos/total.rs"]
mod total;
#[path = "chaos/watch.rs"]
mod watch;

#[path = "chaos/answers.rs"]
mod answers;
#[path = "chaos/framing.rs"]
mod framing;
#[path = "chaos/goaway.rs"]
mod goaway;
#[path = "chaos/killed.rs"]
mod killed;
#[path = "chaos/layers.rs"]
mod layers;
#[path = "chaos/long.rs"]
mod long;
#[path = "chaos/mirrors.rs"]
mod mirrors;
#[path = "chaos/names.rs"]
mod names;
#[path = "chaos/panics.rs"]
mod panics;
#[path = "chaos/refused.rs"]
mod refused;
#[path = "chaos/storms.rs"]
mod storms;
#[path = "chaos/stuck.rs"]
mod stuck;
