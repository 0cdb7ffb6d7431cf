//! What the servers saw, as it goes over the pipe between the processes.

use std::fmt;
use std::num::ParseIntError;
use std::ops::Sub;
use std::str::FromStr;
use std::time::Duration;

/// Requests by the version that answered them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// CPU time of the servers' process.
    pub(crate) cpu: Duration,
    pub(crate) v1: Answered,
    pub(crate) v2: Answered,
}

/// Requests that one version answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Those without the header that the policy matches.
    pub(crate) plain: u64,
    /// Those with it.
    pub(crate) canary: u64,
}

impl Counts {
    /// All requests.
    pub(crate) const fn total(&self) -> u64 {
        self.v1.plain + self.v1.canary + self.v2.plain + self.v2.canary
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), v1: self.v1 - earlier.v1, v2: self.v2 - earlier.v2 }
    }
}

impl Sub for Answered {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { plain: self.plain - earlier.plain, canary: self.canary - earlier.canary }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, v1, v2 } = self;
        write!(f, "{} {} {} {} {}", cpu.as_nanos(), v1.plain, v1.canary, v2.plain, v2.canary)
    }
}

impl FromStr for Counts {
    type Err = ParseIntError;

    fn from_str(line: &str) -> Result<Self, ParseIntError> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().unwrap_or_else(|| "".parse());
        Ok(Self {
            cpu: Duration::from_nanos(next()?),
            v1: Answered { plain: next()?, canary: next()? },
            v2: Answered { plain: next()?, canary: next()? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_the_pipe() {
        let counts = Counts {
            cpu: Duration::from_nanos(17),
            v1: Answered { plain: 1, canary: 2 },
            v2: Answered { plain: 3, canary: 4 },
        };
        assert_eq!(counts.to_string().parse(), Ok(counts));
        assert!("1 2 3".parse::<Counts>().is_err());
    }
}
