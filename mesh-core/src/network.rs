//! Blocks of addresses.

use std::net::IpAddr;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The bits, those behind the prefix being 0. An IPv4 address fills the upper 32.
    bits: u128,
    is_v6: bool,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone, which is a block of one. Bits behind the prefix say nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        (prefix <= most).then(|| Self { bits: first_bits(bits_of(address), prefix), is_v6: address.is_ipv6(), prefix })
    }

    /// The first address of the block.
    pub fn first_address(&self) -> IpAddr {
        if self.is_v6 {
            IpAddr::V6(self.bits.into())
        } else {
            // The upper 32 bits, so nothing is cut off.
            IpAddr::V4(((self.bits >> 96) as u32).into())
        }
    }

    /// Whether an address is one of the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_v6 && first_bits(bits_of(address), self.prefix) == self.bits
    }

    /// Whether a connection to an address ends in the block: an IPv4 address may be written as an IPv6 one
    /// (`::ffff:10.0.0.1`).
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.contains(address) || self.contains(address.to_canonical())
    }

    /// How many bits its addresses have in common.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn first_bits(bits: u128, count: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(count)).unwrap_or(0);
    bits & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_other_clothes_is_reached_all_the_same() {
        let block = Network::parse("10.0.0.0/8").unwrap();
        for (address, reached) in
            [("10.0.0.1", true), ("::ffff:10.0.0.1", true), ("::ffff:11.0.0.1", false), ("::1", false)]
        {
            assert_eq!(block.reaches(address.parse().unwrap()), reached, "{address}");
        }
    }

    #[test]
    fn a_block_has_the_addresses_that_begin_alike() {
        for (block, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/16", "10.1.9.9", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            assert_eq!(
                Network::parse(block).unwrap().contains(address.parse().unwrap()),
                expected,
                "{block} {address}"
            );
        }
    }

    #[test]
    fn bits_behind_the_prefix_say_nothing() {
        assert_eq!(Network::parse("10.1.2.3/8"), Network::parse("10.0.0.0/8"));
        assert_ne!(Network::parse("10.0.0.0/8"), Network::parse("10.0.0.0/9"));
    }

    #[test]
    fn what_is_no_block_is_none() {
        for text in ["", "a", "10.0.0.0/33", "10.0.0.0/x", "10.0.0/8", "::/129"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
