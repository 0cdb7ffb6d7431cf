//! Envoy's response flags: why a response is what it is, in a few letters.

use std::fmt;

/// A set of response flags, printed as Envoy's access log prints them (`URX,UF`; `-` when empty).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $letters:literal, $long:literal, $advice:literal;)*) => {
        #[allow(clippy::upper_case_acronyms, reason = "the letters are Envoy's")]
        #[repr(u32)]
        enum Bit { $($name),* }

        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << Bit::$name as u32);)*

            /// Every flag with its letters and one line on what it means, in printing order.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$name, $letters, $advice)),*];

            /// Every flag's name as Envoy's `%RESPONSE_FLAGS_LONG%` has it, in the same order.
            const LONG: &'static [&'static str] = &[$($long),*];
        }
    };
}

flags! {
    /// The caller went away before the response was complete.
    DC = "DC", "DownstreamConnectionTermination", "the caller closed the connection before the response was complete";
    /// A delay was injected.
    DI = "DI", "DelayInjected", "a fault delay of the route held the request";
    /// The caller's request is malformed.
    DPE = "DPE", "DownstreamProtocolError", "the caller's request breaks the protocol";
    /// An abort was injected.
    FI = "FI", "FaultInjected", "a fault abort of the route answered";
    /// The chosen cluster does not exist.
    NC = "NC", "NoClusterFound", "the route names a host, port or subset that does not exist";
    /// No virtual host or route matches.
    NR = "NR", "NoRouteFound", "no virtual host or no route of it matches the request";
    /// Denied by an external authorization service.
    UAEX = "UAEX", "UnauthorizedExternalService", "the external authorization service refused the request";
    /// The retries are used up.
    URX = "URX", "UpstreamRetryLimitExceeded", "the retry limit was reached";
    /// This side reset the upstream stream.
    LR = "LR", "LocalReset", "this side reset the connection to the endpoint";
    /// The upstream ended the connection.
    UC = "UC", "UpstreamConnectionTermination", "the endpoint closed the connection before it answered";
    /// Connecting to the upstream failed.
    UF = "UF", "UpstreamConnectionFailure", "no connection to the endpoint could be made";
    /// No healthy upstream.
    UH = "UH", "NoHealthyUpstream", "the cluster has no endpoint, or none that is not ejected";
    /// A limit of the connection pool was reached.
    UO = "UO", "UpstreamOverflow", "a limit of the connection pool (circuit breaker) was reached";
    /// The upstream broke the protocol.
    UPE = "UPE", "UpstreamProtocolError", "the endpoint's answer breaks the protocol";
    /// The upstream reset the stream.
    UR = "UR", "UpstreamRemoteReset", "the endpoint reset the stream";
    /// A timeout ended the request.
    UT = "UT", "UpstreamRequestTimeout", "the route's timeout or the timeout of one try ran out";
}

impl ResponseFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set flags as the bits of Envoy's number, which expressions know as `response.flags`.
    pub(crate) fn envoy_bits(self) -> u32 {
        const BITS: [(ResponseFlags, u32); 16] = [
            (ResponseFlags::UH, 1),
            (ResponseFlags::UT, 2),
            (ResponseFlags::LR, 3),
            (ResponseFlags::UR, 4),
            (ResponseFlags::UF, 5),
            (ResponseFlags::UC, 6),
            (ResponseFlags::UO, 7),
            (ResponseFlags::NR, 8),
            (ResponseFlags::DI, 9),
            (ResponseFlags::FI, 10),
            (ResponseFlags::UAEX, 12),
            (ResponseFlags::DC, 14),
            (ResponseFlags::URX, 15),
            (ResponseFlags::DPE, 18),
            (ResponseFlags::UPE, 23),
            (ResponseFlags::NC, 24),
        ];
        BITS.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, bit)| 1 << bit).sum()
    }

    /// Appends the set flags, by their letters or by Envoy's long names, with commas between them.
    pub(crate) fn write(self, long: bool, out: &mut Vec<u8>) {
        let set = Self::TABLE.iter().zip(Self::LONG).filter(|((flag, ..), _)| self.contains(*flag));
        for (place, ((_, letters, _), name)) in set.enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(if long { name } else { letters }.as_bytes());
        }
    }

    /// The set flags, in printing order, with letters and meaning.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        Self::TABLE
            .iter()
            .filter(move |(flag, ..)| self.contains(*flag))
            .map(|(_, letters, advice)| (*letters, *advice))
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (n, (letters, _)) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            f.write_str(letters)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_in_the_order_of_the_access_log() {
        let flags = ResponseFlags::UT.with(ResponseFlags::URX).with(ResponseFlags::DI);
        assert_eq!(flags.to_string(), "DI,URX,UT");
        assert_eq!(ResponseFlags::URX.with(ResponseFlags::UC).to_string(), "URX,UC");
        assert_eq!(ResponseFlags::NONE.to_string(), "-");
        let mut long = Vec::new();
        flags.write(true, &mut long);
        assert_eq!(long, b"DelayInjected,UpstreamRetryLimitExceeded,UpstreamRequestTimeout");
    }

    #[test]
    fn every_flag_has_a_bit_in_envoys_number() {
        let bits: u32 = ResponseFlags::TABLE.iter().map(|(flag, ..)| flag.envoy_bits()).sum();
        assert_eq!(bits.count_ones() as usize, ResponseFlags::TABLE.len());
        assert_eq!(ResponseFlags::UF.envoy_bits(), 32);
    }

    #[test]
    fn every_flag_is_a_bit_of_its_own() {
        let all: u32 = ResponseFlags::TABLE.iter().map(|(flag, ..)| flag.0).sum();
        assert_eq!(all.count_ones() as usize, ResponseFlags::TABLE.len());
    }
}
