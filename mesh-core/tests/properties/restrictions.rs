//! A restriction only ever restricts, and nothing else that is taken away lets anybody in.

use mesh_core::Profile;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::cases;
use crate::world::{asked, judge, policy, rule};

fn profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(&[Profile::Safe, Profile::Istio][..])
}

/// The ways to all fields of an object within a rule, as JSON pointers.
fn fields_of_rules(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (n, rule) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        collect(rule, &format!("/rules/{n}"), &mut found);
    }
    found
}

fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{at}/{name}");
                collect(value, &at, found);
                found.push(at);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| collect(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

fn without(spec: &Value, pointer: &str) -> Value {
    let mut spec = spec.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    spec
}

fn is(spec: &Value, action: &str) -> bool {
    spec["action"] == action
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// From right to left: what is added to a rule as a restriction never lets in through `ALLOW` who was kept out, nor
    /// keeps out through `DENY` who was let in.
    #[test]
    fn a_field_of_a_rule_only_ever_makes_it_match_less(
        policies in prop::collection::vec(policy(), 1..4), which in any::<Index>(), field in any::<Index>(),
        asked in asked(), profile in profile(),
    ) {
        let which = which.index(policies.len());
        let fields = fields_of_rules(&policies[which]);
        prop_assume!(!fields.is_empty());
        let pointer = field.get(&fields);
        let mut fewer = policies.clone();
        fewer[which] = without(&policies[which], pointer);
        let (before, after) = (judge(&policies, &asked, profile), judge(&fewer, &asked, profile));
        // Without the attribute that they are for, values restrict nothing: such a rule never lets in.
        let is_restriction = !pointer.ends_with("/key");
        match policies[which]["action"].as_str().unwrap() {
            "ALLOW" if is_restriction => prop_assert!(!before.allowed || after.allowed, "{pointer}"),
            "ALLOW" => prop_assert!(before.allowed || !after.allowed, "{pointer}"),
            "DENY" => prop_assert!(before.allowed || !after.allowed, "{pointer}"),
            "CUSTOM" => prop_assert!(before.unasked || !after.unasked, "{pointer}"),
            _ => prop_assert_eq!(before, after),
        }
        // And nothing reaches over to what the policy is not about.
        if is(&policies[which], "CUSTOM") {
            prop_assert_eq!(before.allowed, after.allowed);
        } else {
            prop_assert_eq!(before.unasked, after.unasked);
        }
    }

    #[test]
    fn a_policy_without_its_rules_lets_nobody_in_and_one_without_its_action_allows(
        policies in prop::collection::vec(policy(), 1..4), which in any::<Index>(), asked in asked(), profile in profile(),
    ) {
        let which = which.index(policies.len());
        let before = judge(&policies, &asked, profile);
        let changed = |pointer: &str| {
            let mut changed = policies.clone();
            changed[which] = without(&policies[which], pointer);
            judge(&changed, &asked, profile)
        };
        if is(&policies[which], "ALLOW") {
            prop_assert!(before.allowed || !changed("/rules").allowed);
            prop_assert_eq!(before, changed("/action"));
        }
        if is(&policies[which], "CUSTOM") {
            // Nobody is known by no name, which denies.
            prop_assert_eq!(before, changed("/provider"));
        }
    }

    #[test]
    fn one_more_rule_or_policy_goes_the_way_of_its_action(
        policies in prop::collection::vec(policy(), 0..3), mut more in policy(), rule in rule(), asked in asked(),
        profile in profile(),
    ) {
        let with = |policy: &Value| judge(&[policies.clone(), vec![policy.clone()]].concat(), &asked, profile);
        let (without, one) = (judge(&policies, &asked, profile), with(&more));
        let is_first = !policies.iter().any(|policy| is(policy, "ALLOW"));
        match more["action"].as_str().unwrap() {
            "ALLOW" if is_first => prop_assert!(without.allowed || !one.allowed),
            "ALLOW" => prop_assert!(!without.allowed || one.allowed),
            "DENY" => prop_assert!(without.allowed || !one.allowed),
            "CUSTOM" => prop_assert!(without.unasked || !one.unasked),
            _ => prop_assert_eq!(without, one),
        }
        more["rules"].as_array_mut().unwrap().push(rule);
        let two = with(&more);
        match more["action"].as_str().unwrap() {
            "ALLOW" => prop_assert!(!one.allowed || two.allowed),
            "DENY" => prop_assert!(one.allowed || !two.allowed),
            "CUSTOM" => prop_assert!(one.unasked || !two.unasked),
            _ => prop_assert_eq!(one, two),
        }
    }

    #[test]
    fn a_safe_mesh_lets_in_a_part_of_what_istio_does(
        policies in prop::collection::vec(policy(), 0..4), asked in asked(),
    ) {
        let (safe, istio) = (judge(&policies, &asked, Profile::Safe), judge(&policies, &asked, Profile::Istio));
        prop_assert!(istio.allowed || !safe.allowed);
        prop_assert!(istio.unasked || !safe.unasked);
    }
}
