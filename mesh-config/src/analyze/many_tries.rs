//! Retries that multiply the load of a destination in trouble.

use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `MESH0411`: more attempts than make sense for anything.
pub(super) struct ManyTries;

/// What nobody's patience outlasts. The default is 2.
const MOST: i32 = 20;

impl Analyzer for ManyTries {
    fn name(&self) -> &'static str {
        "mesh.ManyTries"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::MANY_TRIES]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        for object in set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &object.meta, &object.origin, out);
            let spec = At::top("spec");
            for (index, route) in object.spec.http.iter().enumerate() {
                let attempts = route.retries.as_ref().map_or(0, |retries| retries.attempts);
                if attempts <= MOST {
                    continue;
                }
                let finding = Diagnostic::warning(Code::MANY_TRIES, format!("one request may become {attempts} more"))
                    .effect(
                        "each caller multiplies the load of a destination in trouble, until its timeout or budget ends",
                    )
                    .help("2 or 3 attempts mend what retries can mend");
                cx.push(&spec.field("http").index(index).field("retries").field("attempts"), finding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_too_much_is_reported() {
        for (attempts, expected) in [(3, 0), (20, 0), (21, 1), (i32::MAX, 1)] {
            let text = format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: x}}\nspec:\n  hosts: [x]\n  http:\n  \
                 - retries: {{attempts: {attempts}}}\n    route: [{{destination: {{host: x}}}}]\n"
            );
            let (documents, _) = crate::parse("f", &text);
            let report = crate::ConfigSet::from_documents(documents).0.analyze();
            let found: Vec<_> = report.iter().filter(|finding| finding.code == Code::MANY_TRIES).collect();
            assert_eq!(found.len(), expected, "{attempts}");
            assert!(found.iter().all(|finding| finding.origin.line == 7));
        }
    }
}
