//! Who a workload is: SPIFFE ids, and the trust domains whose ids count.
//!
//! An id is read strictly, since whatever is read leniently here can be read in two ways: by the one who checks a
//! certificate and by the one who decides by its name. A certificate says who its owner is by exactly one URI; one
//! with two, even if the second is no SPIFFE id, has none.

mod domains;
mod spiffe_id;

pub use domains::{TrustDomain, TrustDomains};
pub use spiffe_id::{NotAnId, SpiffeId, only_uri};

#[cfg(test)]
mod tests;
