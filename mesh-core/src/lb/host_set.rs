//! The endpoints of a cluster at one moment, ready to choose from.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::least_request::LeastRequest;
use super::maglev::Maglev;
use super::priorities::{Count, OVERPROVISIONING, Priorities};
use super::random::Random;
use super::ring::Ring;
use super::round_robin::RoundRobin;
use super::turns::Turns;
use super::{Balance, Choice, HostIdx, Hosts, LbSpec, Pick, Picker, Weighted, warm_up};
use crate::Rng;
use crate::cluster::Locality;
use crate::cluster::endpoint::EndpointState;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;

/// The endpoints of a cluster at one moment, ready to choose from.
#[derive(Debug)]
pub struct HostSet {
    all: Box<[Arc<EndpointState>]>,
    levels: Box<[Level]>,
    /// The level of each endpoint, where there are several.
    level_of: Box<[u16]>,
    priorities: Priorities,
    by_hash: bool,
    healthy: usize,
    stale: Option<Instant>,
}

/// Endpoints of one priority.
#[derive(Debug)]
struct Level {
    /// One, or one for each locality.
    groups: Box<[Group]>,
    turns: Turns,
}

#[derive(Debug)]
struct Group {
    eligible: Box<[u32]>,
    picker: Box<dyn Picker>,
}

/// Where the rounds of a cluster stand; goes from one of its sets to the next.
#[derive(Debug, Default)]
pub struct Cursors {
    rounds: Mutex<ByRound>,
    /// The turn with which each of them begins.
    first: u32,
}

/// By the level and the locality of it; without one the round is that of the level's localities.
type ByRound = HashMap<(usize, Option<usize>), Arc<AtomicU64>>;

impl Cursors {
    /// Rounds that begin with a turn of their own: processes that begin together with the first endpoint would all hit
    /// it at once. Envoy draws it, too; [`Cursors::default`] begins with the first endpoint.
    pub fn beginning_with(turn: u32) -> Self {
        Self { first: turn, ..Self::default() }
    }

    /// The cursor of a level's localities, or of one of them. Only building a set asks for it.
    fn of(&self, level: usize, group: Option<usize>) -> Arc<AtomicU64> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let first = || Arc::new(AtomicU64::new(self.first.into()));
        Arc::clone(rounds.entry((level, group)).or_insert_with(first))
    }
}

/// How often a host that was tried before is put back for another one, as Envoy's
/// `host_selection_retry_max_attempts` in Istio.
const RESELECTIONS: usize = 5;

/// Not on any level.
const NOWHERE: u16 = u16::MAX;

impl HostSet {
    /// A set of endpoints in listed order, with the health that they have now.
    pub fn new(balance: &Balance<'_>, hosts: Vec<Arc<EndpointState>>, cursors: &Cursors, now: Instant) -> Self {
        let builder = Builder::new(balance, &hosts, cursors, now);
        let members = builder.levels();
        let counts: Vec<Count> = members.iter().map(|members| builder.count(members)).collect();
        let priorities = Priorities::new(&counts, balance.panic_threshold);
        let level = |(number, members): (usize, &Vec<u32>)| builder.level(number, members, &priorities);
        let levels: Box<[Level]> = members.iter().enumerate().map(level).collect();
        let mut level_of = Box::default();
        if levels.len() > 1 {
            level_of = vec![NOWHERE; hosts.len()].into_boxed_slice();
            for (number, members) in (0_u16..).zip(&members) {
                members.iter().for_each(|member| level_of[*member as usize] = number);
            }
        }
        let healthy = builder.healthy.iter().filter(|healthy| **healthy).count();
        let (by_hash, stale) = (balance.lb.is_by_hash(), builder.stale);
        Self { levels, level_of, priorities, by_hash, healthy, stale, all: hosts.into() }
    }

