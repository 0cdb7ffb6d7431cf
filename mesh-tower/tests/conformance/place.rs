//! Where a scenario's endpoints are: each scenario has a part of the loopback network for itself.
//!
//! `10.0.a.b` of the recording is `127.S.a.b`, S being the scenario's own number, so that scenarios can run at the
//! same time, and so can several runs. Addresses above `10.0.99.0` are no endpoints and stay what they are.

use std::net::{Ipv4Addr, TcpListener};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(pub(crate) u8);

/// A place that nobody else has as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) place: Place,
    _held: TcpListener,
}

/// The numbers of places, and what is bound by who has one.
const NUMBERS: std::ops::Range<u8> = 20..250;
const HELD: ([u8; 2], u16) = ([255, 254], 1);

impl Claim {
    pub(crate) fn new() -> Self {
        let ([third, fourth], port) = HELD;
        let hold = |number| {
            let held = TcpListener::bind((Ipv4Addr::new(127, number, third, fourth), port)).ok()?;
            Some(Self { place: Place(number), _held: held })
        };
        NUMBERS.into_iter().find_map(hold).expect("a part of the loopback network, and the right to listen there")
    }
}

/// The part of the network for names that stand for one endpoint each.
const NAMES: u8 = 200;
/// Where requests go that are passed through.
const PASSED_THROUGH: u8 = 201;

/// The recorded address of a gateway's callers.
const OUTSIDE: &str = "198.51.100.7";

impl Place {
    pub(crate) fn of_name(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, NAMES, number)
    }

    pub(crate) fn passed_through(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, PASSED_THROUGH, 1)
    }

    /// The text with the addresses of this place.
    pub(crate) fn enter(self, text: &str) -> String {
        replace(text, "10.0.", &format!("127.{}.", self.0))
    }

    /// The text with the recorded addresses; `127.0.0.1` is where a gateway's callers are.
    pub(crate) fn leave(self, text: &str) -> String {
        replace(text, &format!("127.{}.", self.0), "10.0.").replace("127.0.0.1", OUTSIDE)
    }

    /// Every recorded endpoint address in a text.
    pub(crate) fn addresses(text: &str) -> Vec<(u8, u8)> {
        let mut found = Vec::new();
        scan(text, "10.0.", |_, host| found.extend(host));
        found
    }
}

fn replace(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    scan(text, from, |part, host| {
        out.push_str(part);
        if host.is_some() {
            out.push_str(to);
        }
    });
    out
}

/// Gives the text in parts, each with the last two numbers of an address where the prefix of one comes next.
fn scan(text: &str, prefix: &str, mut each: impl FnMut(&str, Option<(u8, u8)>)) {
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(prefix) {
        let (part, found) = rest.split_at(at);
        let last = part.chars().last().or(before);
        let begins = !last.is_some_and(|last| last.is_ascii_alphanumeric() || last == '.');
        let after = &found[prefix.len()..];
        match host(after).filter(|(third, _)| begins && *third < 100) {
            Some(host) => each(part, Some(host)),
            None => each(&rest[..at + prefix.len()], None),
        }
        before = prefix.chars().last();
        rest = after;
    }
    each(rest, None);
}

/// The two numbers at the start of a text.
fn host(text: &str) -> Option<(u8, u8)> {
    let (third, rest) = text.split_once('.')?;
    let end = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
    Some((third.parse().ok()?, rest[..end].parse().ok()?))
}

#[test]
fn endpoint_addresses_move_and_come_back() {
    let place = Place(33);
    let text = "{address: 10.0.1.2}, 10.0.9.1:80 10.0.201.1 110.0.1.1 x10.0.1.1 10.0.x";
    let moved = "{address: 127.33.1.2}, 127.33.9.1:80 10.0.201.1 110.0.1.1 x10.0.1.1 10.0.x";
    assert_eq!(place.enter(text), moved);
    assert_eq!(place.leave(moved), text);
    assert_eq!(Place::addresses(text), [(1, 2), (9, 1)]);
}
