//! What is compared: a service under a policy and a rule, and the requests that are made to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::script::Act;
use crate::upstream::Script;

/// The port of every endpoint.
const PORT: u16 = 8080;

/// Cases of a network of addresses.
const CASES: u16 = 16;

/// A service, what applies to it, and what it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Tells its addresses and its host from those of others.
    pub(crate) number: u16,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Whether the endpoints are called over HTTP/2.
    pub(crate) http2: bool,
    /// A DestinationRule's `trafficPolicy`.
    pub(crate) policy: Value,
    /// The fields of a VirtualService's HTTP rule; where it has no `route` and no answer of its own, all goes to the service.
    pub(crate) rule: Value,
    pub(crate) steps: Vec<Step>,
}

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    /// From 1 on.
    pub(crate) number: u8,
    /// Nobody listens there.
    pub(crate) is_closed: bool,
    /// It is in another region than the caller.
    pub(crate) is_far: bool,
    pub(crate) weight: Option<u32>,
    /// Its subset.
    pub(crate) version: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Wait(Duration),
    Ask(Box<Ask>),
}

/// One request, or several of the same.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) name: String,
    /// As recordings have it.
    pub(crate) request: Value,
    acts: Vec<Act>,
    at: BTreeMap<u8, Vec<Act>>,
    pub(crate) times: usize,
    pub(crate) at_once: usize,
    pub(crate) stagger: Duration,
    key: Option<Key>,
    /// The statuses and flags that have to be seen at both, so that two who are wrong alike are found out.
    pub(crate) shows: Vec<&'static str>,
    pub(crate) outcomes: Outcomes,
    pub(crate) endpoints: Endpoints,
    /// How long a request takes.
    pub(crate) lasts: Option<Duration>,
    /// Whether requests take as long on average.
    pub(crate) alike_in_time: bool,
}

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Cookie(&'static str),
    Header(&'static str),
    Query(&'static str),
}

/// How alike the numbers of outcomes have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcomes {
    Exact,
    /// The same statuses and flags, after however many tries.
    Answers,
    /// Within what chance does.
    Shares,
    /// The same outcomes, however often.
    Kinds,
}

/// How alike the choice of endpoints has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoints {
    /// The same numbers, each at whatever endpoint.
    Alike,
    Any,
    /// Each request the same ones, in the same order.
    Same,
    /// Within what chance does.
    Shares,
    /// Those that get any are the same.
    Used,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number: 0,
            endpoints: Vec::new(),
            http2: false,
            policy: json!({"loadBalancer": {"simple": "ROUND_ROBIN"}}),
            rule: json!({}),
            steps: Vec::new(),
        }
        .endpoints(1)
    }

    pub(crate) fn host(&self) -> String {
        format!("case-{}.test", self.number)
    }

    /// The last two parts of an endpoint's address: sixteen cases share a network.
    fn place(&self, endpoint: u8) -> (u8, u8) {
        let (network, case) = (self.number / CASES, self.number % CASES);
        (u8::try_from(network + 1).unwrap(), u8::try_from(case).unwrap() * 16 + endpoint)
    }

    /// As recordings would name it.
    pub(crate) fn address(&self, endpoint: u8) -> String {
        let (third, fourth) = self.place(endpoint);
        format!("10.0.{third}.{fourth}")
    }

    pub(crate) fn open_endpoints(&self) -> impl Iterator<Item = ((u8, u8), u16)> {
        let open = self.endpoints.iter().filter(|endpoint| !endpoint.is_closed);
        open.map(|endpoint| (self.place(endpoint.number), PORT))
    }

    pub(crate) fn requests(&self) -> usize {
        let times = |step: &Step| if let Step::Ask(ask) = step { ask.times } else { 0 };
        self.steps.iter().map(times).sum()
    }

    pub(crate) fn endpoints(mut self, count: u8) -> Self {
        assert!(count < 16, "addresses have place for that many");
        self.endpoints = (1..=count).map(|number| Endpoint { number, ..Endpoint::default() }).collect();
        self
    }

    /// Nobody listens at any endpoint.
    pub(crate) fn closed(mut self) -> Self {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.is_closed = true);
        self
    }

    /// The endpoints from this one on are in another region.
    pub(crate) fn far_from(mut self, number: u8) -> Self {
        self.endpoints.iter_mut().filter(|endpoint| endpoint.number >= number).for_each(|far| far.is_far = true);
        self
    }

    /// Nobody listens but at this one.
    pub(crate) fn closed_but(mut self, number: u8) -> Self {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.is_closed = endpoint.number != number);
        self
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    pub(crate) fn weights(mut self, weights: &[u32]) -> Self {
        self.endpoints.iter_mut().zip(weights).for_each(|(endpoint, weight)| endpoint.weight = Some(*weight));
        self
    }

    pub(crate) fn versions(mut self, versions: &[&'static str]) -> Self {
        self.endpoints.iter_mut().zip(versions).for_each(|(endpoint, version)| endpoint.version = Some(version));
        self
    }

    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) fn policy(mut self, policy: Value) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn rule(mut self, rule: Value) -> Self {
        self.rule = rule;
        self
    }

    pub(crate) fn wait(mut self, milliseconds: u64) -> Self {
        self.steps.push(Step::Wait(Duration::from_millis(milliseconds)));
        self
    }

    pub(crate) fn ask(mut self, ask: Ask) -> Self {
        self.steps.push(Step::Ask(Box::new(ask)));
        self
    }

    pub(crate) fn ask_all(self, asks: impl IntoIterator<Item = Ask>) -> Self {
        asks.into_iter().fold(self, Self::ask)
    }

    pub(crate) fn port() -> u16 {
        PORT
    }
}

