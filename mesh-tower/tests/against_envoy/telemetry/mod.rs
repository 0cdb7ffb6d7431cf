//! What a gateway of ours says of a request is what Envoy says of it: which requests its filters log ([`expressions`]), and what
//! its lines are ([`lines`]).

mod expressions;
mod lines;
mod sides;