    /// Chooses an endpoint; `None` if there is none to choose.
    ///
    /// One that was tried before is put back up to five times. Then any other of its level is taken, and
    /// the same again only if there is none: Envoy takes the last one drawn, which among two is the same
    /// one in 32 requests. A hash stays with what it comes to, so that what is alike stays together.
    pub fn pick(&self, pick: &Pick<'_>, rng: &mut dyn Rng) -> Option<HostIdx> {
        let hash = self.by_hash.then(|| pick.hash.unwrap_or_else(|| rng.next_u64()));
        let mut chosen = self.pick_once(hash, 0, pick, rng)?;
        if pick.avoid_tried {
            for attempt in 1..=RESELECTIONS {
                if !self.was_tried(chosen, pick) {
                    return Some(chosen);
                }
                chosen = self.pick_once(hash, attempt, pick, rng)?;
            }
            if hash.is_none() && self.was_tried(chosen, pick) {
                return Some(self.another_than(chosen, pick, rng).unwrap_or(chosen));
            }
        }
        Some(chosen)
    }

    fn pick_once(&self, hash: Option<u64>, attempt: usize, pick: &Pick<'_>, rng: &mut dyn Rng) -> Option<HostIdx> {
        let level = match &*self.levels {
            [] => return None,
            [only] => only,
            levels => &levels[self.choose_level(hash, pick, rng)],
        };
        let group = &level.groups[level.turns.next()];
        if group.eligible.is_empty() {
            return None;
        }
        let hosts = Hosts { all: &self.all, eligible: &group.eligible };
        Some(group.picker.pick(&hosts, Choice { hash: hash.unwrap_or_default(), attempt }, rng))
    }

    /// Any endpoint of the same level that was not tried.
    fn another_than(&self, chosen: HostIdx, pick: &Pick<'_>, rng: &mut dyn Rng) -> Option<HostIdx> {
        let number = self.level_of.get(chosen.0 as usize).map_or(0, |level| usize::from(*level));
        let eligible = || self.levels[number].groups.iter().flat_map(|group| &*group.eligible);
        let from = rng.below(eligible().count() as u64) as usize;
        let mut around = eligible().skip(from).chain(eligible().take(from)).map(|host| HostIdx(*host));
        around.find(|host| !self.was_tried(*host, pick))
    }

    fn choose_level(&self, hash: Option<u64>, pick: &Pick<'_>, rng: &mut dyn Rng) -> usize {
        match hash {
            Some(hash) => self.priorities.choose(hash),
            None if pick.elsewhere && !pick.tried.is_empty() => {
                let levels = pick.tried.iter().map(|tried| self.level_of(tried));
                self.priorities.choose_elsewhere(rng.next_u64(), levels)
            }
            None => self.priorities.choose(rng.next_u64()),
        }
    }

    fn level_of(&self, tried: &EndpointState) -> Option<usize> {
        let index = self.all.iter().position(|host| host.address() == tried.address())?;
        self.level_of.get(index).filter(|level| **level != NOWHERE).map(|level| usize::from(*level))
    }

    fn was_tried(&self, chosen: HostIdx, pick: &Pick<'_>) -> bool {
        let address = self.all[chosen.0 as usize].address();
        pick.tried.iter().any(|tried| tried.address() == address)
    }

    /// An endpoint.
    pub fn host(&self, index: HostIdx) -> Option<&Arc<EndpointState>> {
        self.all.get(index.0 as usize)
    }

    /// All endpoints, in listed order.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<EndpointState>> {
        self.all.iter()
    }

    /// Endpoints that are not ejected.
    pub fn healthy(&self) -> usize {
        self.healthy
    }

    /// Whether there is anything to choose from.
    pub fn has_choice(&self) -> bool {
        let has = |level: &Level| level.groups.iter().any(|group| !group.eligible.is_empty());
        self.levels.iter().enumerate().any(|(number, level)| self.priorities.load(number) > 0 && has(level))
    }

    /// Whether endpoints have warmed up further since the set was built, so that another one should
    /// take its place.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.stale.is_some_and(|stale| now >= stale)
    }
}

