//! Questions to a running mesh, which its admin server answers.

mod client;
mod describe;
mod facts;
mod get;
mod graph;
mod log;
mod processes;
mod status;
mod tap;
mod top;
mod why;
mod window;

pub(crate) use client::Address;
pub(crate) use describe::Describe;
pub(crate) use get::Get;
pub(crate) use graph::Graph;
pub(crate) use log::Log;
pub(crate) use status::Status;
pub(crate) use tap::Tap;
pub(crate) use top::Top;
pub(crate) use why::Why;
