//! Documents about one service that is called from inside the mesh and through a gateway.

/// A service of one endpoint at `port` of this machine, with a policy and a rule for it: in the mesh `http://NAME:LISTEN`,
/// at port 80 of the gateway that `istio: ingress` selects `NAME.example.com`.
pub(crate) fn service_at(name: &str, (protocol, listen): (&str, u16), port: u16, policy: &str, rule: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {listen}, name: main, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: default}}
spec: {{host: {name}, trafficPolicy: {{{policy}}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway, namespace: default}}
spec:
  selector: {{istio: ingress}}
  servers: [{{port: {{number: 80, name: main, protocol: HTTP}}, hosts: ['*.example.com']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}, {name}.example.com]
  gateways: [mesh, gateway]
  http: [{{{rule}, route: [{{destination: {{host: {name}}}}}]}}]
"
    )
}
