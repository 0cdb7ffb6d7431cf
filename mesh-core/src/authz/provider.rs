//! Services outside of the mesh that `CUSTOM` policies ask: what is common to all of them.

use std::time::Duration;

use http::StatusCode;
use mesh_config::api::mesh_config::{ExtAuthzRequestBody, ExtensionProvider};

use super::HttpProvider;
use crate::route::ClusterRef;

/// Waits this long for an answer where the provider says nothing else: Istio's default.
const PATIENCE: Duration = Duration::from_mins(10);

/// A provider of the mesh that a policy of this workload names.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name by which policies ask for it.
    pub name: Box<str>,
    /// Where its service is.
    pub cluster: ClusterRef,
    /// How long an answer may take. 10 minutes unless set, as in Istio.
    pub timeout: Duration,
    /// What becomes of a request about which nobody can say anything: it goes on, or is answered with this status.
    pub on_error: OnError,
    /// How much of the request's body the service is told (`includeRequestBodyInCheck`); `None`: nothing.
    pub body: Option<BodyInCheck>,
    /// Whether headers that it sets count for the choice of a route at a gateway (`clearRouteCache`). Unless they do, the
    /// route is the one that the request had before, as in Envoy.
    pub reroutes: bool,
    /// How it is asked.
    pub asked: Asked,
}

/// How a service is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Asked {
    /// `envoyExtAuthzHttp`.
    Http(HttpProvider),
    /// `envoyExtAuthzGrpc`, by Envoy's `envoy.service.auth.v3.Authorization`.
    Grpc {
        /// The host that the call is for.
        authority: Box<str>,
    },
}

/// How much of a request's body a service is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyInCheck {
    /// In bytes. A longer body ends the request with 413, unless [`partial`](Self::partial) is set. Until the body, or as much
    /// of it, is there, nobody is asked.
    pub most: usize,
    /// Of a longer body this much is told.
    pub partial: bool,
    /// Told as bytes. As text, each byte that is no part of UTF-8 is told as `!`. For gRPC alone.
    pub as_bytes: bool,
}

/// What happens where the service gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// `failOpen`: the request goes on.
    Allow,
    /// `statusOnError`, 403 unless set.
    Reply(StatusCode),
}

/// The service of a provider, where it is one that is asked: `[namespace/]host`, and its port.
pub fn service_of(provider: &ExtensionProvider) -> Option<(&str, u32)> {
    let http = provider.envoy_ext_authz_http.as_ref().map(|http| (http.service.as_str(), http.port));
    http.or_else(|| provider.envoy_ext_authz_grpc.as_ref().map(|grpc| (grpc.service.as_str(), grpc.port)))
}

impl Provider {
    /// Reads a provider, whose service was found. `None` for one that is not asked about requests.
    pub fn of(provider: &ExtensionProvider, cluster: ClusterRef) -> Option<Self> {
        let name = provider.name.as_str().into();
        if let Some(http) = &provider.envoy_ext_authz_http {
            return Some(Self {
                name,
                cluster,
                timeout: http.timeout.map_or(PATIENCE, mesh_config::value::Duration::to_std),
                on_error: OnError::of(http.fail_open, &http.status_on_error),
                body: http.include_request_body_in_check.map(BodyInCheck::of),
                reroutes: http.clear_route_cache,
                asked: Asked::Http(HttpProvider::of(http)),
            });
        }
        let grpc = provider.envoy_ext_authz_grpc.as_ref()?;
        let host = grpc.service.split_once('/').map_or(grpc.service.as_str(), |(_, host)| host);
        Some(Self {
            name,
            cluster,
            timeout: grpc.timeout.map_or(PATIENCE, mesh_config::value::Duration::to_std),
            on_error: OnError::of(grpc.fail_open, &grpc.status_on_error),
            body: grpc.include_request_body_in_check.map(BodyInCheck::of),
            reroutes: grpc.clear_route_cache,
            asked: Asked::Grpc { authority: host.into() },
        })
    }
}

impl OnError {
    fn of(fail_open: bool, status: &str) -> Self {
        let status = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
        if fail_open { Self::Allow } else { Self::Reply(status.unwrap_or(StatusCode::FORBIDDEN)) }
    }
}

impl BodyInCheck {
    fn of(body: ExtAuthzRequestBody) -> Self {
        Self {
            most: usize::try_from(body.max_request_bytes).unwrap_or(usize::MAX),
            partial: body.allow_partial_message,
            as_bytes: body.pack_as_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(kind: &str, fields: &Value) -> Provider {
        let mut service = json!({"service": "ns/authz.ns.svc", "port": 80});
        fields.as_object().unwrap().iter().for_each(|(name, value)| service[name] = value.clone());
        let provider = serde_json::from_value(json!({"name": "p", kind: service})).unwrap();
        Provider::of(&provider, ClusterRef { name: "c".into(), id: None }).unwrap()
    }

    #[test]
    fn without_an_answer_it_is_403_unless_said_otherwise() {
        for kind in ["envoyExtAuthzHttp", "envoyExtAuthzGrpc"] {
            let on_error = |fields: Value| provider(kind, &fields).on_error;
            assert_eq!(on_error(json!({})), OnError::Reply(StatusCode::FORBIDDEN));
            assert_eq!(on_error(json!({"statusOnError": "503"})), OnError::Reply(StatusCode::SERVICE_UNAVAILABLE));
            assert_eq!(on_error(json!({"failOpen": true})), OnError::Allow);
            assert_eq!(provider(kind, &json!({})).timeout, Duration::from_mins(10));
            assert_eq!(provider(kind, &json!({"timeout": "1.5s"})).timeout, Duration::from_millis(1500));
        }
    }

    #[test]
    fn the_body_is_told_where_it_is_asked_for() {
        for kind in ["envoyExtAuthzHttp", "envoyExtAuthzGrpc"] {
            assert_eq!(provider(kind, &json!({})).body, None);
            let body = json!({"includeRequestBodyInCheck": {"maxRequestBytes": 10, "packAsBytes": true}});
            let expected = BodyInCheck { most: 10, partial: false, as_bytes: true };
            assert_eq!(provider(kind, &body).body, Some(expected));
        }
        let asked = provider("envoyExtAuthzGrpc", &json!({"clearRouteCache": true}));
        assert!(asked.reroutes && matches!(asked.asked, Asked::Grpc { authority } if *authority == *"authz.ns.svc"));
    }
}
