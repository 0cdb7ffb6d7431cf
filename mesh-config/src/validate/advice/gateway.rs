//! Gateway, Sidecar, ServiceEntry and workloads.

use super::{Advice, accepted, refused};
use crate::resource::Kind;

pub(super) const ADVICE: &[Advice] = &[
    refused("gateway must have at least one server", "add `servers:` with a `port` and `hosts`"),
    refused("server config must contain at least one host", "list host names; `*` takes every name"),
    refused("port name must be set", "give the port a name, such as `http`"),
    refused("port names in servers must be unique", "give each server's port a name of its own, such as `https-shop`"),
    refused("invalid protocol", "use one of the list in upper case, or HTTPS or TLS with `tls`"),
    refused("port number must be 0 for unix domain socket", "leave the number out"),
    refused("targetPort has no impact on", "leave `targetPort` out: `number` is what is listened on"),
    refused("invalid gateway name", "use letters, digits and hyphens in `metadata.name`"),
    refused(
        "server must have TLS settings for HTTPS/TLS protocols",
        "add `tls` with a `mode` and a certificate; use HTTP for plain text",
    ),
    refused(
        "server cannot have TLS settings for plain text HTTP ports",
        "use `protocol: HTTPS`; a plain HTTP server takes `httpsRedirect` only",
    ),
    refused(
        "server cannot have TLS settings for non HTTPS/TLS ports",
        "use `protocol: HTTPS` or `TLS`, or leave `tls` out",
    ),
    accepted(
        "tls.httpsRedirect should only be used with http servers",
        "the server redirects nothing",
        "put it on a server of its own with `protocol: HTTP` and port 80",
    ),
    refused("only one of credential_name", "keep one place for the certificate: a secret (`credentialName`) or files"),
    refused(
        "requires a server certificate",
        "set `credentialName` to a secret, or `serverCertificate` and `privateKey` to files",
    ),
    refused(
        "requires a private key",
        "set `credentialName` to a secret, or `serverCertificate` and `privateKey` to files",
    ),
    refused("requires a client CA bundle", "set `caCertificates` to the file with the authorities of the clients"),
    refused("ISTIO_MUTUAL TLS cannot have", "the workload's own certificate is used: leave it out, or use MUTUAL"),
    refused("CRL is not supported with SIMPLE TLS", "clients show no certificate: leave `caCrl` out, or use MUTUAL"),
    refused("CRL is not supported with credentialName", "put the list into the secret, under `ca.crl`"),
    accepted(
        "mode does not use certificates, they will be ignored",
        "TLS is passed on as it is",
        "use `mode: SIMPLE` to end TLS here, or leave the certificates out; without `mode` it is PASSTHROUGH",
    ),
    accepted(
        "ignoring invalid cipher suites",
        "the suites are left out, the others offered",
        "use OpenSSL's names, such as `ECDHE-RSA-AES128-GCM-SHA256`",
    ),
    accepted("ignoring duplicate cipher suites", "each is offered once", "list each once"),
    accepted(
        "TLS version below TLSV1_2",
        "a client of the older version finds no cipher suite and is turned away",
        "list `cipherSuites` that the version has, or use TLSV1_2",
    ),
    accepted(
        "is below TLSV1_2, the lowest version",
        "no version is left: every handshake fails",
        "set `minProtocolVersion` as well, or raise this one",
    ),
    accepted(
        "can support up to 2 server certificates",
        "the further ones are not used",
        "keep one of RSA and one of ECDSA",
    ),
    refused(
        "short names (non FQDN) are not allowed",
        "write the full name, such as `reviews.default.svc.cluster.local`",
    ),
    refused("partial wildcard", "a star stands for whole labels at the start: `*.example.com`")
        .of(&[Kind::Gateway, Kind::Sidecar]),
    accepted(
        "partial wildcard",
        "the host is taken as it is, and no name of a request is like it",
        "a star stands for whole labels at the start: `*.example.com`",
    )
    .of(&[Kind::ServiceEntry]),
    refused(
        "host must be of form namespace/dnsName",
        "put the namespace in front: `./HOST` is the own one, `*/HOST` any",
    ),
    refused("config namespace and dnsName in host entry cannot be empty", "write `NAMESPACE/HOST`"),
    refused("invalid namespace value", "use a namespace, `.` for the own one, or `*` for all"),
    // Sidecar
    refused(
        "sidecar: empty configuration provided",
        "add `egress`, `ingress` or `outboundTrafficPolicy`, or delete the object",
    ),
    refused(
        "sidecar: the egress listener with empty port",
        "move it to the end: it serves the ports that no other lists",
    ),
    refused("sidecar: egress listener must contain at least one host", "list hosts; `~/*` is none"),
    accepted("duplicated egress host", "it is imported once", "leave it out"),
    accepted("`*/*` host select all resources", "everything is imported", "leave `*/*` or the others out"),
    refused("sidecar: ports on IP bound listeners must be unique", "list each port once, with all of its hosts"),
    refused(
        "sidecar: egress_proxy must be set only with ALLOW_ANY",
        "write `mode: ALLOW_ANY`: without `mode` it is REGISTRY_ONLY",
    ),
    refused("sidecar: egress_proxy port must be non-nil", "add `port: {number: N}`"),
    refused("sidecar: port is required for ingress listeners", "add `port: {number: N, protocol: HTTP, name: http}`"),
    refused("sidecar: defaultEndpoint", "write `127.0.0.1:PORT` of the application"),
    accepted(
        "sidecar: HTTP connection pool settings are configured",
        "the limits for HTTP do not act",
        "use `protocol: HTTP` for the port",
    ),
    // ServiceEntry
    refused("service entry must have at least one host", "list the host names that clients call"),
    refused("invalid host *", "list the hosts; requests to unknown ones pass with `outboundTrafficPolicy: ALLOW_ANY`"),
    refused(
        "only one of WorkloadSelector or Endpoints",
        "list the endpoints, or select them: leave one of the two out",
    ),
    refused("CIDR addresses are allowed only for", "use single addresses, or resolution NONE or STATIC"),
    refused("already defined", "give each port a name and a number of its own"),
    refused(
        "no endpoints should be provided for resolution type none",
        "write `resolution: STATIC` for addresses, `DNS` for names",
    ),
    refused(
        "hosts must be FQDN or contain only prefix wildcards",
        "a wildcard cannot be looked up: list the hosts, give `endpoints`, or use `resolution: NONE`",
    ),
    refused("there must only be 0 or 1 endpoint", "use `resolution: DNS` for several"),
    refused("hosts must be wildcards for resolution mode DYNAMIC_DNS", "use `resolution: DNS` for a plain host"),
    refused("for resolution type DYNAMIC_DNS", "the name of each request is looked up: leave them out"),
    refused("are supported for resolution mode DYNAMIC_DNS", "use HTTP, HTTPS or TLS, which name the host"),
    accepted(
        "addresses are required for ports serving TCP",
        "connections to the port cannot be told from those to other hosts of the same port",
        "add `addresses`, or use a protocol that names the host (HTTP, TLS)",
    ),
    refused(
        "multiple hosts provided with non-HTTP, non-TLS ports",
        "make a ServiceEntry for each host: TCP does not say which one is meant",
    ),
    accepted(
        "can not have more than one host specified simultaneously with address and tcp port",
        "a connection to the address goes to the first host",
        "make a ServiceEntry for each host",
    ),
    accepted(
        "workloadSelector should not be set when resolution mode is NONE",
        "the workloads are not used: connections go to the address that was dialled",
        "write `resolution: STATIC`",
    ),
    refused("is not a valid IP address", "an address of STATIC is an IP address: use `resolution: DNS` for names"),
    refused("is not a valid FQDN or an IP address", "give a name or an IP address, without scheme, port or path"),
    refused(
        "exactly 1 service port required for unix endpoints",
        "a socket serves one port: make a ServiceEntry for each",
    ),
    refused("must not include ports", "a socket has no port: leave `ports` out"),
    accepted(
        "address is unset with network",
        "the workload is reached through the gateway of its network",
        "add `address` if it can be reached directly",
    ),
    refused("address is required", "add `address`: an IP address, a name, or `unix:///PATH`"),
    refused("template is required", "add `template` with the `serviceAccount` and `labels` of the workloads"),
    refused("unknown health check method", "use `httpGet`, `tcpSocket` or `exec`"),
    refused("httpGet.scheme must be one of", "use `HTTP` or `HTTPS`"),
    refused("exec.command is required", "list the command and its arguments"),
];
