//! `Gateway`: what is listened on at the edge.

use crate::api::port::Port;
use crate::api::tls::ServerTlsSettings;
use crate::value::Labels;
use crate::value::proto::message;

message! {
    /// Servers of the gateway workloads that a selector picks.
    pub struct Gateway {
        /// The servers. Required.
        pub servers: Vec<Server>,
        /// Labels that a gateway workload has to have. Empty: every gateway.
        pub selector: Labels,
    }
}

message! {
    /// One server: a port and the hosts it takes requests for.
    pub struct Server {
        /// What is listened on. Required.
        pub port: Option<Port>,
        /// Address to listen on. Empty: all.
        pub bind: String,
        /// Hosts, each with an optional namespace in front (`ns/host`, `./host`, `*/host`) that says whose rules may bind.
        /// Required.
        pub hosts: Vec<String>,
        /// TLS. Required for HTTPS and TLS ports.
        pub tls: Option<ServerTlsSettings>,
        /// Without effect in Istio.
        #[serde(alias = "default_endpoint")]
        pub default_endpoint: String,
        /// Name of the server, unique in the gateway where it is set.
        pub name: String,
    }
}
