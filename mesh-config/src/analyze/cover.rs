//! Whether one match takes every request that another one takes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::api::virtual_service::HttpMatchRequest;
use crate::value::{StringMatch, labels};

/// Whether `earlier` holds wherever `later` does.
///
/// Conditions are compared one by one, so that the answer may be no where several conditions together would say yes; a yes
/// is certain. Regexes are not looked into: one covers what is written alike, and `.*` covers everything.
pub(super) fn covers(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    uri_covers(earlier, later)
        && part_covers(earlier.method.as_ref(), later.method.as_ref())
        && part_covers(earlier.scheme.as_ref(), later.scheme.as_ref())
        && part_covers(earlier.authority.as_ref(), later.authority.as_ref())
        && origin_covers(earlier, later)
        && headers_cover(&earlier.headers, &later.headers)
        && without_covers(&earlier.without_headers, &later.without_headers)
        && earlier
            .query_params
            .iter()
            .all(|(name, value)| later.query_params.get(name).is_some_and(|later| value_covers(value, later)))
}

/// The conditions that are tested when the routes of a workload are made: where a request comes in and from.
fn origin_covers(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    if earlier.port != 0 && earlier.port != later.port {
        return false;
    }
    if !earlier.gateways.is_empty() {
        let all = |gateway: &String| earlier.gateways.contains(gateway);
        return !later.gateways.is_empty() && later.gateways.iter().all(all);
    }
    // Beside `gateways` the labels and the namespace of the caller do not count.
    let is_open = earlier.source_labels.is_empty() && earlier.source_namespace.is_empty();
    is_open
        || (later.gateways.is_empty()
            && labels::subset_of(&earlier.source_labels, &later.source_labels)
            && (earlier.source_namespace.is_empty() || earlier.source_namespace == later.source_namespace))
}

/// Whether the path may be anything. Every path begins with a slash.
pub(super) fn takes_every_path(matches: &HttpMatchRequest) -> bool {
    match &matches.uri {
        None | Some(StringMatch::Presence) => true,
        Some(StringMatch::Prefix(prefix)) => prefix.is_empty() || prefix == "/",
        Some(StringMatch::Regex(regex)) => regex == ".*" || regex == "/.*",
        Some(StringMatch::Exact(_)) => false,
    }
}

fn uri_covers(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    if takes_every_path(earlier) {
        return true;
    }
    let (Some(wide), Some(narrow)) = (&earlier.uri, &later.uri) else { return false };
    match (wide, narrow) {
        (StringMatch::Regex(wide), StringMatch::Regex(narrow)) => wide == narrow,
        (StringMatch::Exact(wide), StringMatch::Exact(narrow)) => {
            case_fits(earlier, later, wide) && fold(earlier, wide) == fold(earlier, narrow)
        }
        (StringMatch::Prefix(wide), StringMatch::Exact(narrow) | StringMatch::Prefix(narrow)) => {
            case_fits(earlier, later, wide) && fold(earlier, narrow).starts_with(&*fold(earlier, wide))
        }
        _ => false,
    }
}

/// A text that is compared by case does not cover one that is not, unless it has no letters.
fn case_fits(earlier: &HttpMatchRequest, later: &HttpMatchRequest, text: &str) -> bool {
    earlier.ignore_uri_case || !later.ignore_uri_case || !text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn fold<'t>(earlier: &HttpMatchRequest, text: &'t str) -> Cow<'t, str> {
    if earlier.ignore_uri_case { text.to_ascii_lowercase().into() } else { text.into() }
}

/// For what every request has: method, scheme, authority.
fn part_covers(earlier: Option<&StringMatch>, later: Option<&StringMatch>) -> bool {
    match (earlier, later) {
        (None | Some(StringMatch::Presence), _) => true,
        (Some(earlier), Some(later)) => value_covers(earlier, later),
        (Some(_), None) => false,
    }
}

/// Whether every value that `later` takes is one that `earlier` takes.
fn value_covers(earlier: &StringMatch, later: &StringMatch) -> bool {
    match (earlier, later) {
        (StringMatch::Presence, _) => true,
        (StringMatch::Regex(earlier), _) if earlier == ".*" || earlier == "*" => true,
        (StringMatch::Regex(earlier), StringMatch::Regex(later)) => earlier == later,
        (StringMatch::Exact(earlier), StringMatch::Exact(later)) => earlier == later,
        (StringMatch::Prefix(earlier), StringMatch::Exact(later) | StringMatch::Prefix(later)) => {
            later.starts_with(earlier.as_str())
        }
        _ => false,
    }
}

