//! ServiceEntry, WorkloadEntry, WorkloadGroup.

use super::{assert_findings, findings, report};

#[test]
fn service_entries_are_checked_by_their_resolution() {
    let entry = |rest: &str| {
        findings("ServiceEntry", &format!("ports: [{{number: 80, name: http, protocol: HTTP}}]\n{rest}")).join("\n")
    };
    for (rest, finding) in [
        ("hosts: [a.com]\nresolution: DNS", ""),
        ("resolution: DNS", "error spec: service entry must have at least one host"),
        ("hosts: ['*']", "error spec.hosts[0]: invalid host *"),
        (
            "hosts: [a.com]\nendpoints: [{address: 1.2.3.4}]",
            "error spec.endpoints: no endpoints should be provided for resolution type none",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: b.com}]",
            "error spec.endpoints[0].address: endpoint address \"b.com\" is not a valid IP address",
        ),
        (
            "hosts: [a.com]\nresolution: DNS\naddresses: [1.2.3.0/24]",
            "error spec.addresses[0]: CIDR addresses are allowed only for NONE/STATIC resolution types",
        ),
        (
            "hosts: ['*.a.com']\nresolution: DNS",
            "error spec.hosts[0]: hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS, domain name \"*.a.com\" invalid (label \"*\" invalid)",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: 1.2.3.4, ports: {grpc: 1}}]",
            "error spec.endpoints[0].ports[grpc]: endpoint port 1 is not defined by the service entry",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: 'unix:///a', ports: {http: 1}}]",
            "error spec.endpoints[0].ports: unix endpoint unix:///a must not include ports",
        ),
        (
            "hosts: [a.com]\nresolution: DNS_ROUND_ROBIN\nendpoints: [{address: b.com}, {address: c.com}]",
            "error spec.endpoints: there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN",
        ),
        (
            "hosts: [a.com]\nresolution: DYNAMIC_DNS",
            "error spec.hosts[0]: hosts must be wildcards for resolution mode DYNAMIC_DNS, found \"a.com\"",
        ),
        (
            "hosts: [a.com]\nexportTo: ['~', ns]",
            "error spec.exportTo: cannot export service entry to no one (~) and someone",
        ),
    ] {
        assert_eq!(entry(rest), finding, "{rest}");
    }
    assert_eq!(
        findings("ServiceEntry", "hosts: [a.com, b.com]\nresolution: DNS\nports: [{number: 80, name: a}, {number: 80, name: a}]\naddresses: [1.1.1.1]")
            .join("\n"),
        "error spec.ports[1].name: service entry port name \"a\" already defined\n\
         error spec.ports[1].number: service entry port 80 already defined\n\
         error spec.hosts: multiple hosts provided with non-HTTP, non-TLS ports"
    );
}

#[test]
fn a_tcp_port_needs_an_address_where_none_is_made_up() {
    let tcp = |metadata: &str, rest: &str| {
        let spec = format!("hosts: [a.com]\nports: [{{number: 80, name: tcp, protocol: TCP}}]\n{rest}");
        report("ServiceEntry", metadata, &spec).len()
    };
    let plain = "{name: x}";
    let off = "{name: x, labels: {networking.istio.io/enable-autoallocate-ip: 'False'}}";
    assert_eq!((tcp(plain, "resolution: NONE"), tcp(plain, "resolution: NONE\naddresses: [1.2.3.4]")), (1, 0));
    assert_eq!((tcp(plain, "resolution: DNS"), tcp(off, "resolution: DNS")), (0, 1));
}

#[test]
fn service_entries_are_checked_in_their_parts() {
    assert_findings(
        "ServiceEntry",
        &[
            (
                "hosts: ['foo*.com', '*bar.com']",
                "error spec.hosts[0]: domain name \"foo*.com\" invalid (label \"foo*\" invalid)\n\
                 warning spec.hosts[0]: partial wildcard \"foo*.com\" not allowed\n\
                 warning spec.hosts[1]: partial wildcard \"*bar.com\" not allowed",
            ),
            (
                "hosts: [a.com]\naddresses: [1.2.3.4/33, x]",
                "error spec.addresses[0]: 1.2.3.4/33 is not a valid CIDR block\n\
                 error spec.addresses[1]: x is not a valid IP",
            ),
            (
                "hosts: [a.com]\nresolution: STATIC\nports: [{number: 0, name: a_b, protocol: x, targetPort: 70000}]",
                "error spec.ports[0].targetPort: port number 70000 must be in the range 1..65535\n\
                 error spec.ports[0].name: invalid port name: a_b\n\
                 error spec.ports[0].protocol: unsupported protocol: x\n\
                 error spec.ports[0].number: port number 0 must be in the range 1..65535",
            ),
            (
                "hosts: [a.com]\nresolution: STATIC\nworkloadSelector: {labels: {a: b}}\nendpoints: [{address: 1.2.3.4}]",
                "error spec.endpoints: only one of WorkloadSelector or Endpoints is allowed in Service Entry",
            ),
            (
                "hosts: [a.com]\nworkloadSelector: {}",
                "warning spec.workloadSelector.labels: service entry: workload selector specified without labels, will be applied \
                 to all services in namespace\n\
                 warning spec.workloadSelector: workloadSelector should not be set when resolution mode is NONE",
            ),
            (
                "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\naddresses: [1.2.3.4]\nports: [{number: 1, name: x, protocol: TCP}]",
                "error spec.addresses: no addresses should be provided for resolution type DYNAMIC_DNS\n\
                 error spec.ports[0].protocol: only HTTP and TLS protocols are supported for resolution mode DYNAMIC_DNS",
            ),
            ("hosts: [a.com]\nexportTo: ['~']", ""),
        ],
    );
}

