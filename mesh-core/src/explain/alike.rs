//! Whether two routes, of two snapshots, do the same whatever the request.

use crate::route::{Action, ClusterRef, Forward, Mirror, Route, Split};
use crate::snapshot::Snapshot;

/// Whether a route of a snapshot does to every request what a route of another one does.
///
/// A no may be wrong: then their answers are compared one by one, which takes longer.
pub(super) fn alike((old, was): (&Snapshot, &Route), (new, is): (&Snapshot, &Route)) -> bool {
    let clusters = Clusters { old, new };
    // What holds regular expressions and templates does not compare; it prints all of itself.
    let printed = |route: &Route| format!("{:?} {:?} {:?}", route.cors, route.request_headers, route.response_headers);
    (was.timeout, was.fault, was.carried) == (is.timeout, is.fault, is.carried)
        && was.retry == is.retry
        && was.hash == is.hash
        && printed(was) == printed(is)
        && clusters.same_mirrors(&was.mirrors, &is.mirrors)
        && match (&was.action, &is.action) {
            (Action::Blocked, Action::Blocked) | (Action::Passthrough(_), Action::Passthrough(_)) => true,
            (Action::DirectResponse(one), Action::DirectResponse(other)) => one == other,
            (Action::Redirect(one), Action::Redirect(other)) => format!("{one:?}") == format!("{other:?}"),
            (Action::Forward(one), Action::Forward(other)) => clusters.same_forward(one, other),
            _ => false,
        }
}

struct Clusters<'s> {
    old: &'s Snapshot,
    new: &'s Snapshot,
}

impl Clusters<'_> {
    fn same(&self, one: &ClusterRef, other: &ClusterRef) -> bool {
        one.name == other.name && one.id.map(|id| self.old.cluster(id)) == other.id.map(|id| self.new.cluster(id))
    }

    fn same_mirrors(&self, one: &[Mirror], other: &[Mirror]) -> bool {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| one.share == other.share && self.same(&one.cluster, &other.cluster))
    }

    fn same_forward(&self, one: &Forward, other: &Forward) -> bool {
        format!("{:?}", one.rewrite) == format!("{:?}", other.rewrite) && self.same_split(&one.split, &other.split)
    }

    fn same_split(&self, one: &Split, other: &Split) -> bool {
        one.iter().len() == other.iter().len()
            && one.iter().zip(other.iter()).all(|(one, other)| {
                one.weight == other.weight
                    && one.authority == other.authority
                    && self.same(&one.cluster, &other.cluster)
                    && format!("{:?} {:?}", one.request_headers, one.response_headers)
                        == format!("{:?} {:?}", other.request_headers, other.response_headers)
            })
    }
}
