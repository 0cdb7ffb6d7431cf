//! How far back one looks.

use std::fmt;

use clap::ValueEnum;

/// One of the windows that an admin server keeps.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Window {
    /// One minute
    #[value(name = "1m")]
    One,
    /// Five minutes
    #[value(name = "5m")]
    Five,
    /// Fifteen minutes
    #[value(name = "15m")]
    Fifteen,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "1m",
            Self::Five => "5m",
            Self::Fifteen => "15m",
        })
    }
}
