//! What becomes of a request that a route takes.

use http::uri::Authority;
use mesh_config::api::virtual_service::HttpRoute;

use super::condition::path::Matched;
use super::lower::{LowerError, RuleContext};
use super::{DirectResponse, Redirect, Rewrite, Split};
use crate::cluster::ClusterId;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// The host is unknown and may not be passed through (`REGISTRY_ONLY`): 502.
    Blocked,
    /// A fixed answer.
    DirectResponse(DirectResponse),
    /// It goes to one of several destinations.
    Forward(Forward),
    /// The host is unknown: the request goes where it says (`ALLOW_ANY`), through this cluster.
    Passthrough(ClusterId),
    /// An answer that sends the caller elsewhere.
    Redirect(Redirect),
}

/// Where requests go and what is changed before.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The destinations.
    pub split: Split,
    /// What is changed about path and authority.
    pub rewrite: Option<Rewrite>,
}

impl Action {
    /// From a rule. Of several actions `redirect` counts before `directResponse` before `route`.
    ///
    /// `authority` is what the rule's header operations make of the authority.
    ///
    /// # Errors
    /// A rule without action, and what is wrong with the action.
    pub(crate) fn lower(
        rule: &HttpRoute,
        matched: Matched,
        authority: Option<Authority>,
        ctx: &mut RuleContext<'_>,
    ) -> Result<Self, LowerError> {
        if let Some(redirect) = &rule.redirect {
            let redirect = Redirect::lower(redirect, matched, ctx.site.port);
            return redirect.map(Self::Redirect).map_err(|error| error.within("redirect"));
        }
        if let Some(response) = &rule.direct_response {
            let response = DirectResponse::lower(response);
            return response.map(Self::DirectResponse).map_err(|error| error.within("directResponse"));
        }
        if rule.route.is_empty() {
            return Err(LowerError::new("route", "HTTP route, redirect or direct_response is required"));
        }
        let rewrite = Rewrite::lower(rule.rewrite.as_ref(), matched, authority);
        let rewrite = rewrite.map_err(|error| error.within("rewrite"))?;
        Ok(Self::Forward(Forward { split: Split::lower(&rule.route, ctx)?, rewrite }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::{lower, lower_error};

    #[test]
    fn a_redirect_counts_before_a_direct_response_before_a_route() {
        use serde_json::json;
        let route = json!([{"destination": {"host": "a"}}]);
        let all = json!({"route": route, "directResponse": {"status": 200}, "redirect": {"uri": "/x"}});
        assert!(matches!(lower(all).action, Action::Redirect(_)));
        let two = json!({"route": route, "directResponse": {"status": 200}});
        assert!(matches!(lower(two).action, Action::DirectResponse(_)));
        assert!(matches!(lower(json!({"route": route})).action, Action::Forward(_)));
        assert_eq!(lower_error(json!({})).path, "route");
    }
}