/// What a set is built from.
struct Builder<'b, 'a> {
    balance: &'b Balance<'a>,
    hosts: &'b [Arc<EndpointState>],
    cursors: &'b Cursors,
    healthy: Vec<bool>,
    /// By which `ROUND_ROBIN` and `LEAST_REQUEST` go: those of the configuration, less while warming up.
    weights: Vec<u64>,
    stale: Option<Instant>,
}

/// Endpoints of one locality on a level.
struct LocalityGroup<'b> {
    locality: &'b Locality,
    members: Vec<u32>,
    weight: u64,
}

impl<'b, 'a> Builder<'b, 'a> {
    fn new(balance: &'b Balance<'a>, hosts: &'b [Arc<EndpointState>], cursors: &'b Cursors, now: Instant) -> Self {
        let healthy = hosts.iter().map(|host| !host.is_ejected()).collect();
        let knows_warm_up = matches!(balance.lb, LbSpec::RoundRobin | LbSpec::LeastRequest);
        let warm_up = balance.warm_up.filter(|_| knows_warm_up);
        let part = |host: &EndpointState| warm_up.and_then(|warm_up| warm_up.part(host.age(now)?));
        let parts: Vec<Option<u64>> = hosts.iter().map(|host| part(host)).collect();
        let stale = warm_up.filter(|_| parts.iter().any(Option::is_some)).map(|warm_up| warm_up.next_step(now));
        let weight = |(host, part): (&Arc<EndpointState>, Option<u64>)| {
            u64::from(host.spec().weight) * part.unwrap_or(warm_up::WHOLE)
        };
        let weights = hosts.iter().zip(parts).map(weight).collect();
        Self { balance, hosts, cursors, healthy, weights, stale }
    }

    /// The endpoints that get anything, by rank.
    fn levels(&self) -> Vec<Vec<u32>> {
        let locality = self.balance.locality;
        let counted = (0_u32..).zip(self.hosts).filter(|(_, host)| locality.has_share(&host.spec().locality));
        let ranked: Vec<(usize, u32)> = counted.map(|(index, host)| (locality.rank(host.spec()), index)).collect();
        let ranks: BTreeSet<usize> = ranked.iter().map(|(rank, _)| *rank).collect();
        let of = |rank: usize| ranked.iter().filter(move |(own, _)| *own == rank).map(|(_, index)| *index).collect();
        ranks.into_iter().map(of).collect()
    }

    fn is_healthy(&self, member: u32) -> bool {
        self.healthy[member as usize]
    }

    fn count(&self, members: &[u32]) -> Count {
        Count { healthy: members.iter().filter(|member| self.is_healthy(**member)).count(), total: members.len() }
    }

    fn level(&self, number: usize, members: &[u32], priorities: &Priorities) -> Level {
        let in_panic = priorities.is_in_panic(number);
        let eligible = |members: &[u32]| -> Vec<u32> {
            members.iter().copied().filter(|member| in_panic || self.is_healthy(*member)).collect()
        };
        let cursor = |group| self.cursors.of(number, group);
        if self.balance.lb.is_by_hash() {
            let group = self.hashed(&self.shares(members, eligible));
            return Level { groups: Box::new([group]), turns: Turns::new(&[1], Arc::default()) };
        }
        // In panic everything is as good as everything else.
        if !self.balance.locality.weighted || in_panic {
            let group = self.group(eligible(members), cursor(Some(0)));
            return Level { groups: Box::new([group]), turns: Turns::new(&[1], Arc::default()) };
        }
        let (mut groups, mut weights) = (Vec::new(), Vec::new());
        for (place, locality) in self.localities(members).into_iter().enumerate() {
            let Count { healthy, total } = self.count(&locality.members);
            // What a locality takes shrinks with its health, as that of a level does.
            let part = (OVERPROVISIONING * healthy * 10).div_ceil(total.max(1)).min(1000) as u64;
            groups.push(self.group(eligible(&locality.members), cursor(Some(place))));
            weights.push(locality.weight * part);
        }
        Level { turns: Turns::new(&weights, cursor(None)), groups: groups.into() }
    }