/// A request that gets these answers, the last one for all tries that follow.
pub(crate) fn ask(upstream: &[&str]) -> Ask {
    Ask {
        name: upstream.join(" then "),
        request: json!({"port": 80}),
        acts: upstream.iter().map(|entry| Act::parse(entry)).collect(),
        at: BTreeMap::new(),
        times: 1,
        at_once: 1,
        stagger: Duration::ZERO,
        key: None,
        shows: Vec::new(),
        outcomes: Outcomes::Exact,
        endpoints: Endpoints::Alike,
        lasts: None,
        alike_in_time: false,
    }
}

impl Ask {
    /// A field of a recorded step: `method`, `path`, `headers`, `body`, `http`, `grpc`, `authority`.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.name = format!("{} {field} {value}", self.name);
        self.request[field] = value;
        self
    }

    pub(crate) fn grpc(self) -> Self {
        self.with("grpc", true)
    }

    /// What one endpoint does, whatever the others do.
    pub(crate) fn at(mut self, endpoint: u8, upstream: &[&str]) -> Self {
        self.at.insert(endpoint, upstream.iter().map(|entry| Act::parse(entry)).collect());
        self
    }

    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// All at once, each so many milliseconds after the one before.
    pub(crate) fn at_once(mut self, times: usize, stagger: u64) -> Self {
        (self.times, self.at_once, self.stagger) = (times, times, Duration::from_millis(stagger));
        self
    }

    /// So many on their way at any time.
    pub(crate) fn side_by_side(mut self, count: usize) -> Self {
        self.at_once = count;
        self
    }

    pub(crate) fn keyed(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) fn shows(mut self, kinds: &[&'static str]) -> Self {
        self.shows = kinds.to_vec();
        self
    }

    pub(crate) fn outcomes(mut self, outcomes: Outcomes) -> Self {
        self.outcomes = outcomes;
        self
    }

    pub(crate) fn places(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Where requests go is no matter.
    pub(crate) fn without_places(self) -> Self {
        self.places(Endpoints::Any)
    }

    pub(crate) fn alike_in_time(mut self) -> Self {
        self.alike_in_time = true;
        self
    }

    pub(crate) fn lasts(mut self, milliseconds: u64) -> Self {
        self.lasts = Some(Duration::from_millis(milliseconds));
        self
    }

    /// The request that is sent as number `n`.
    pub(crate) fn nth(&self, case: &Case, n: usize) -> crate::record::Step {
        let mut request = self.request.clone();
        let authority = request["authority"].as_str().unwrap_or("HOST").replace("HOST", &case.host());
        request["authority"] = authority.into();
        match self.key {
            None => {}
            Some(Key::Cookie(name)) => request["headers"] = json!([["cookie", format!("{name}=key-{n}")]]),
            Some(Key::Header(name)) => request["headers"] = json!([[name, format!("key-{n}")]]),
            Some(Key::Query(name)) => request["path"] = format!("/?{name}=key-{n}").into(),
        }
        serde_json::from_value(request).unwrap()
    }

    pub(crate) fn script(&self, case: &Case) -> Script {
        let at = self.at.iter().map(|(endpoint, acts)| (format!("{}:{PORT}", case.address(*endpoint)), acts.clone()));
        Script { acts: self.acts.clone(), at: at.collect() }
    }
}