type Values = BTreeMap<String, StringMatch>;

fn by_name<'v>(values: &'v Values, name: &str) -> impl Iterator<Item = &'v StringMatch> {
    values.iter().filter(move |(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn headers_cover(earlier: &Values, later: &Values) -> bool {
    earlier.iter().all(|(name, value)| by_name(later, name).any(|later| value_covers(value, later)))
}

/// What `earlier` keeps out, `later` has to keep out too. A header that is absent counts as an empty one.
fn without_covers(earlier: &Values, later: &Values) -> bool {
    let keeps_out = |wide: &StringMatch, narrow: &StringMatch| match (wide, narrow) {
        (StringMatch::Presence, StringMatch::Regex(_)) => false,
        (StringMatch::Presence, StringMatch::Exact(text)) => !text.is_empty(),
        (StringMatch::Regex(wide), StringMatch::Regex(narrow)) => wide == narrow,
        (StringMatch::Regex(_), _) | (_, StringMatch::Presence) => wide == narrow,
        _ => value_covers(wide, narrow),
    };
    earlier.iter().all(|(name, value)| by_name(later, name).any(|later| keeps_out(later, value)))
}

/// Matches in the order in which they are tried, so that those that could cover a later one are found without looking at
/// all.
///
/// Each is kept under its narrowest condition. Of matches that share one, the first [`MOST`] are looked at.
pub(super) struct Earlier<'a, T> {
    by_key: HashMap<Key<'a>, Vec<(&'a HttpMatchRequest, T)>>,
    /// How long the prefixes are that something is kept under, so that of a long path few are looked up.
    lengths: BTreeSet<usize>,
}

/// How many matches with the same narrowest condition are compared with a later one. Some limit has to be, since each pair
/// of so many rules would take a minute.
const MOST: usize = 64;

/// How many lengths of prefixes are looked up for a path, the shortest first; longer ones are not examined.
const MOST_LENGTHS: usize = 256;

