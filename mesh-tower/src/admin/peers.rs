//! Who calls this process, and who could no more if it took mutual TLS only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::graph;
use super::rates::{joined, of_sum, of_window};
use crate::live::Live;
use crate::telemetry::{Caller, Seen, Sum};

pub(super) fn peers(live: &Live, seen: &Seen) -> Value {
    let callers = callers(seen);
    let cut_off = callers.iter().filter(|caller| caller["would_be_cut_off_by_strict"] == true).count();
    let modes = live.snapshot().peer_modes().ports.iter();
    let ports: BTreeMap<_, _> = modes.map(|(port, mode)| (port.to_string(), mode.as_str())).collect();
    let told = json!({
        "mode": live.snapshot().peer_modes().mode.as_str(),
        "port_modes": ports,
        "callers": callers,
        "callers_left_out": left_out(seen),
        "cut_off_by_strict": cut_off,
        "plaintext_edges": graph::plaintext(live, seen),
    });
    joined(of_window(seen), told)
}

/// Those that there was no room to tell apart: of them nobody knows whether they have proved who they are.
pub(super) fn left_out(seen: &Seen) -> Option<Value> {
    seen.callers.others.as_ref().map(|sum| of_sum(seen, sum))
}

/// Those that called within the longest window, the busiest first.
pub(super) fn callers(seen: &Seen) -> Vec<Value> {
    let mut callers: Vec<_> =
        seen.callers.rows.iter().map(|(caller, sum)| (sum.requests, name(caller), caller, sum)).collect();
    callers.sort_unstable_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
    callers.into_iter().map(|(_, name, caller, sum)| joined(of_caller(&name, caller, sum), of_sum(seen, sum))).collect()
}

fn name(caller: &Caller) -> String {
    match caller {
        Caller::Proved(principal) => principal.to_string(),
        Caller::At(Some(address)) => address.to_string(),
        Caller::At(None) => "unknown".to_owned(),
    }
}

fn of_caller(name: &str, caller: &Caller, sum: &Sum) -> Value {
    let is_proved = matches!(caller, Caller::Proved(_));
    json!({
        "caller": name,
        "principal": is_proved.then_some(name),
        "address": matches!(caller, Caller::At(Some(_))).then_some(name),
        "tls": sum.is_tls,
        // Mutual TLS is what it takes: TLS without a certificate of one's own is not enough.
        "would_be_cut_off_by_strict": !is_proved,
    })
}
