//! [`Key`]: what a rule asks to be equal.

use http::HeaderName;

use super::super::condition::{Check, Condition};
use super::super::path::PathMatch;
use super::super::rule::{AllOf, Rule};
use super::super::text::TextMatch;

/// Something that an access has or has not. A false one costs time, a missing one would be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The segments behind `/ns/` and `/sa/` of the caller's identity.
    Account(Box<str>, Box<str>),
    /// A claim, by its way, with this text, or with it in its list.
    Claim(Box<[Box<str>]>, Box<[u8]>),
    /// A value of a header.
    Header(HeaderName, Box<[u8]>),
    /// The authority, in lower case.
    Host(Box<[u8]>),
    /// The segment behind `/ns/` of the caller's identity.
    Namespace(Box<str>),
    /// The path.
    Path(Box<[u8]>),
    /// What the path begins with.
    PathStart(Box<[u8]>),
    /// The caller's identity, without its scheme.
    Principal(Box<[u8]>),
    /// `sub` of the token.
    Subject(Box<[u8]>),
}

/// More of the beginning of a path tells few apart.
const LONGEST_START: usize = 64;

/// The longest host by which rules are told apart; no name in DNS is longer.
pub(super) const LONGEST_HOST: usize = 255;

/// The keys of a condition.
pub(super) type Keys = Vec<Key>;

/// Of each part of a rule its alternatives, and of each of these the keys of its conditions, as far as they have any.
pub(super) fn parts(rule: &Rule) -> [Vec<Vec<Keys>>; 3] {
    let all = |all: &AllOf| all.iter().filter_map(keys).collect();
    [rule.from.iter().map(all).collect(), rule.to.iter().map(all).collect(), vec![all(&rule.when)]]
}

/// The keys of which an access that a rule matches has at least one, and of which there are the fewest by `count`; `None` if
/// it may have none of any.
pub(super) fn rarest<'a>(parts: &'a [Vec<Vec<Keys>>; 3], count: impl Fn(&Key) -> usize) -> Option<Vec<&'a Key>> {
    let cost = |keys: &Keys| keys.iter().map(&count).sum::<usize>();
    let rarest_of = |alternatives: &'a Vec<Vec<Keys>>| {
        // Each alternative has to have some.
        let chosen = alternatives.iter().map(|conditions| conditions.iter().min_by_key(|keys| cost(keys)));
        let chosen: Vec<&Keys> = chosen.collect::<Option<_>>().filter(|chosen: &Vec<_>| !chosen.is_empty())?;
        Some((chosen.iter().map(|keys| cost(keys)).sum::<usize>(), chosen))
    };
    let (_, chosen) = parts.iter().filter_map(rarest_of).min_by_key(|(cost, _)| *cost)?;
    Some(chosen.into_iter().flatten().collect())
}

/// The keys of which an access has one if the condition holds; `None` if it may also hold otherwise.
fn keys(condition: &Condition) -> Option<Keys> {
    if condition.negated {
        return None;
    }
    match &condition.check {
        Check::Claim(way, texts) => {
            texts.iter().map(|text| Some(Key::Claim(way.clone(), text.exact()?.into()))).collect()
        }
        Check::Header(header) => {
            let (name, values) = header.exact()?;
            Some(values.into_iter().map(|value| Key::Header(name.clone(), value.into())).collect())
        }
        Check::Host(texts) => texts.iter().map(host).collect(),
        Check::Path(paths) => paths.iter().map(path).collect(),
        Check::RequestPrincipal(principals) => {
            principals.iter().map(|principal| Some(Key::Subject(principal.exact_subject()?.into()))).collect()
        }
        Check::SourceAccount(accounts) => accounts
            .iter()
            .map(|account| account.exact().map(|(namespace, account)| Key::Account(namespace.into(), account.into())))
            .collect(),
        Check::SourceNamespace(namespaces) => {
            namespaces.iter().map(|namespace| Some(Key::Namespace(namespace.exact()?.into()))).collect()
        }
        Check::SourcePrincipal(principals) => {
            principals.iter().map(|principal| Some(Key::Principal(principal.exact()?.into()))).collect()
        }
        Check::DestinationIp(_)
        | Check::Method(_)
        | Check::Port(_)
        | Check::RemoteIp(_)
        | Check::ServerName(_)
        | Check::SourceIp(_)
        | Check::SourceTrustDomain(_)
        | Check::Nothing => None,
    }
}

fn host(text: &TextMatch) -> Option<Key> {
    let exact = text.exact().filter(|host| host.len() <= LONGEST_HOST)?;
    Some(Key::Host(exact.to_ascii_lowercase().into()))
}

fn path(path: &PathMatch) -> Option<Key> {
    let start = match path {
        PathMatch::Text(TextMatch::Exact(exact)) => return Some(Key::Path(exact.clone())),
        PathMatch::Text(TextMatch::Prefix(prefix)) => prefix,
        PathMatch::Template(start, _) => start.as_bytes(),
        PathMatch::Text(TextMatch::Present | TextMatch::Suffix(_)) => return None,
    };
    let start = &start[..start.len().min(LONGEST_START)];
    (!start.is_empty()).then(|| Key::PathStart(start.into()))
}
