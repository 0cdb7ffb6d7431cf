//! The tree over paths: a radix tree, ASCII letters folded to lower case.

use super::First;
use super::bucket::Bucket;
use super::literal;
use crate::route::Route;
use crate::route::condition::{Condition, PathCondition};

#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The root is the first.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// What a path has to go on with to get here from the parent.
    label: Box<[u8]>,
    /// By the first byte of their labels, ascending.
    children: Vec<(u8, usize)>,
    /// Routes that take paths which begin with the way to this node, or may.
    below: Bucket,
    /// Routes that take the path that ends at this node.
    here: Bucket,
}

impl Tree {
    pub(super) fn build(routes: &[Route]) -> Self {
        let mut draft = Draft { nodes: vec![DraftNode::default()] };
        for (index, route) in (0..).zip(routes) {
            match path_of(route) {
                Some(PathCondition::Exact { path, .. }) => draft.at(path).here.push(index),
                Some(PathCondition::Prefix { prefix, .. }) => draft.at(prefix).below.push(index),
                Some(PathCondition::Regex { pattern, .. }) => draft.at(&literal::prefix(pattern)).below.push(index),
                None => draft.at("").below.push(index),
            }
        }
        let nodes = draft.nodes.into_iter().map(|node| Node {
            label: node.label.into(),
            children: node.children,
            below: Bucket::build(routes, node.below),
            here: Bucket::build(routes, node.here),
        });
        Self { nodes: nodes.collect() }
    }

    /// Shows every route to `first` whose path condition can hold.
    pub(super) fn visit(&self, first: &mut First<'_>) {
        let Some(mut node) = self.nodes.first() else {
            return;
        };
        let mut rest = first.req.path.as_bytes();
        loop {
            node.below.visit(first);
            let Some(next) = rest.first() else {
                node.here.visit(first);
                return;
            };
            let next = next.to_ascii_lowercase();
            let Ok(child) = node.children.binary_search_by_key(&next, |(byte, _)| *byte) else {
                return;
            };
            node = &self.nodes[node.children[child].1];
            match rest.split_at_checked(node.label.len()) {
                Some((start, behind)) if start.eq_ignore_ascii_case(&node.label) => rest = behind,
                _ => return,
            }
        }
    }
}

fn path_of(route: &Route) -> Option<&PathCondition> {
    route.conditions.iter().find_map(|condition| match condition {
        Condition::Path(path) => Some(path),
        _ => None,
    })
}

/// The tree while routes are put in.
struct Draft {
    nodes: Vec<DraftNode>,
}

#[derive(Default)]
struct DraftNode {
    label: Vec<u8>,
    children: Vec<(u8, usize)>,
    below: Vec<u32>,
    here: Vec<u32>,
}

impl Draft {
    /// The node at the end of a text, made if it is not there.
    fn at(&mut self, text: &str) -> &mut DraftNode {
        let text = text.to_ascii_lowercase();
        let mut rest = text.as_bytes();
        let mut node = 0;
        while let Some(next) = rest.first() {
            match self.nodes[node].children.binary_search_by_key(next, |(byte, _)| *byte) {
                Ok(child) => {
                    let child = self.nodes[node].children[child].1;
                    let shared = shared_length(&self.nodes[child].label, rest);
                    self.split(child, shared);
                    rest = &rest[shared..];
                    node = child;
                }
                Err(place) => {
                    let leaf = self.nodes.len();
                    self.nodes.push(DraftNode { label: rest.to_vec(), ..DraftNode::default() });
                    self.nodes[node].children.insert(place, (*next, leaf));
                    node = leaf;
                    break;
                }
            }
        }
        &mut self.nodes[node]
    }

    /// Cuts a node's label to `length` and puts what it was behind the cut into a node below it.
    fn split(&mut self, node: usize, length: usize) {
        let lower = self.nodes.len();
        let upper = &mut self.nodes[node];
        if length == upper.label.len() {
            return;
        }
        let label = upper.label.split_off(length);
        let children = vec![(label[0], lower)];
        let below = DraftNode {
            label,
            children: std::mem::replace(&mut upper.children, children),
            below: std::mem::take(&mut upper.below),
            here: std::mem::take(&mut upper.here),
        };
        self.nodes.push(below);
    }
}

fn shared_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
