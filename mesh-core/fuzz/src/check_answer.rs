//! The answer of a service that is asked about requests over gRPC.

use http::header::HOST;
use mesh_core::authz::ProviderAnswer;
use mesh_core::authz::grpc_check::{GrpcAnswer, judge};

/// Whatever it says: a request is not moved to another host by it, and a denial is no interim answer.
pub fn check_answer(bytes: &[u8]) {
    match judge(bytes) {
        Ok(GrpcAnswer::Allow(ProviderAnswer::Allow { to_application, added, .. }, removed)) => {
            assert!(!to_application.contains_key(HOST) && !added.contains_key(HOST) && !removed.contains(&HOST));
        }
        Ok(GrpcAnswer::Deny(status, ..)) => assert!(status.as_u16() >= 200),
        Ok(_) | Err(_) => {}
    }
}
