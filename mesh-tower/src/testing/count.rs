//! How often something may happen.

use std::fmt;
use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};

/// How often an assertion wants something: a number, or a range such as `3..=5`, `1..` or `..=2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    least: usize,
    most: usize,
}

impl Count {
    pub(super) fn takes(self, count: usize) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl From<usize> for Count {
    fn from(count: usize) -> Self {
        Self { least: count, most: count }
    }
}

impl From<RangeInclusive<usize>> for Count {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self { least: *range.start(), most: *range.end() }
    }
}

impl From<RangeFrom<usize>> for Count {
    fn from(range: RangeFrom<usize>) -> Self {
        Self { least: range.start, most: usize::MAX }
    }
}

impl From<RangeToInclusive<usize>> for Count {
    fn from(range: RangeToInclusive<usize>) -> Self {
        Self { least: 0, most: range.end }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { least, most } if least == most => write!(f, "{least}"),
            Self { least, most: usize::MAX } => write!(f, "at least {least}"),
            Self { least: 0, most } => write!(f, "at most {most}"),
            Self { least, most } => write!(f, "{least} to {most}"),
        }
    }
}