    /// In the order in which they are listed.
    fn localities(&self, members: &[u32]) -> Vec<LocalityGroup<'b>> {
        let mut groups: Vec<LocalityGroup<'b>> = Vec::new();
        let mut places: HashMap<&Locality, usize> = HashMap::new();
        for member in members {
            let spec = self.hosts[*member as usize].spec();
            let place = *places.entry(&spec.locality).or_insert(groups.len());
            if place == groups.len() {
                groups.push(LocalityGroup { locality: &spec.locality, members: Vec::new(), weight: 0 });
            }
            groups[place].members.push(*member);
            groups[place].weight += u64::from(spec.weight);
        }
        self.divide(&mut groups);
        groups
    }

    /// A share for several localities is divided among them by the weight of their endpoints.
    fn divide(&self, groups: &mut [LocalityGroup<'_>]) {
        let spec = self.balance.locality;
        for (share, (_, percent)) in spec.shares.iter().enumerate() {
            let meant = |group: &&mut LocalityGroup<'_>| spec.share_of(group.locality) == Some(share);
            let total: u64 = groups.iter_mut().filter(meant).map(|group| group.weight).sum();
            for group in groups.iter_mut().filter(meant) {
                group.weight = (group.weight * u64::from(*percent)).div_ceil(total);
            }
        }
    }

    fn group(&self, eligible: Vec<u32>, cursor: Arc<AtomicU64>) -> Group {
        let weights: Vec<u64> = eligible.iter().map(|member| self.weights[*member as usize]).collect();
        let picker: Box<dyn Picker> = match self.balance.lb {
            LbSpec::RoundRobin => Box::new(RoundRobin::new(&weights, cursor)),
            LbSpec::Random => Box::new(Random),
            _ => Box::new(LeastRequest::new(&weights)),
        };
        Group { eligible: eligible.into(), picker }
    }

    fn hashed(&self, shares: &[Weighted]) -> Group {
        let eligible = shares.iter().map(|host| host.index).collect();
        let picker: Box<dyn Picker> = match self.balance.lb {
            _ if shares.is_empty() => Box::new(Random),
            LbSpec::Maglev { table_size } => Box::new(Maglev::new(table_size, shares)),
            LbSpec::RingHash { minimum_size } => Box::new(Ring::new(minimum_size, shares)),
            _ => Box::new(Random),
        };
        Group { eligible, picker }
    }

    /// Each endpoint's share of the hashes of its level; those of a locality share what it weighs.
    fn shares(&self, members: &[u32], eligible: impl Fn(&[u32]) -> Vec<u32>) -> Vec<Weighted> {
        if !self.balance.locality.weighted {
            return self.shares_of(&eligible(members), 1.0);
        }
        let localities = self.localities(members);
        let total: u64 = localities.iter().map(|locality| locality.weight).sum();
        let of = |locality: &LocalityGroup<'_>| {
            self.shares_of(&eligible(&locality.members), locality.weight as f64 / total as f64)
        };
        localities.iter().filter(|locality| locality.weight > 0).flat_map(of).collect()
    }

    fn shares_of(&self, eligible: &[u32], whole: f64) -> Vec<Weighted> {
        let weight = |member: u32| self.hosts[member as usize].spec().weight;
        let total: u64 = eligible.iter().map(|member| u64::from(weight(*member))).sum();
        let of = |member: &u32| Weighted {
            index: *member,
            key: self.hosts[*member as usize].address().hash_key(),
            share: f64::from(weight(*member)) * whole / total as f64,
        };
        eligible.iter().map(of).collect()
    }
}