#[test]
fn endpoints_are_what_the_resolution_can_use() {
    let ports = "hosts: [a.com]\nports: [{number: 80, name: http, protocol: HTTP}]";
    let is_good = |resolution: &str, endpoint: &str| {
        findings("ServiceEntry", &format!("{ports}\nresolution: {resolution}\nendpoints: [{endpoint}]")).is_empty()
    };
    assert!(is_good("DNS", "{address: b.com}") && is_good("DNS", "{address: 1.2.3.4}"));
    assert!(!is_good("DNS", "{address: 'unix:///x'}") && !is_good("DNS", "{network: net}"));
    assert!(is_good("STATIC", "{address: 'unix:///x'}") && !is_good("STATIC", "{address: 'unix://x'}"));
    assert!(!is_good("STATIC", "{address: 1.2.3.4, labels: {'a b': c}}"));
    assert_findings(
        "ServiceEntry",
        &[(
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: 'unix:///x'}]",
            "error spec.endpoints[0].address: exactly 1 service port required for unix endpoints",
        )],
    );
}

#[test]
fn several_hosts_can_be_told_apart() {
    let hosts = |rest: &str| {
        findings("ServiceEntry", &format!("hosts: [a.com, b.com]\naddresses: [1.2.3.4]\n{rest}")).join("\n")
    };
    let warning = "warning spec.hosts: service entry can not have more than one host specified simultaneously with address and tcp port";
    let tls = "ports: [{number: 443, name: tls, protocol: TLS}]";
    let tcp = "ports: [{number: 1, name: tcp, protocol: TCP}]";
    assert_eq!(hosts(&format!("resolution: DNS\n{tls}")), warning);
    assert_eq!(hosts(&format!("resolution: STATIC\n{tls}")), "");
    assert_eq!(hosts(&format!("resolution: NONE\n{tcp}")), "");
    assert_eq!(
        hosts(&format!("resolution: STATIC\n{tcp}")),
        "error spec.hosts: multiple hosts provided with non-HTTP, non-TLS ports"
    );
}

#[test]
fn workload_entries_are_checked() {
    assert_findings(
        "WorkloadEntry",
        &[
            ("address: 1.2.3.4\nports: {http: 80}", ""),
            ("address: b.com", ""),
            ("address: 'unix://@x'", ""),
            ("address: a_b", "error spec.address: endpoint address \"a_b\" is not a valid FQDN or an IP address"),
            ("address: 'unix:///x/'", "error spec.address: /x/ is not an absolute path to a file"),
            (
                "address: 'unix:///x'\nports: {http: 80}",
                "error spec.ports: unix endpoint unix:///x must not include ports",
            ),
            (
                "address: 1.2.3.4\nports: {a_b: 0}",
                "error spec.ports[a_b]: invalid port name: a_b\n\
                 error spec.ports[a_b]: port number 0 must be in the range 1..65535",
            ),
            ("address: 1.2.3.4\nlabels: {a: '!'}", "error spec.labels: invalid tag value: \"!\""),
        ],
    );
}

#[test]
fn workload_groups_are_checked() {
    let probe = |probe: &str| findings("WorkloadGroup", &format!("template: {{}}\nprobe: {probe}")).join("\n");
    for (spec, expected) in [
        ("{httpGet: {port: 80, scheme: HTTPS}}", ""),
        (
            "{httpGet: {port: 0, scheme: http}}",
            "error spec.probe.httpGet.port: port number 0 must be in the range 1..65535\n\
          error spec.probe.httpGet.scheme: httpGet.scheme must be one of \"HTTPS\", \"HTTP\"",
        ),
        (
            "{httpGet: {port: 80, httpHeaders: [{name: 'a b'}]}}",
            "error spec.probe.httpGet.httpHeaders[0].name: header name a b is not a valid header name",
        ),
        ("{tcpSocket: {port: 0}}", "error spec.probe.tcpSocket.port: port number 0 must be in the range 1..65535"),
        ("{exec: {}}", "error spec.probe.exec: exec.command is required"),
        ("{}", "error spec.probe: unknown health check method <nil>"),
        ("{grpc: {port: 80}}", "error spec.probe: unknown health check method *v1alpha3.ReadinessProbe_Grpc"),
        (
            "{exec: {command: [a]}, periodSeconds: -1, initialDelaySeconds: -1, timeoutSeconds: -1, successThreshold: -1, \
             failureThreshold: -1}",
            "error spec.probe.periodSeconds: periodSeconds must be non-negative\n\
             error spec.probe.initialDelaySeconds: initialDelaySeconds must be non-negative\n\
             error spec.probe.timeoutSeconds: timeoutSeconds must be non-negative\n\
             error spec.probe.successThreshold: successThreshold must be non-negative\n\
             error spec.probe.failureThreshold: failureThreshold must be non-negative",
        ),
    ] {
        assert_eq!(probe(spec), expected, "{spec}");
    }
    assert_findings(
        "WorkloadGroup",
        &[
            (
                "template: {}\nmetadata: {labels: {a: '!'}}",
                "error spec.metadata.labels: invalid labels: invalid tag value: \"!\"",
            ),
            (
                "template: {address: a_b}",
                "warning spec.template.address: endpoint address \"a_b\" is not a valid FQDN or an IP address",
            ),
        ],
    );
}
