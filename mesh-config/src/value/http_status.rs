//! HTTP statuses.

/// Checks the status of a fixed answer or of a failure made on purpose.
///
/// Istio's upper bound is off by one against its message: 600 passes here. Envoy does not send it.
///
/// # Errors
/// Istio's text.
pub fn check_status(status: i64) -> Result<(), String> {
    if (200..=600).contains(&status) { Ok(()) } else { Err(format!("HTTP status {status} is not in range 200-599")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_between_200_and_what_istio_takes_for_599() {
        for (status, valid) in [(-1, false), (0, false), (199, false), (200, true), (600, true), (601, false)] {
            assert_eq!(check_status(status).is_ok(), valid, "{status}");
        }
    }
}
