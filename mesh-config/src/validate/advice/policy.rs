//! The policies: AuthorizationPolicy, PeerAuthentication, RequestAuthentication, Telemetry, ProxyConfig.

use super::{Advice, accepted, refused};

pub(super) const ADVICE: &[Advice] = &[
    refused(
        "action without `rules` is meaningless",
        "to act on every request write `rules: [{}]`; to allow nothing, leave both `action` and `rules` out",
    ),
    refused("`provider.name` must not be empty", "name a provider of `extensionProviders` in MeshConfig"),
    refused("`provider` must not be with non CUSTOM action", "write `action: CUSTOM`, or leave `provider` out"),
    refused(
        "`from.source` must not be empty",
        "say who: an empty source would be everybody; for everybody leave `from` out",
    ),
    refused("`from.source` must not be nil", "write `- source:` with its fields indented below"),
    refused(
        "`to.operation` must not be empty",
        "say what: an empty operation would be everything; for everything leave `to` out",
    ),
    refused("`to.operation` must not be nil", "write `- operation:` with its fields indented below"),
    refused(
        "cannot set serviceAccounts with namespaces or principals",
        "write `NAMESPACE/ACCOUNT` in `serviceAccounts` alone",
    ),
    refused("empty value not allowed", "an empty text never matches: `*` is any value that is not empty"),
    refused("bad CIDR range", "a block is an address and a number of bits, such as `10.0.0.0/8`"),
    refused(
        "bad IP address",
        "give an address such as `10.1.2.3`, or a block such as `10.0.0.0/8`; names are not looked up",
    ),
    refused("bad port", "ports are numbers in quotes, `\"8080\"`: the port of the workload, without wildcards"),
    refused("may not have more than 16 values", "split the list over several `source` items, which are alternatives"),
    refused(
        "wildcard not allowed, found in",
        "list the accounts, or use `namespaces` or `principals`, which take wildcards",
    ),
    refused(
        "expected format 'serviceAccount' or 'namespace/serviceAccount'",
        "a full identity belongs under `principals`",
    ),
    refused(
        "trust domain must not contain '/'",
        "give the trust domain alone; a full identity belongs under `principals`",
    ),
    refused("at most one wildcard is allowed", "keep the star at the start or at the end"),
    refused("wildcard is only allowed at the start or end", "keep the star at the start or at the end"),
    refused(
        "{**} is not the last operator",
        "`{**}` takes the rest of a path: use `{*}` for single segments before it",
    ),
    refused(
        "beyond a supported path template",
        "only `{*}` (one segment) and `{**}` (the rest) are operators, each a whole segment without a name",
    ),
    refused("with invalid string literal", "beside operators a star is no wildcard: use `{*}` or `{**}`"),
    refused("`key` must not be empty", "name an attribute, such as `request.headers[x-user]`"),
    refused(
        "at least one of `values` or `notValues`",
        "list what the attribute has to be; `\"*\"` asks that it is there",
    ),
    refused(
        "should have format a[b]",
        "put the name in brackets: `request.headers[x-user]`, `request.auth.claims[group]`",
    ),
    refused("is replaced by the metadata.namespace", "a policy applies to the workloads of its own namespace"),
    refused("is replaced by the workload selector", "write the labels in `selector.matchLabels`"),
    refused("only supported in v1alpha1", "select the workloads by `selector.matchLabels`"),
    refused(
        "unknown attribute",
        "attributes are request.headers[NAME], source.ip, remote.ip, source.namespace, source.principal, \
         source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, \
         request.auth.claims[NAME], destination.ip, destination.port, connection.sni",
    ),
    refused(
        "is currently not supported with CUSTOM action",
        "who calls is not known before the provider is asked: check it in an ALLOW or DENY policy beside this one",
    ),
    accepted(
        "will deny all traffic to TCP ports",
        "on a port that is not HTTP the HTTP conditions fall away and every connection is closed",
        "add `ports` with the HTTP port to the operation",
    ),
    refused("only supports action ALLOW/DENY", "leave the annotation out, or use ALLOW or DENY"),
    refused("has unsupported annotation", "only an AuthorizationPolicy can be tried out: take the annotation out"),
    refused("with invalid value", "write `\"true\"` or `\"false\"`"),
    refused(
        "mesh/namespace peer authentication cannot have port level mTLS",
        "ports are those of a workload: add `selector.matchLabels`",
    ),
    refused(
        "port level mTLS, if defined, must have at least one element",
        "write `portLevelMtls: {8080: {mode: DISABLE}}`, or leave it out",
    ),
    refused("port must be in range 1..65535", "the keys are ports of the workload, not of the Service"),
    refused("issuer or jwksUri must be non-empty string", "give the `iss` of the tokens as `issuer`"),
    refused("audience must be non-empty string", "leave `audiences` out to take tokens for anybody"),
    refused("URI scheme", "give a full URL, `https://HOST/PATH`"),
    refused("jwks parse error", "put the whole JSON of the key set, `{\"keys\": [...]}`, into one text (`jwks: |`)"),
    accepted(
        "contains private key material",
        "tokens are verified, but whoever reads the file can make some",
        "keep the public part only (`n` and `e`, or `x` and `y`) and make a new key",
    ),
    refused("location header name must be", "name the header, and the prefix in front of the token if it has one"),
    refused("location query must be non-empty string", "name the query parameter"),
    refused("cookie name must be non-empty string", "name the cookie"),
    refused("outputClaimToHeaders header and claim value must be non-empty string", "give both `header` and `claim`"),
    refused("targetRef name must be set", "name the Gateway or Service"),
    refused(
        "targetRef namespace must not be set",
        "put the policy into the namespace of what it is for, and leave `namespace` out",
    ),
    refused(
        "targetRef must be to one of",
        "a Gateway has the group `gateway.networking.k8s.io`, a Service an empty one",
    ),
    refused(
        "only one of targetRefs or workloadSelector can be set",
        "keep `selector` for workloads, `targetRefs` for gateways and services",
    ),
    accepted(
        "workload selector specified without labels",
        "it applies to every workload of the namespace, and in the root namespace of the mesh",
        "add labels, or leave the selector out to say so",
    ),
    refused(
        "wildcard is not supported in selector",
        "labels are compared whole: list one label that the workloads share",
    ),
    refused("empty key is not supported in selector", "write `KEY: VALUE`"),
    refused("randomSamplingPercentage must be in range", "the number is in percent"),
    refused("providers.name may not be empty", "name a provider of `extensionProviders` in MeshConfig"),
    refused("tag name may not be empty", "give the tag a name"),
    refused("may not have a nil value", "give the tag a `literal`, a `header` or an `environment`"),
    refused("tag value may not be empty", "write `literal: {value: TEXT}`"),
    refused("tagOverrides.value must be set", "write the expression as `value`, or `operation: REMOVE`"),
    refused("tagOverrides.value may only be set", "leave `value` out, or write `operation: UPSERT`"),
    refused("customMetric may not be empty", "name the metric, or use `metric`"),
    accepted("multiple tracing is not currently supported", "the first entry counts", "keep one entry"),
    accepted("multiple providers is not currently supported", "the first provider counts", "keep one provider"),
    accepted("tagOverrides.name may not be empty", "the entry does nothing", "give the tag a name"),
    refused("must be a valid CEL expression", "write a condition such as `response.code >= 400`"),
    refused("concurrency must be greater than or equal to 0", "0 is one thread for each core"),
];
