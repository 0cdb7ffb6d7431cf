//! Callers that mean no good: slow ones, and those that flood a server with frames.
//!
//! Each scenario serves an application in a runtime of its own, whose tasks are counted, while an honest caller asks it
//! over and over. Whatever the others do, every honest request is answered, and not much later than before; the memory of
//! the process grows by a fixed amount at most; and when it is over nothing of it is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(clippy::print_stdout, reason = "what it cost")]
#![allow(dead_code, reason = "the support is shared")]

#[path = "support/anybody.rs"]
mod anybody;
#[path = "tls/authority.rs"]
mod authority;
#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/heads.rs"]
mod heads;
#[path = "hostile/openings.rs"]
mod openings;
#[path = "hostile/paths.rs"]
mod paths;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/world.rs"]
mod world;
