//! Which headers the mesh adds to requests.

/// A header that a sidecar adds to the requests it sends on, and so this mesh does unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddedHeader {
    /// `x-request-id`, made up where neither the caller nor the request that a call is made for has one.
    RequestId,
    /// `x-forwarded-proto`, where the caller set none.
    ForwardedProto,
    /// `x-envoy-attempt-count`: which try it is, from 1.
    AttemptCount,
    /// `x-envoy-expected-rq-timeout-ms`: how long the answer is waited for, where there is a limit.
    ExpectedTimeout,
    /// `x-envoy-original-path` and `x-envoy-original-host`, where a rule rewrites them.
    Original,
    /// `x-mesh-retry` and `x-mesh-mirrored`, on what is asked because of a retry or of a copy. Not Istio's, and left
    /// out under [`Profile::Istio`](crate::Profile::Istio).
    Nature,
    /// `x-envoy-peer-metadata` and `x-envoy-peer-metadata-id`: what this workload is called in metrics. Only where requests
    /// [both sides tell](crate::MeshBuilder::exchange_metadata), and not to services outside the mesh.
    PeerMetadata,
}

/// Those that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut(u8);

impl LeftOut {
    pub(crate) fn add(&mut self, header: AddedHeader) {
        self.0 |= bit(header);
    }

    pub(crate) const fn has(self, header: AddedHeader) -> bool {
        self.0 & bit(header) != 0
    }
}

const fn bit(header: AddedHeader) -> u8 {
    1 << header as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_is_left_out_by_itself() {
        let mut left_out = LeftOut::default();
        left_out.add(AddedHeader::AttemptCount);
        assert!(left_out.has(AddedHeader::AttemptCount));
        assert!(!left_out.has(AddedHeader::RequestId) && !left_out.has(AddedHeader::Original));
    }
}
