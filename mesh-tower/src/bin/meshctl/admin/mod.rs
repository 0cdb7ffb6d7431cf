//! Questions to a running mesh, which its admin server answers.

mod client;
mod facts;
mod get;
mod status;
mod tap;
mod why;

pub(crate) use client::Address;
pub(crate) use get::Get;
pub(crate) use status::Status;
pub(crate) use tap::Tap;
pub(crate) use why::Why;
