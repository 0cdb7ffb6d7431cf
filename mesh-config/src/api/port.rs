//! Ports as `Gateway` and `Sidecar` write them, and the reference to one: shared by several kinds.

use crate::value::proto::message;

message! {
    /// A port that is listened on.
    pub struct Port {
        /// Port number, 1 to 65535. Required.
        pub number: u32,
        /// Protocol, in any case; see [`crate::value::Protocol`].
        pub protocol: String,
        /// Name, a DNS label, unique among the servers of a gateway.
        pub name: String,
        /// Deprecated and without effect.
        #[serde(alias = "target_port")]
        pub target_port: u32,
    }
}

message! {
    /// Names a port of a service by its number.
    #[derive(Copy, Eq)]
    pub struct PortSelector {
        /// Port number, 1 to 65535. Required.
        pub number: u32,
    }
}
