//! What Telemetry resources say of traces, and whether a request's is recorded.

use std::collections::BTreeMap;

use http::HeaderMap;
use mesh_config::api::telemetry::CustomTag;
use mesh_core::access_log::Attributes;
use mesh_core::telemetry::Side;
use mesh_core::telemetry::policy::DEFAULT_SAMPLING;
use opentelemetry::trace::SpanContext;

use super::propagation::Incoming;
use super::reason::{self, Told};
use crate::chance::Chance;
use crate::live::Live;

/// How the requests of one side are traced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy<'a> {
    /// Of so many percent of the traces that begin here.
    pub(super) sampling: f64,
    /// Whether there are spans at all.
    pub(super) reports: bool,
    /// Whether the decision is noted in `x-request-id` and read from it.
    pub(super) uses_request_id: bool,
    /// Whether Istio's own tags are added.
    pub(super) istio_tags: bool,
    /// The name of the mesh.
    pub(super) mesh_id: &'a str,
    /// Whether the trace headers of requests are left alone.
    pub(super) keeps_context: bool,
    pub(super) tags: Option<&'a BTreeMap<String, CustomTag>>,
    pub(super) formatted: Option<&'a Attributes>,
}

/// Istio tells shares apart to a hundredth of a percent.
const PARTS: u64 = 100;

/// What becomes of a request's trace.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is recorded, as a part of the trace that it belongs to, or as the beginning of one.
    Sampled { parent: Option<SpanContext>, debug: bool },
    /// It is not, and the request does not say so yet.
    NotSampled { parent: Option<SpanContext> },
    /// It is not, as is said already.
    Settled { parent: Option<SpanContext> },
}

impl<'a> Policy<'a> {
    /// What counts for one side: Istio's defaults where nobody says anything. Where spans go says the program, so that no
    /// provider needs to be named.
    pub(super) fn of(live: &'a Live, side: Side) -> Self {
        let Some(policy) = &live.snapshot().telemetry().of(side).tracing else {
            return Self {
                sampling: DEFAULT_SAMPLING,
                reports: true,
                uses_request_id: true,
                istio_tags: true,
                mesh_id: &live.snapshot().telemetry().mesh_id,
                keeps_context: false,
                tags: None,
                formatted: None,
            };
        };
        let own = Self {
            sampling: policy.sampling,
            reports: !policy.is_disabled,
            uses_request_id: policy.uses_request_id,
            istio_tags: policy.istio_tags,
            mesh_id: &live.snapshot().telemetry().mesh_id,
            keeps_context: policy.keeps_context,
            tags: Some(&policy.custom_tags),
            formatted: Some(&*policy.formatted_tags).filter(|tags| !tags.is_empty()),
        };
        // As Envoy then leaves it to whoever makes the spans.
        if policy.uses_request_id { own } else { own.decided_by_provider() }
    }

    /// The same where whoever makes the spans decides which traces are recorded, as for Istio's drivers that sample
    /// themselves.
    pub(super) const fn decided_by_provider(self) -> Self {
        Self { sampling: 100.0, uses_request_id: false, ..self }
    }

    /// Decides about a request that says this, and has these headers.
    pub(super) fn decide(&self, incoming: Option<Incoming>, headers: &HeaderMap, chance: &Chance) -> Decision {
        let Incoming { parent, sampled, debug } = incoming.unwrap_or_default();
        let is_drawn = || match if self.uses_request_id { reason::told(headers) } else { Told::Nothing } {
            Told::Traced => true,
            Told::NotTraced => false,
            Told::Nothing if self.sampling >= 100.0 => true,
            Told::Nothing => {
                let wanted = (self.sampling * PARTS as f64).round() as u64;
                chance.with(|rng| rng.below(100 * PARTS) < wanted)
            }
        };
        match sampled {
            Some(false) => Decision::Settled { parent },
            Some(true) => Decision::Sampled { parent, debug },
            None if is_drawn() => Decision::Sampled { parent, debug },
            None => Decision::NotSampled { parent },
        }
    }
}
