//! The limits in force: those of the options, and the profile's where they say nothing.

use std::time::Duration;

use mesh_core::Profile;

use super::ServeOptions;

/// The limits of the connections of one listener that depend on the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The size of a head of HTTP/1.
    pub(super) head_bytes: u32,
    /// The size of a head of HTTP/2, unpacked.
    pub(super) head_list_bytes: u32,
    pub(super) streams: u32,
    pub(super) stall_timeout: Option<Duration>,
    pub(super) body_timeout: Option<Duration>,
    /// How long a connection may outlive its certificates.
    pub(super) certificate_grace: Option<Duration>,
    /// Whether a line of a head has to end with both its characters.
    pub(super) refuses_bare_feeds: bool,
    /// Whether who says nothing at first is let go.
    pub(super) refuses_silence: bool,
}

impl Limits {
    pub(super) fn of(options: &ServeOptions, profile: Profile) -> Self {
        let (list, streams, stall, grace) = match profile {
            Profile::Istio => (HEAD, ISTIO_STREAMS, None, None),
            _ => (SAFE_HEAD_LIST, SAFE_STREAMS, Some(SAFE_STALL), Some(SAFE_GRACE)),
        };
        Self {
            head_bytes: options.max_header_bytes.unwrap_or(HEAD),
            head_list_bytes: options.max_header_bytes.unwrap_or(list),
            streams: options.max_concurrent_streams.unwrap_or(streams),
            stall_timeout: options.stall_timeout.unwrap_or(stall),
            // The same time, for who sends as for who reads.
            body_timeout: options.body_timeout.unwrap_or(stall),
            certificate_grace: options.certificate_grace.unwrap_or(grace),
            refuses_bare_feeds: profile != Profile::Istio,
            refuses_silence: profile != Profile::Istio,
        }
    }
}

const HEAD: u32 = 60 * 1024;
const SAFE_HEAD_LIST: u32 = 16 * 1024;
const SAFE_STREAMS: u32 = 200;
const ISTIO_STREAMS: u32 = 1024;
const SAFE_STALL: Duration = Duration::from_secs(300);
const SAFE_GRACE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safe_mesh_is_stricter_than_istio_where_nothing_is_said() {
        let safe = Limits::of(&ServeOptions::new(), Profile::Safe);
        assert_eq!((safe.head_bytes, safe.head_list_bytes, safe.streams), (61_440, 16_384, 200));
        assert_eq!((safe.stall_timeout, safe.refuses_silence), (Some(Duration::from_secs(300)), true));
        assert_eq!(
            (safe.body_timeout, safe.certificate_grace),
            (Some(Duration::from_secs(300)), Some(Duration::from_secs(3600)))
        );
        let istio = Limits::of(&ServeOptions::new(), Profile::Istio);
        assert_eq!((istio.head_bytes, istio.head_list_bytes, istio.streams), (61_440, 61_440, 1_024));
        assert_eq!((istio.stall_timeout, istio.refuses_silence), (None, false));
        assert_eq!((istio.body_timeout, istio.certificate_grace), (None, None));
    }

    #[test]
    fn what_is_said_holds_with_every_profile() {
        let options = ServeOptions::new().max_header_bytes(1).max_concurrent_streams(0).stall_timeout(None);
        for profile in [Profile::Safe, Profile::Istio] {
            let limits = Limits::of(&options, profile);
            assert_eq!((limits.head_bytes, limits.head_list_bytes), (8_192, 8_192));
            assert_eq!((limits.streams, limits.stall_timeout), (1, None));
        }
    }
}
