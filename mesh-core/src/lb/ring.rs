//! `ringHash`: endpoints stand on a ring many times each; a request goes to the next one from its
//! hash on. When one leaves, only its own requests move.

use twox_hash::XxHash64;

use super::{Choice, HostIdx, Hosts, Picker, Weighted};
use crate::Rng;

/// Entries of a ring unless set; Envoy's default.
pub(super) const MINIMUM_SIZE: u64 = 1024;

/// No ring has more entries; Envoy's default.
const MAXIMUM_SIZE: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Ring {
    /// In order.
    hashes: Box<[u64]>,
    /// Whose each of them is.
    hosts: Box<[u32]>,
}

impl Ring {
    /// The endpoint with the least weight stands on the ring a whole number of times, the others in
    /// proportion, as in Envoy, so that the same endpoints make the same ring.
    pub(super) fn new(minimum: u64, hosts: &[Weighted]) -> Self {
        let minimum = minimum.min(MAXIMUM_SIZE) as f64;
        let least = hosts.iter().map(|host| host.share).fold(1.0, f64::min);
        let scale = ((least * minimum).ceil() / least).min(MAXIMUM_SIZE as f64);
        let mut ring: Vec<(u64, u32)> = Vec::with_capacity(scale.ceil() as usize);
        // Sums run over all of them, so that rounding evens out.
        let (mut current, mut target) = (0.0, 0.0);
        for host in hosts {
            target += scale * host.share;
            let mut key = format!("{}_", host.key);
            let prefix = key.len();
            let mut number = 0_u64;
            while current < target {
                key.truncate(prefix);
                key.push_str(&number.to_string());
                ring.push((XxHash64::oneshot(0, key.as_bytes()), host.index));
                number += 1;
                current += 1.0;
            }
        }
        ring.sort_unstable();
        let (hashes, hosts): (Vec<u64>, Vec<u32>) = ring.into_iter().unzip();
        Self { hashes: hashes.into(), hosts: hosts.into() }
    }

    /// The owner of the first entry from the hash on, for each further attempt that of the next entry.
    fn at(&self, hash: u64, attempt: usize) -> u32 {
        let place = self.hashes.partition_point(|entry| *entry < hash) + attempt;
        // Behind the last entry comes the first, once.
        let behind = if place - attempt == self.hashes.len() { place - attempt } else { 0 };
        self.hosts[(place - behind) % self.hosts.len()]
    }
}

impl Picker for Ring {
    fn pick(&self, _: &Hosts<'_>, choice: Choice, _: &mut dyn Rng) -> HostIdx {
        HostIdx(self.at(choice.hash, choice.attempt))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lb::testing::{equal, weighted};

    fn ring(addresses: &[&str]) -> Ring {
        Ring::new(MINIMUM_SIZE, &equal(addresses))
    }

    fn of(text: &str) -> u64 {
        XxHash64::oneshot(0, text.as_bytes())
    }

    #[test]
    fn the_ring_is_the_one_that_envoy_builds() {
        // Where a recorded Envoy sent requests with these hash inputs.
        let four = |network: u8| -> Vec<String> { (1..=4).map(|n| format!("10.0.{network}.{n}:9080")).collect() };
        for (network, input, expected) in [
            (1, "aaa", 3),
            (1, "bbb", 3),
            (2, "aaa", 2),
            (3, "aaa", 2),
            (2, "488a180ea4a4414b", 1),
            (2, "53f7deca97ff8ae0", 0),
            (3, "1f9cf8930be1f7db", 0),
            (4, "d0f4dcf059eeb10d", 0),
            (4, "2b3b82fc49f6079d", 2),
        ] {
            let addresses = four(network);
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            assert_eq!(ring(&addresses).at(of(input), 0), expected, "{network} {input}");
        }
        let two = ring(&["10.0.1.1:80", "10.0.1.2:80"]);
        assert_eq!([two.at(of("abc"), 0), two.at(of("245c9c778a04018e"), 0)], [1, 1]);
        let three = ring(&["10.0.4.1:9080", "10.0.4.2:9080", "10.0.4.3:9080"]);
        assert_eq!(three.at(of("alice"), 0), 0);
    }

    #[test]
    fn a_further_attempt_goes_on_along_the_ring() {
        let three = ring(&["10.0.4.1:9080", "10.0.4.2:9080", "10.0.4.3:9080"]);
        let next = (0..6).map(|attempt| three.at(of("alice"), attempt)).find(|host| *host != 0);
        assert_eq!(next, Some(1));
    }

    #[test]
    fn a_ring_has_at_least_its_minimum_and_whole_numbers_of_the_least() {
        let entries = |minimum, weights: &[u32]| Ring::new(minimum, &weighted(weights)).hosts.len();
        assert_eq!(entries(1024, &[1, 1, 1]), 1026);
        assert_eq!(entries(1024, &[1]), 1024);
        assert_eq!(entries(1, &[1, 2]), 3);
        assert_eq!(entries(7, &[1, 2]), 9);
    }

    #[test]
    fn hashes_before_the_first_entry_and_behind_the_last_go_to_the_first() {
        let ring = ring(&["a", "b", "c"]);
        assert_eq!(ring.at(0, 0), ring.hosts[0]);
        assert_eq!(ring.at(u64::MAX, 0), ring.hosts[0]);
        assert_eq!(ring.at(u64::MAX, 1), ring.hosts[1]);
    }

    proptest! {
        #[test]
        fn when_one_leaves_only_its_own_requests_move(count in 2_u32..20, leaves in 0_usize..20, seed in any::<u64>()) {
            let all = weighted(&vec![1; count as usize]);
            let leaves = leaves % all.len();
            // The same number of entries each, as a ring of another size would have others.
            let each = |hosts: &[Weighted]| Ring::new(100 * hosts.len() as u64 - 1, hosts);
            let mut fewer = all.clone();
            fewer.remove(leaves);
            fewer.iter_mut().for_each(|host| host.share = 1.0 / f64::from(count - 1));
            let (before, after) = (each(&all), each(&fewer));
            let mut moved = 0;
            for n in 0..400_u64 {
                let hash = of(&format!("{seed} {n}"));
                let host = before.at(hash, 0);
                moved += u32::from(host != leaves as u32 && after.at(hash, 0) != host);
            }
            // Sums of parts may give one of them an entry more.
            prop_assert!(moved <= 4, "{} of 400 moved", moved);
        }

        #[test]
        fn shares_go_by_weight(weights in prop::collection::vec(1_u32..10, 1..8)) {
            let ring = Ring::new(4096, &weighted(&weights));
            let total: u32 = weights.iter().sum();
            for (host, weight) in (0_u32..).zip(&weights) {
                let entries = ring.hosts.iter().filter(|owner| **owner == host).count() as f64;
                let expected = ring.hosts.len() as f64 * f64::from(*weight) / f64::from(total);
                // A rest from the one before, and one from the end of the ring.
                prop_assert!((entries - expected).abs() < 2.0, "{} {}", entries, expected);
            }
        }
    }
}
