//! VirtualService and DestinationRule.

use super::{Advice, accepted, refused};
use crate::resource::Kind;

pub(super) const ADVICE: &[Advice] = &[
    refused(
        "wildcard host * is not allowed for virtual services bound to the mesh gateway",
        "for traffic that enters at a gateway, name it in `gateways` and leave `mesh` out there; for traffic within the \
         mesh, list the hosts of the services",
    ),
    refused(
        "duplicate hosts in virtual service",
        "leave one of the two out: a wildcard covers the hosts below it already",
    ),
    refused(
        "http, tcp or tls must be provided in virtual service",
        "add `http:` with at least one rule; check that it is indented below `spec:`",
    ),
    refused(
        "delegate virtual service must have no",
        "an object without `hosts` is a part of others: give it `hosts`, or leave the field out here and set it in the object \
         that delegates",
    ),
    refused(
        "JWT claim based routing",
        "claims are known at a gateway only: name gateways in `gateways`, without `mesh`",
    ),
    refused(
        "must not specify r",
        "a rule that delegates takes what it does from the other VirtualService: leave this field out, or `delegate`",
    ),
    refused(
        "delegate HTTP route cannot contain delegate",
        "delegation has one level: name that VirtualService in the root",
    ),
    refused(
        "HTTP route, redirect or direct_response is required",
        "give the rule a `route`, `redirect` or `directResponse`; a `- match:` that begins a new item is a rule of its own",
    ),
    refused("cannot contain both mirror and mirrors", "put the destination of `mirror` into `mirrors`"),
    refused(
        "cannot contain both",
        "a rule does one thing: leave one of the two out, or make two rules with a `match` each",
    ),
    refused(
        "total destination weight = 0",
        "a destination without `weight` has 0 where there are several: give at least one more",
    ),
    refused("weight may not be nil", "fill the empty item of the list, or take its hyphen out"),
    refused(
        "destination is required",
        "write `destination: {host: NAME}` in the item, with host and subset indented below it",
    ),
    refused(
        "invalid destination host *",
        "name one service; a request that should go where it was meant for needs no rule",
    ),
    refused("subset name is invalid", "use letters, digits and hyphens, as in the `subsets` of the DestinationRule"),
    refused("header match", "write `NAME: {}` to ask that the header is there"),
    refused(
        "prefix string match should not be empty",
        "to ask that it is there, whatever its value, write `{}`; to ask for nothing, leave it out",
    ),
    refused("regex string match should not be empty", "for any value write `.*`, or `{}` to ask that it is there"),
    refused("regex is too large", "split it into several matches, of which one has to fit"),
    refused(
        "missing argument to repetition operator: `*`",
        "a lone star asks for presence in `withoutHeaders` only: write `{}` for presence, `.*` for any text",
    ),
    refused(
        "Istio uses RE2 style regex-based match",
        "RE2 has no look-around and no back-references; the regex has to match the whole value",
    ),
    refused("using an IP address", "clients send names in SNI: match by `destinationSubnets` instead"),
    refused(
        "is not a compatible subset of any of the virtual service hosts",
        "list the name, or a wildcard for it, in `hosts`",
    ),
    refused("TLS route must have at least one match condition", "give the rule a `match` with `sniHosts`"),
    refused(
        "TLS match must have at least one SNI host",
        "add `sniHosts`; `*` with the same host in `hosts` takes every name",
    ),
    refused(
        "redirect must specify URI, authority, scheme, or port",
        "say where to: `uri`, `authority`, `scheme` or `port`",
    ),
    refused(
        "redirect prefix_rewrite requires",
        "use `prefix` in every `uri` match of the rule, or `uri` in the redirect",
    ),
    refused("is not a valid redirect code", "use 301, 302, 303, 307 or 308"),
    refused("rewrite may only contain one of", "leave `uri` or `uriRegexRewrite` out"),
    refused("rewrite must specify at least one of", "write what the path or the host becomes, or leave `rewrite` out"),
    refused(
        "UriRegexRewrite requires both",
        "give both: `match` is the regex, `rewrite` what its match becomes (`\\1` is a group)",
    ),
    refused("attempts cannot be negative", "0 turns retries off"),
    refused(
        "http retry policy configured when attempts are set to 0",
        "set `attempts`: without it, it is 0; to turn retries off, leave the other fields out",
    ),
    refused(
        "is not a valid retryOn policy",
        "conditions are separated by commas without blanks, and status codes stand for themselves: \
         `connect-failure,refused-stream,503`",
    ),
    refused("HTTP fault injection must have an abort and/or a delay", "add `delay` or `abort`, or leave `fault` out"),
    refused("exponentialDelay not supported yet", "use `fixedDelay`"),
    refused("HTTP/2 abort fault injection not supported yet", "use `httpStatus` or `grpcStatus`"),
    refused("gRPC status", "use the name in upper case, such as `UNAVAILABLE`"),
    accepted(
        "abort configured, but error type not set",
        "no request is aborted",
        "add `httpStatus`, or `grpcStatus`, and `percentage`",
    ),
    accepted(
        "HTTP status 600",
        "Envoy refuses the status; Istio's webhook takes it by an error of one",
        "use a status between 200 and 599",
    ),
    refused("is not in range 200-599", "use a status between 200 and 599"),
    refused(
        "is neither 0.0, nor in range [0.0001, 100.0]",
        "`value` is in percent: 0.5 is half a percent; the finest step is 0.0001",
    ),
    accepted(
        "using deprecated setting \"mirrorPercent\"",
        "it acts as `mirrorPercentage`, which wins where both stand",
        "write `mirrorPercentage: {value: N}`",
    ),
    refused("must have a max value of 100", "the value is in percent; leave the field out to mirror everything"),
    refused("must have a min value of 0", "the value is in percent; 0 mirrors nothing"),
    refused(
        "is not a valid match type for CORS allow origins",
        "write `exact`, `prefix` or `regex`; any origin is `regex: '.*'`",
    ),
    refused(
        "is not a supported HTTP method",
        "use GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE or `*`",
    ),
    refused("max_age duration is accurate only to seconds precision", "give whole seconds, such as `24h`"),
    refused("must be less than 1MB", "serve it from a service"),
    accepted(
        "large direct_responses may impact",
        "it is held in memory once and sent from there",
        "serve larger texts from a service",
    ),
    refused("cannot set Host header", "a host is set on requests only: `headers.request.set`, or `rewrite.authority`"),
    refused(
        "header cannot have \":\" prefix",
        "of the pseudo headers only `:authority` can be set, on requests; for a path use `rewrite`",
    ),
    refused(
        "authority header cannot be set multiple times",
        "keep one of `rewrite.authority` and the header operations on Host",
    ),
    refused("header value configuration", "a percent sign that begins no `%NAME%` is written `%%`"),
    refused("is not a valid header name", "a name has letters, digits and hyphens, no blanks and no colon"),
    accepted("using legacy gatewayName format", "the name still leads to the gateway", "write `NAMESPACE/NAME`"),
    refused(
        "invalid value for namespace: \".\"",
        "leave `./` out: a plain name is a gateway in the object's own namespace",
    ),
    refused("config namespace and gateway name cannot be empty", "write `NAMESPACE/NAME`, or the name alone"),
    refused("invalid value for gateway name", "use the name of a Gateway: letters, digits and hyphens"),
    accepted(
        "only the last rule can have no matches",
        "no request reaches the rule: one before it takes everything",
        "give the earlier rule a `match`, or take this one out",
    ),
    accepted(
        "route without matches defined before",
        "no request reaches the rule: one before it has no `match` and takes everything",
        "move the rule without `match` to the end; check that its `match` was not meant to stand in the same item",
    ),
    accepted(
        "all matches used by prior rules",
        "no request reaches the rule",
        "take the rule out, or change what it matches",
    ),
    accepted(
        "is not used (duplicate/overlapping match",
        "the earlier match takes these requests",
        "move the narrower match before the wider one, or take it out",
    ),
    // DestinationRule
    refused(
        "traffic policy must have at least one field",
        "add a block, or leave the policy out; check the indentation of what follows",
    ),
    refused("portTrafficPolicy must have valid port", "write `port: {number: N}`"),
    refused("tunnel and proxyProtocol must not be set together", "leave one of the two out"),
    refused("tunnel", "a tunnel has a `targetHost`, a `targetPort`, and `CONNECT` or `POST` as its protocol"),
    refused(
        "duplicate subset names",
        "give each subset a name of its own; to ask for several labels, list them in one subset",
    ),
    refused(
        "connection pool must have at least one field",
        "put the limits below `tcp` or `http`, or leave `connectionPool` out",
    ),
    accepted(
        "outlier detection consecutive errors is deprecated",
        "the number is not used; without consecutive5xxErrors the limit is 5",
        "write `consecutive5xxErrors`, or `consecutiveGatewayErrors` to count 502, 503 and 504 only",
    ),
    refused(
        "consecutive local origin failures is specified",
        "set `splitExternalLocalOriginErrors: true`, or leave the limit out: connection failures count as 5xx then",
    ),
    refused("is not in range 0..100", "the number is in percent"),
    refused("http2 keepalive", "give both `interval` and `timeout`"),
    refused("use client protocol must not be true", "leave `useClientProtocol` or `h2UpgradePolicy: UPGRADE` out"),
    refused("must be non-negative", "0 is unset: it means no limit"),
    refused("name required for HttpCookie", "give the cookie a `name`"),
    refused("cookie attribute", "give each attribute a name of its own"),
    accepted(
        "consistent hash MinimumRingSize is deprecated",
        "it acts as `ringHash.minimumRingSize`",
        "write `ringHash: {minimumRingSize: N}`",
    ),
    refused(
        "only one of MinimumRingSize or Maglev/Ringhash",
        "leave `minimumRingSize` out, or write it below `ringHash`",
    ),
    refused("tableSize", "65537 is Envoy's default; use a prime number below 5000011"),
    refused("duration is required", "say how long an endpoint is new: `duration: 30s`"),
    refused(
        "can not simultaneously specify 'distribute' and 'failover'",
        "fixed shares leave nothing to fail over: keep one of the two",
    ),
    refused("topology label", "locality is compared already: use other labels, or leave `failover` out"),
    refused("locality weight must be in range", "leave localities out that should get nothing"),
    refused("total locality weight", "the weights of one `to` are percentages: make them add up to 100"),
    refused(
        "wildcard '*' number can not exceed 1",
        "a locality is `region/zone/subzone`; a `*` stands for all that is left over",
    ),
    refused("overlap with previous specified ones", "list the narrower locality first, or leave one of the two out"),
    refused(
        "must not contain empty region/zone/subzone info",
        "a locality is `region/zone/subzone`, without a slash at its end",
    ),
    refused(
        "locality lb failover settings must specify different regions",
        "`to` is the region that takes over from `from`",
    ),
    refused("locality lb failover", "name whole regions, such as `us-east`: zones and wildcards cannot take over"),
    accepted(
        "outlier detection policy must be provided for failover",
        "no failover happens: nothing finds out that a locality has failed",
        "add `outlierDetection` to the same policy",
    ),
    refused(
        "InsecureSkipVerify is set true",
        "what is not verified needs no authority and no names: leave them or `insecureSkipVerify` out",
    ),
    refused(
        "If credentialName is set",
        "leave the files out, or `credentialName`: a process reads files, a gateway secrets",
    ),
    refused(
        "required for mutual tls",
        "give both files, `clientCertificate` and `privateKey`; with the mesh's own certificates use ISTIO_MUTUAL",
    ),
    refused("invalid configmap:// credentialName", "name a ConfigMap of the rule's own namespace: `configmap://NAME`"),
    refused("destination rule with workload selector", "such a rule acts in its own namespace: leave `exportTo` out"),
    refused("endpoint port", "list the port in `ports` of the ServiceEntry, under the same name")
        .of(&[Kind::ServiceEntry]),
];