#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Path(Cow<'a, str>),
    PathBelow(Cow<'a, str>),
    PathRegex(&'a str),
    Header(String, &'a str),
    Query(&'a str, &'a str),
    Anything,
}

impl<'a, T: Copy + Ord> Earlier<'a, T> {
    pub(super) fn new() -> Self {
        Self { by_key: HashMap::new(), lengths: BTreeSet::new() }
    }

    /// Adds the next match.
    pub(super) fn push(&mut self, matches: &'a HttpMatchRequest, what: T) {
        let key = narrowest(matches);
        if let Key::PathBelow(prefix) = &key {
            self.lengths.insert(prefix.len());
        }
        let list = self.by_key.entry(key).or_default();
        if list.len() < MOST {
            list.push((matches, what));
        }
    }

    /// The first match so far that covers this one and is accepted.
    pub(super) fn covering(
        &self,
        later: &HttpMatchRequest,
        accept: impl Fn(&HttpMatchRequest, T) -> bool,
    ) -> Option<(&'a HttpMatchRequest, T)> {
        let mut found: Option<(&'a HttpMatchRequest, T)> = None;
        let mut look_up = |key: Key<'_>| {
            let list = self.by_key.get(&key).into_iter().flatten();
            let mut hits = list.filter(|(earlier, what)| covers(earlier, later) && accept(earlier, *what));
            if let Some(hit) = hits.next()
                && found.is_none_or(|best| hit.1 < best.1)
            {
                found = Some(*hit);
            }
        };
        look_up(Key::Anything);
        match &later.uri {
            Some(StringMatch::Exact(path)) => {
                look_up(Key::Path(path.to_ascii_lowercase().into()));
                self.prefixes(path, &mut look_up);
            }
            Some(StringMatch::Prefix(path)) => self.prefixes(path, &mut look_up),
            Some(StringMatch::Regex(regex)) => look_up(Key::PathRegex(regex)),
            Some(StringMatch::Presence) | None => {}
        }
        for (name, value) in &later.headers {
            if let StringMatch::Exact(value) = value {
                look_up(Key::Header(name.to_ascii_lowercase(), value));
            }
        }
        for (name, value) in &later.query_params {
            if let StringMatch::Exact(value) = value {
                look_up(Key::Query(name, value));
            }
        }
        found
    }

    fn prefixes(&self, path: &str, look_up: &mut impl FnMut(Key<'_>)) {
        let folded = path.to_ascii_lowercase();
        for prefix in self.lengths.range(..=folded.len()).take(MOST_LENGTHS).filter_map(|length| folded.get(..*length))
        {
            look_up(Key::PathBelow(Cow::Borrowed(prefix)));
        }
    }
}

fn narrowest(matches: &HttpMatchRequest) -> Key<'_> {
    if let Some(StringMatch::Exact(path)) = &matches.uri {
        return Key::Path(path.to_ascii_lowercase().into());
    }
    for (name, value) in &matches.headers {
        if let StringMatch::Exact(value) = value {
            return Key::Header(name.to_ascii_lowercase(), value);
        }
    }
    for (name, value) in &matches.query_params {
        if let StringMatch::Exact(value) = value {
            return Key::Query(name, value);
        }
    }
    match &matches.uri {
        _ if takes_every_path(matches) => Key::Anything,
        Some(StringMatch::Prefix(prefix)) => Key::PathBelow(prefix.to_ascii_lowercase().into()),
        Some(StringMatch::Regex(regex)) => Key::PathRegex(regex),
        _ => Key::Anything,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(yaml: &str) -> HttpMatchRequest {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn check(earlier: &str, later: &str) -> bool {
        let (earlier, later) = (request(earlier), request(later));
        let mut index = Earlier::new();
        index.push(&earlier, 0);
        let is_covered = covers(&earlier, &later);
        assert_eq!(index.covering(&later, |_, _| true).is_some(), is_covered, "{earlier:?} {later:?}");
        is_covered
    }

    fn any_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
        proptest::sample::select(texts).prop_map(str::to_owned)
    }

    /// Matches of few words, so that many of them cover another.
    fn any_match() -> impl Strategy<Value = String> {
        let uri = any_of(&[
            "",
            "uri: {exact: /a}",
            "uri: {exact: /A}",
            "uri: {exact: /a/b}",
            "uri: {exact: /é}",
            "uri: {prefix: /}",
            "uri: {prefix: ''}",
            "uri: {prefix: /a}",
            "uri: {prefix: /A/}",
            "uri: {prefix: /a/b}",
            "uri: {prefix: /é}",
            "uri: {regex: .*}",
            "uri: {regex: /a+}",
        ]);
        let further = any_of(&[
            "",
            "",
            "ignoreUriCase: true",
            "headers: {x: {exact: a}}",
            "headers: {X: {exact: a}, y: {exact: b}}",
            "headers: {x: {prefix: a}}",
            "queryParams: {q: {exact: a}}",
            "queryParams: {q: {exact: a}}, headers: {x: {exact: a}}",
            "withoutHeaders: {x: {exact: a}}",
            "method: {exact: GET}",
            "port: 80",
        ]);
        (uri, further).prop_map(|(uri, further)| {
            let comma = if uri.is_empty() || further.is_empty() { "" } else { ", " };
            format!("{{{uri}{comma}{further}}}")
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_comparing_with_each_finds(texts in proptest::collection::vec(any_match(), 1..24)) {
            let all: Vec<_> = texts.iter().map(|text| request(text)).collect();
            let mut index = Earlier::new();
            for (number, later) in all.iter().enumerate() {
                for odd_only in [false, true] {
                    let accept = |number: usize| !odd_only || number % 2 == 1;
                    let naive = (0..number).find(|earlier| covers(&all[*earlier], later) && accept(*earlier));
                    let found = index.covering(later, |_, number| accept(number)).map(|(_, number)| number);
                    prop_assert_eq!(found, naive);
                }
                index.push(later, number);
            }
        }
    }

    #[test]
    fn a_prefix_covers_what_begins_with_it() {
        assert!(check("{uri: {prefix: /a}}", "{uri: {exact: /a}}"));
        assert!(check("{uri: {prefix: /a}}", "{uri: {exact: /ab}}"));
        assert!(check("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}, headers: {x: {exact: y}}}"));
        assert!(!check("{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}"));
        assert!(!check("{uri: {exact: /a}}", "{uri: {prefix: /a}}"));
        assert!(!check("{uri: {prefix: /a}}", "{uri: {regex: /a.*}}"));
        assert!(!check("{uri: {prefix: /a}}", "{headers: {x: {exact: y}}}"));
    }

    #[test]
    fn what_takes_every_path_covers_every_uri() {
        for every in ["{}", "{uri: {prefix: /}}", "{uri: {prefix: ''}}", "{uri: {regex: .*}}", "{uri: {regex: /.*}}"] {
            for later in ["{}", "{uri: {exact: /a}}", "{uri: {regex: /a+}}", "{headers: {x: {}}}"] {
                assert!(check(every, later), "{every} {later}");
            }
        }
    }

    #[test]
    fn case_counts_unless_the_wider_one_ignores_it() {
        assert!(check("{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {prefix: /ab}}"));
        assert!(check("{uri: {exact: /A}, ignoreUriCase: true}", "{uri: {exact: /a}}"));
        assert!(!check("{uri: {prefix: /a}}", "{uri: {prefix: /AB}}"));
        assert!(!check("{uri: {prefix: /a}}", "{uri: {prefix: /ab}, ignoreUriCase: true}"));
        assert!(check("{uri: {prefix: /1}}", "{uri: {prefix: /12}, ignoreUriCase: true}"));
    }

    #[test]
    fn a_header_has_to_be_asked_for_as_narrowly() {
        assert!(check("{headers: {x: {}}}", "{headers: {X: {exact: a}, y: {exact: b}}}"));
        assert!(check("{headers: {x: {exact: a}}}", "{headers: {x: {exact: a}, y: {exact: b}}}"));
        assert!(check("{headers: {x: {prefix: a}}}", "{headers: {x: {exact: ab}}}"));
        assert!(!check("{headers: {x: {exact: a}, y: {exact: b}}}", "{headers: {x: {exact: a}}}"));
        assert!(!check("{headers: {x: {regex: a+}}}", "{headers: {x: {exact: aa}}}"));
        assert!(check("{headers: {x: {regex: a+}}}", "{headers: {x: {regex: a+}}}"));
    }

    #[test]
    fn what_is_kept_out_has_to_be_kept_out_later_too() {
        assert!(check("{withoutHeaders: {x: {exact: a}}}", "{withoutHeaders: {x: {prefix: a}}}"));
        assert!(check("{withoutHeaders: {x: {exact: a}}}", "{withoutHeaders: {x: {}}}"));
        assert!(!check("{withoutHeaders: {x: {exact: ''}}}", "{withoutHeaders: {x: {}}}"));
        assert!(!check("{withoutHeaders: {x: {}}}", "{withoutHeaders: {x: {exact: a}}}"));
        assert!(!check("{withoutHeaders: {x: {exact: a}}}", "{}"));
        assert!(check("{}", "{withoutHeaders: {x: {exact: a}}}"));
    }

    #[test]
    fn method_query_and_scheme_count() {
        assert!(check("{method: {exact: GET}}", "{method: {exact: GET}, uri: {exact: /a}}"));
        assert!(!check("{method: {exact: GET}}", "{uri: {exact: /a}}"));
        assert!(check("{queryParams: {q: {exact: a}}}", "{queryParams: {q: {exact: a}, r: {exact: b}}}"));
        assert!(!check("{queryParams: {q: {exact: a}}}", "{queryParams: {Q: {exact: a}}}"));
        assert!(check("{scheme: {prefix: http}}", "{scheme: {exact: https}}"));
    }

    #[test]
    fn callers_and_gateways_count() {
        assert!(check("{sourceLabels: {a: b}}", "{sourceLabels: {a: b, c: d}}"));
        assert!(!check("{sourceLabels: {a: b}}", "{}"));
        assert!(!check("{sourceLabels: {a: b}}", "{sourceLabels: {a: b}, gateways: [mesh]}"));
        assert!(check("{gateways: [mesh, g]}", "{gateways: [g], sourceNamespace: n}"));
        assert!(!check("{gateways: [g]}", "{}"));
        assert!(check("{sourceNamespace: n}", "{sourceNamespace: n, port: 80}"));
        assert!(!check("{port: 80}", "{port: 81}"));
    }
}
