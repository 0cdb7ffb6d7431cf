//! Objects of which the cluster itself says that something about them is wrong.

use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Object, Typed};
use crate::validate::{At, Checker};

/// `IST0171`.
pub(super) struct Conditions;

impl Analyzer for Conditions {
    fn name(&self) -> &'static str {
        "conditions.ConditionAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::NEGATIVE_CONDITION]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        context.set.services().for_each(|service| check(out, service));
        context.set.service_entries().for_each(|entry| check(out, entry));
        context.set.authorization_policies().for_each(|policy| check(out, policy));
    }
}

fn check<T: Typed>(out: &mut Report, object: &Object<T>) {
    let cx = &mut Checker::new(T::KIND, &object.meta, &object.origin, out);
    for (index, condition) in object.status.conditions.iter().enumerate() {
        if condition.status == "False" {
            let message = format!(
                "A condition with a negative status is present: type={}, reason={}, message={}.",
                condition.kind, condition.reason, condition.message
            );
            let finding = Diagnostic::warning(Code::NEGATIVE_CONDITION, message)
                .effect("the controller that wrote the condition does not act on the object");
            cx.push(&At::top("status").field("conditions").index(index), finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    #[test]
    fn what_the_cluster_says_against_an_object_is_passed_on() {
        let entry = |conditions: &str| {
            let text = format!(
                "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: e, namespace: a}}, \
                 status: {{conditions: [{conditions}]}}}}"
            );
            found(&Conditions, &text)
        };
        assert_eq!(
            entry("{type: A, status: 'True'}, {type: B, status: 'False', reason: Why}"),
            ["IST0171 ServiceEntry a/e status.conditions[1]"]
        );
        assert_eq!(entry("{type: A, status: Unknown}"), [""; 0]);
        let service = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, \
                       status: {conditions: [{type: A, status: 'False'}]}}";
        assert_eq!(found(&Conditions, service), ["IST0171 Service a/s status.conditions[0]"]);
    }
}
