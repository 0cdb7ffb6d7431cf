//! Whether a decision is what a case wants.

use mesh_config::value::host::resolve_short_name;
use mesh_core::Site;
use mesh_core::explain::{Action, Explanation, SplitEntry};
use serde::Serialize;
use serde_json::Value;

use super::case::{Case, DelegateWanted, RouteWanted, Want};
use super::decide::Decided;

/// One thing that is not as wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Failure {
    /// The request.
    pub(super) request: String,
    /// What is not as wanted, `destination`.
    pub(super) what: String,
    pub(super) wanted: String,
    pub(super) got: String,
    /// The rule that decides.
    pub(super) because: String,
}

/// Everything about a decision that a case did not want.
pub(super) fn failures(case: &Case, found: &Decided) -> Vec<Failure> {
    let mut checks = Checks { decided: found, found: &found.explanation, failed: Vec::new() };
    checks.validator_parts(case);
    // A case that says nothing but `wantMatch` is about whether a rule takes the request.
    let says_something = case.route.is_some()
        || case.delegate.is_some()
        || [&case.redirect, &case.rewrite, &case.fault, &case.headers].iter().any(|part| part.is_some());
    let action = found.explanation.action;
    let takes = matches!(action, Action::Route | Action::Redirect | Action::Direct) && found.rule.is_some();
    let mut failed = match (case.want_match.unwrap_or(true), says_something) {
        (true, true) => checks.failed,
        (true, false) if !takes && (case.want.is_none() || case.want_match == Some(true)) => {
            vec![checks.failure("match", &"a rule takes it", &"no rule does")]
        }
        (true, false) => Vec::new(),
        (false, true) if checks.failed.is_empty() => {
            vec![checks.failure("match", &"anything but this", &"just this")]
        }
        (false, false) if takes => vec![checks.failure("match", &"no rule takes it", &"a rule does")],
        (false, _) => Vec::new(),
    };
    if let Some(want) = &case.want {
        let mut checks = Checks { decided: found, found: &found.explanation, failed: Vec::new() };
        checks.want(want);
        failed.extend(checks.failed);
    }
    failed
}

struct Checks<'a> {
    decided: &'a Decided,
    found: &'a Explanation,
    failed: Vec<Failure>,
}

impl Checks<'_> {
    fn failure(&self, what: &str, wanted: &dyn ToString, got: &dyn ToString) -> Failure {
        let request = &self.found.request;
        let at = match self.found.listener.gateways.as_slice() {
            [] => String::new(),
            gateways => format!(", at {}", gateways.join(", ")),
        };
        Failure {
            request: format!("{} {}://{}{}", request.method, request.scheme, request.authority, request.path),
            what: what.to_owned(),
            wanted: wanted.to_string(),
            got: got.to_string(),
            because: match &self.found.rule {
                Some(rule) => format!("route {} of {rule}{at}", self.found.route.as_deref().unwrap_or_default()),
                None => format!("no rule takes it{at}"),
            },
        }
    }

    fn is_host(&self, host: &str, name: &str) -> bool {
        is_host(host, name, &self.decided.namespace)
    }

    fn same<T: PartialEq + ToString>(&mut self, what: &str, wanted: Option<&T>, got: Option<&T>) {
        if let Some(wanted) = wanted
            && got != Some(wanted)
        {
            let got = got.map_or_else(|| "none".to_owned(), ToString::to_string);
            self.failed.push(self.failure(what, &wanted.to_string(), &got));
        }
    }

    /// The parts of the validator's format. All but `route` and `delegate` are compared with the rule as it is written.
    fn validator_parts(&mut self, case: &Case) {
        if let Some(wanted) = &case.route
            && !is_split(wanted, &self.found.split, &self.decided.namespace)
        {
            let wanted: Vec<_> = wanted.iter().map(describe_wanted).collect();
            let got: Vec<_> = self.found.split.iter().map(describe).collect();
            self.failed.push(self.failure("route", &wanted.join(", "), &got.join(", ")));
        }
        for (name, wanted) in [
            ("redirect", &case.redirect),
            ("rewrite", &case.rewrite),
            ("fault", &case.fault),
            ("headers", &case.headers),
        ] {
            let Some(wanted) = wanted else { continue };
            let got = self.decided.part(name);
            if !holds(got, wanted) {
                self.failed.push(self.failure(name, &wanted, got));
            }
        }
        if let Some(wanted) = &case.delegate {
            self.delegate(wanted);
        }
    }

    /// To whom the root's rule delegates; without a namespace, one beside the root is wanted.
    fn delegate(&mut self, wanted: &DelegateWanted) {
        let root = self.decided.root.as_ref();
        let own = root.map(|root| root.namespace.as_str()).unwrap_or_default();
        let full =
            |namespace: &str, name: &str| format!("{}/{name}", if namespace.is_empty() { own } else { namespace });
        let wanted = full(wanted.namespace.as_deref().unwrap_or_default(), &wanted.name);
        let got = root.map_or_else(|| "no delegate".to_owned(), |root| full(&self.decided.namespace, &root.delegate));
        if wanted != got {
            self.failed.push(self.failure("delegate", &wanted, &got));
        }
    }

    fn want(&mut self, want: &Want) {
        let found = self.found;
        self.same("route", want.route.as_ref(), found.route.as_ref());
        self.same("status", want.status.as_ref(), found.status.as_ref());
        self.same("location", want.location.as_ref(), found.location.as_ref());
        self.same("flags", want.flags.as_ref(), Some(&found.flags));
        let action = format!("{:?}", found.action).to_lowercase();
        self.same("action", want.action.as_ref(), Some(&action));
        let timeout = found.timeout.clone().unwrap_or_else(|| "none".to_owned());
        self.same("timeout", want.timeout.as_ref(), Some(&timeout));
        let upstream = found.upstream.as_ref();
        self.same("authority", want.authority.as_ref(), upstream.map(|upstream| &upstream.authority));
        self.same("path", want.path.as_ref(), upstream.map(|upstream| &upstream.path));
        for (name, value) in want.headers.iter().flatten() {
            let line =
                upstream.and_then(|upstream| upstream.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)));
            self.same(&format!("header {name}"), Some(value), line.map(|(_, value)| value));
        }
        if let Some(retries) = &want.retries {
            let got = found.retries.as_ref();
            let attempts = got.map_or(0, |retries| retries.attempts);
            self.same("retries", retries.attempts.as_ref(), Some(&attempts));
            self.same("retryOn", retries.retry_on.as_ref(), got.map(|retries| &retries.on));
            self.same("perTryTimeout", retries.per_try_timeout.as_ref(), got.and_then(|r| r.per_try_timeout.as_ref()));
        }
        for (name, percent) in want.share.iter().flatten() {
            let of_name = found.split.iter().filter(|entry| entry.subset == *name || self.is_host(&entry.host, name));
            let got: f64 = of_name.map(|entry| entry.share * 100.0).sum();
            if (got - percent).abs() > EXACT {
                self.failed.push(self.failure(
                    &format!("share of {name}"),
                    &format!("{percent} %"),
                    &format!("{got} %"),
                ));
            }
        }
        for (name, percent) in want.mirrors.iter().flatten() {
            let of_name = found
                .mirrors
                .iter()
                .filter(|mirror| mirror.cluster.rsplit('|').next().is_some_and(|host| self.is_host(host, name)));
            let got: f64 = of_name.map(|mirror| mirror.percent).sum();
            if (got - percent).abs() > EXACT {
                self.failed.push(self.failure(
                    &format!("mirror to {name}"),
                    &format!("{percent} %"),
                    &format!("{got} %"),
                ));
            }
        }
    }
}

