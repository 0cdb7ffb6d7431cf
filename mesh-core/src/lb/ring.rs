//! `ringHash`: endpoints stand on a ring many times each; a request goes to the next one from its
//! hash on. When one leaves, only its own requests move.

use std::fmt::Write as _;

use twox_hash::XxHash64;

use super::{Choice, HostIdx, Hosts, Picker, Weighted};
use crate::Rng;

/// Entries of a ring unless set; Envoy's default.
pub(super) const MINIMUM_SIZE: u64 = 1024;

/// No ring has more entries; Envoy's default.
const MAXIMUM_SIZE: u64 = 8 * 1024 * 1024;

/// Eight bytes an entry, so that the largest ring takes 64 MiB and the usual one 8 KiB.
#[derive(Debug)]
pub(super) struct Ring {
    /// Hashes in order, each with the index of its endpoint in place of its lowest bits. Those are ten for a thousand
    /// endpoints, and two of eight million hashes that differ in no other are as good as never met.
    entries: Box<[u64]>,
    /// How many bits the indexes take.
    bits: u32,
}

impl Ring {
    /// The endpoint with the least weight stands on the ring a whole number of times, the others in
    /// proportion, as in Envoy, so that the same endpoints make the same ring.
    pub(super) fn new(minimum: u64, hosts: &[Weighted]) -> Self {
        let minimum = minimum.min(MAXIMUM_SIZE) as f64;
        let least = hosts.iter().map(|host| host.share).fold(1.0, f64::min);
        let scale = ((least * minimum).ceil() / least).min(MAXIMUM_SIZE as f64);
        let bits = hosts.iter().map(|host| u32::BITS - host.index.leading_zeros()).max().unwrap_or_default();
        let mut ring: Vec<u64> = Vec::with_capacity(scale.ceil() as usize + 1);
        // Sums run over all of them, so that rounding evens out.
        let (mut current, mut target) = (0.0, 0.0);
        for host in hosts {
            target += scale * host.share;
            let mut key = format!("{}_", host.key);
            let prefix = key.len();
            let mut number = 0_u64;
            while current < target {
                key.truncate(prefix);
                let _never_fails = write!(key, "{number}");
                let hash = XxHash64::oneshot(0, key.as_bytes());
                ring.push(hash >> bits << bits | u64::from(host.index));
                number += 1;
                current += 1.0;
            }
        }
        ring.sort_unstable();
        Self { entries: ring.into(), bits }
    }

    /// The owner of the first entry from the hash on, for each further attempt that of the next entry.
    fn at(&self, hash: u64, attempt: usize) -> u32 {
        let place = self.entries.partition_point(|entry| entry >> self.bits < hash >> self.bits) + attempt;
        // Behind the last entry comes the first, once.
        let behind = if place - attempt == self.entries.len() { place - attempt } else { 0 };
        self.owner(self.entries[(place - behind) % self.entries.len()])
    }

    fn owner(&self, entry: u64) -> u32 {
        (entry & ((1 << self.bits) - 1)) as u32
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

    fn owners(ring: &Ring) -> Vec<u32> {
        ring.entries.iter().map(|entry| ring.owner(*entry)).collect()
    }

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
        let entries = |minimum, weights: &[u32]| Ring::new(minimum, &weighted(weights)).entries.len();
        assert_eq!(entries(1024, &[1, 1, 1]), 1026);
        assert_eq!(entries(1024, &[1]), 1024);
        assert_eq!(entries(1, &[1, 2]), 3);
        assert_eq!(entries(7, &[1, 2]), 9);
    }

    #[test]
    fn a_ring_takes_eight_bytes_an_entry_and_has_no_more_than_the_most() {
        let weights = weighted(&[1, 1 << 30]);
        assert!(Ring::new(1 << 16, &weights).entries.len() as u64 <= MAXIMUM_SIZE + 1);
        let thousand: Vec<String> = (0..1_000).map(|n| format!("10.0.{}.{}:80", n / 250, n % 250)).collect();
        let thousand = equal(&thousand.iter().map(String::as_str).collect::<Vec<_>>());
        let ring = Ring::new(MINIMUM_SIZE, &thousand);
        assert_eq!((ring.entries.len(), ring.bits, size_of_val(&*ring.entries)), (2_000, 10, 16_000));
        assert!((0..1_000).all(|host| owners(&ring).iter().filter(|owner| **owner == host).count() == 2));
    }

    #[test]
    fn hashes_before_the_first_entry_and_behind_the_last_go_to_the_first() {
        let ring = ring(&["a", "b", "c"]);
        let owners = owners(&ring);
        assert_eq!(ring.at(0, 0), owners[0]);
        assert_eq!(ring.at(u64::MAX, 0), owners[0]);
        assert_eq!(ring.at(u64::MAX, 1), owners[1]);
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
                let entries = owners(&ring).iter().filter(|owner| **owner == host).count() as f64;
                let expected = ring.entries.len() as f64 * f64::from(*weight) / f64::from(total);
                // A rest from the one before, and one from the end of the ring.
                prop_assert!((entries - expected).abs() < 2.0, "{} {}", entries, expected);
            }
        }
    }
}
