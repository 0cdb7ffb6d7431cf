//! What a cluster reports about an object.

use crate::locate::{NodeId, Tree};

/// The parts of `status` that findings look at.
///
/// It is the cluster's text, not the user's: what does not fit is passed over, and is no finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What was found out about the object.
    pub conditions: Vec<Condition>,
    /// Addresses that were assigned to a `ServiceEntry` without any.
    pub addresses: Vec<String>,
}

/// One thing that was found out about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// What it is about.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

impl Status {
    pub(crate) fn read(tree: &Tree) -> Self {
        let Some(status) = tree.root().and_then(|root| tree.get(root, "status")) else { return Self::default() };
        let list = |name: &str| tree.get(status, name).map_or(&[][..], |id| tree.elements(id));
        let text = |id: NodeId, name: &str| {
            tree.get(id, name).and_then(|value| tree.scalar(value)).unwrap_or_default().to_owned()
        };
        let condition = |id: &NodeId| Condition {
            kind: text(*id, "type"),
            status: text(*id, "status"),
            reason: text(*id, "reason"),
            message: text(*id, "message"),
        };
        Self {
            conditions: list("conditions").iter().map(condition).collect(),
            addresses: list("addresses").iter().map(|id| text(*id, "value")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_another_form_is_passed_over() {
        for text in
            ["{}", "status:", "status: [1]", "status: {conditions: 1, addresses: {a: b}}", "status: {conditions: []}"]
        {
            assert_eq!(Status::read(&Tree::parse(text).unwrap()), Status::default(), "{text}");
        }
        let strange = Status::read(&Tree::parse("status: {conditions: [1, {type: [2]}]}").unwrap());
        assert_eq!(strange.conditions, [Condition::default(), Condition::default()]);
    }

    #[test]
    fn conditions_and_addresses_are_read() {
        let text = "status:\n  conditions:\n  - {type: Ready, status: \"False\", reason: Why, message: m}\n  addresses: [{value: 240.240.0.1, host: a}]\n";
        let status = Status::read(&Tree::parse(text).unwrap());
        assert_eq!(status.addresses, ["240.240.0.1"]);
        let [condition] = status.conditions.as_slice() else { panic!("one condition: {status:?}") };
        assert_eq!(
            (condition.kind.as_str(), condition.status.as_str(), condition.reason.as_str()),
            ("Ready", "False", "Why")
        );
    }
}