/// Shares are computed; this only allows for what binary fractions cannot say.
const EXACT: f64 = 1e-9;

/// Whether a host is meant by a name, of which the short form means one beside the rule.
fn is_host(host: &str, name: &str, namespace: &str) -> bool {
    host == name || host == resolve_short_name(name, namespace, &Site::default().cluster_domain)
}

fn is_split(wanted: &[RouteWanted], found: &[SplitEntry], namespace: &str) -> bool {
    let total: u32 = wanted.iter().filter_map(|one| one.weight).sum();
    let takes = |one: &RouteWanted, entry: &SplitEntry| {
        let wanted = &one.destination;
        let share = one.weight.map(|weight| f64::from(weight) / f64::from(total.max(1)));
        is_host(&entry.host, &wanted.host, namespace)
            && wanted.subset.as_ref().is_none_or(|subset| *subset == entry.subset)
            && wanted.port.as_ref().is_none_or(|port| port.number == entry.port)
            && (found.len() == 1 || share.is_none_or(|share| (share - entry.share).abs() < EXACT))
    };
    // What gets nothing has no share to compare.
    let wanted: Vec<_> = wanted.iter().filter(|one| wanted.len() == 1 || one.weight != Some(0)).collect();
    // Each has one of its own.
    let mut free: Vec<_> = found.iter().collect();
    wanted.len() == found.len()
        && wanted.iter().all(|one| match free.iter().position(|entry| takes(one, entry)) {
            Some(at) => {
                free.swap_remove(at);
                true
            }
            None => false,
        })
}

/// Whether a value has everything that is wanted; it may have more.
fn holds(got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| got.get(name).is_some_and(|got| holds(got, wanted)))
        }
        (Value::Array(got), Value::Array(wanted)) => {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, wanted)| holds(got, wanted))
        }
        (Value::Number(got), Value::Number(wanted)) => got.as_f64() == wanted.as_f64(),
        (got, wanted) => got == wanted,
    }
}

fn describe(entry: &SplitEntry) -> String {
    let subset = if entry.subset.is_empty() { String::new() } else { format!(" {}", entry.subset) };
    format!("{}:{}{subset} {:.4} %", entry.host, entry.port, entry.share * 100.0)
}

fn describe_wanted(wanted: &RouteWanted) -> String {
    let destination = &wanted.destination;
    let port = destination.port.as_ref().map(|port| format!(":{}", port.number)).unwrap_or_default();
    let subset = destination.subset.as_ref().map(|subset| format!(" {subset}")).unwrap_or_default();
    let weight = wanted.weight.map(|weight| format!(" weight {weight}")).unwrap_or_default();
    format!("{}{port}{subset}{weight}", destination.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_means_the_host_beside_the_rule() {
        assert!(is_host("reviews.default.svc.cluster.local", "reviews", "default"));
        assert!(is_host("reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local", "books"));
        assert!(!is_host("reviews.default.svc.cluster.local", "reviews", "books"));
        // With a dot it is no short name, as in a rule.
        assert!(!is_host("reviews.default.svc.cluster.local", "reviews.default", "default"));
        assert!(!is_host("reviews-v2.default.svc.cluster.local", "reviews", "default"));
    }

    #[test]
    fn a_rule_may_have_more_than_is_wanted_but_not_less() {
        let rule = serde_json::json!({"uri": "/a", "redirectCode": 301});
        assert!(holds(&rule, &serde_json::json!({"uri": "/a"})));
        assert!(holds(&rule, &serde_json::json!({"redirectCode": 301.0})));
        assert!(!holds(&rule, &serde_json::json!({"uri": "/b"})));
        assert!(!holds(&rule, &serde_json::json!({"authority": "x"})));
    }
}
