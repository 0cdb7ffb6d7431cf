//! A span of time as Istio writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signed span of time in whole nanoseconds, at most about 292 years either way.
///
/// Read from Go's grammar, of which the proto-JSON form is a part: a sign, then one or more decimal numbers with a unit
/// each (`ns`, `us`, `µs`, `ms`, `s`, `m`, `h`), or `0`. A number of seconds or of a smaller unit that is finer than a
/// nanosecond is refused; fractions of minutes and hours are cut to the nanosecond, as Go does.
///
/// ```
/// use mesh_config::value::Duration;
///
/// let duration: Duration = "1m30.5s".parse()?;
/// assert_eq!(duration.as_nanos(), 90_500_000_000);
/// assert_eq!(duration.to_string(), "90.5s");
/// # Ok::<(), mesh_config::value::ParseDurationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of so many milliseconds, cut to what fits.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of so many seconds, cut to what fits.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// The span in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The span as the standard library has it. A negative span is zero there.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(if self.0 < 0 { 0 } else { self.0.unsigned_abs() })
    }

    /// Whether the span is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether the span is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Checks a duration of a rule: a millisecond at least, and whole milliseconds.
///
/// # Errors
/// Istio's text.
pub fn check_duration(duration: Duration) -> Result<(), String> {
    if duration.as_nanos() < NANOS_PER_MILLISECOND {
        return Err("duration must be greater than 1ms".to_owned());
    }
    check_precision(duration)
}

/// Checks that a duration is in whole milliseconds.
///
/// # Errors
/// Istio's text.
pub fn check_precision(duration: Duration) -> Result<(), String> {
    match duration.as_nanos() % NANOS_PER_MILLISECOND {
        0 => Ok(()),
        _ => Err("only durations to ms precision are supported".to_owned()),
    }
}

/// Checks the mesh's limit for making a connection: at most an hour.
///
/// # Errors
/// Istio's text.
pub fn check_connect_timeout(timeout: Duration) -> Result<(), String> {
    check_duration(timeout)?;
    if timeout > Duration::from_secs(3600) {
        return Err(format!("time {timeout} must be >1ms and <1h0m0s"));
    }
    Ok(())
}

/// Seconds in proto-JSON form, `1.5s`.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if rest == 0 {
            return write!(formatter, "{sign}{seconds}s");
        }
        let fraction = format!("{rest:09}");
        write!(formatter, "{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
    }
}

impl FromStr for Duration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem| ParseDurationError { text: text.to_owned(), problem };
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(error(Problem::Invalid));
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = take_part(rest).map_err(error)?;
            total = total.saturating_add(part);
            if total > LIMIT {
                return Err(error(Problem::Invalid));
            }
            rest = after;
        }
        if negative {
            Ok(Self(0_i64.wrapping_sub_unsigned(total)))
        } else {
            i64::try_from(total).map(Self).map_err(|_| error(Problem::Invalid))
        }
    }
}

/// Reads one number with its unit: the nanoseconds and what follows.
fn take_part(text: &str) -> Result<(u64, &str), Problem> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(Problem::Invalid);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let Some(unit) = UNITS.iter().find(|unit| unit.name == name) else {
        return Err(if name.is_empty() { Problem::MissingUnit } else { Problem::UnknownUnit(name.to_owned()) });
    };
    if fraction.trim_end_matches('0').len() > unit.decimals {
        return Err(Problem::TooFine);
    }
    let nanos = whole_number(whole)?
        .checked_mul(unit.nanos)
        .and_then(|nanos| nanos.checked_add(fraction_nanos(fraction, unit.nanos)))
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or(Problem::Invalid)?;
    Ok((nanos, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn whole_number(digits: &str) -> Result<u64, Problem> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits.parse().ok().filter(|number| *number <= LIMIT).ok_or(Problem::Invalid)
}

/// The fraction in nanoseconds, in floating point as Go computes it: `0.3333333333333333333h` is 20 minutes there.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of one hour is far below 2^53 nanoseconds"
)]
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    let mut number: u64 = 0;
    let mut scale = 1.0_f64;
    for digit in digits.bytes() {
        let Some(next) = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit - b'0')))
            .filter(|number| *number <= LIMIT)
        else {
            break; // Digits beyond the range of an integer do not count.
        };
        number = next;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

/// Why a text is not a duration. The message is Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDurationError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Invalid,
    MissingUnit,
    TooFine,
    UnknownUnit(String),
}

impl ParseDurationError {
    /// Whether only the part below a nanosecond is wrong, which Go drops and protobuf refuses.
    pub(crate) fn is_too_fine(&self) -> bool {
        self.problem == Problem::TooFine
    }
}

impl fmt::Display for ParseDurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.problem {
            Problem::Invalid => write!(formatter, "time: invalid duration {text:?}"),
            Problem::MissingUnit => write!(formatter, "time: missing unit in duration {text:?}"),
            Problem::TooFine => {
                write!(formatter, "duration {text:?} is finer than a nanosecond")
            }
            Problem::UnknownUnit(unit) => {
                write!(formatter, "time: unknown unit {unit:?} in duration {text:?}")
            }
        }
    }
}

impl std::error::Error for ParseDurationError {}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DurationVisitor)
    }
}

struct DurationVisitor;

impl de::Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration such as \"1.5s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }
}

struct Unit {
    name: &'static str,
    nanos: u64,
    /// How many decimals still are whole nanoseconds.
    decimals: usize,
}

const UNITS: [Unit; 8] = [
    Unit::new("ns", 1, 0),
    Unit::new("us", 1_000, 3),
    Unit::new("\u{b5}s", 1_000, 3),  // micro sign
    Unit::new("\u{3bc}s", 1_000, 3), // Greek letter mu
    Unit::new("ms", 1_000_000, 6),
    Unit::new("s", 1_000_000_000, 9),
    Unit::new("m", 60_000_000_000, usize::MAX),
    Unit::new("h", 3_600_000_000_000, usize::MAX),
];

impl Unit {
    const fn new(name: &'static str, nanos: u64, decimals: usize) -> Self {
        Self { name, nanos, decimals }
    }
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// The magnitude of the lowest duration; the highest is one less.
const LIMIT: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60 * NANOS_PER_SECOND;
    const HOUR: i64 = 60 * MINUTE;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("5s", 5 * NANOS_PER_SECOND),
            ("+5s", 5 * NANOS_PER_SECOND),
            ("-5s", -5 * NANOS_PER_SECOND),
            ("1478s", 1478 * NANOS_PER_SECOND),
            (".5s", 500_000_000),
            ("5.s", 5 * NANOS_PER_SECOND),
            ("-.5s", -500_000_000),
            ("+5.6s", 5_600_000_000),
            ("1.004s", 1_004_000_000),
            ("1.00400s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("13ms", 13_000_000),
            ("15m", 15 * MINUTE),
            ("16h", 16 * HOUR),
            ("1.5h", 90 * MINUTE),
            ("3h30m", 3 * HOUR + 30 * MINUTE),
            ("3s1h", HOUR + 3 * NANOS_PER_SECOND),
            ("10.5s4m", 4 * MINUTE + 10_500_000_000),
            ("-2m3.4s", -(2 * MINUTE + 3_400_000_000)),
            ("1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3_004_005_006),
            ("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14_425_000_000),
            ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 20 * MINUTE),
            ("0.100000000000000000000h", 6 * MINUTE),
            ("0.9223372036854775807h", 3_320_413_933_267),
            ("9007199254740993ns", 9_007_199_254_740_993),
            ("9007199254.740993ms", 9_007_199_254_740_993),
            ("9223372036854775807ns", i64::MAX),
            ("9223372036854775.807us", i64::MAX),
            ("9223372036s854ms775us807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("-9223372036854775.808us", i64::MIN),
            ("-2562047h47m16.854775808s", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_the_reason() {
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("+", "time: invalid duration \"+\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".", "time: invalid duration \".\""),
            (".s", "time: invalid duration \".s\""),
            ("+.s", "time: invalid duration \"+.s\""),
            ("--1s", "time: invalid duration \"--1s\""),
            ("1s ", "time: unknown unit \"s \" in duration \"1s \""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("3", "time: missing unit in duration \"3\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("5S", "time: unknown unit \"S\" in duration \"5S\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("9223372036s854ms775us808ns", "time: invalid duration \"9223372036s854ms775us808ns\""),
            ("-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\""),
            ("99999999999999999999h", "time: invalid duration \"99999999999999999999h\""),
            ("0.5ns", "duration \"0.5ns\" is finer than a nanosecond"),
            ("1.0000000001s", "duration \"1.0000000001s\" is finer than a nanosecond"),
        ] {
            let error = text.parse::<Duration>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_duration_is_written_in_seconds() {
        for (text, written) in
            [("0", "0s"), ("10ms", "0.01s"), ("-1500ms", "-1.5s"), ("1h", "3600s"), ("1ns", "0.000000001s")]
        {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn a_rule_takes_whole_milliseconds_and_one_at_least() {
        for (text, problem) in [
            ("1ms", ""),
            ("1h", ""),
            ("0s", "duration must be greater than 1ms"),
            ("-1s", "duration must be greater than 1ms"),
            ("999us", "duration must be greater than 1ms"),
            ("1500us", "only durations to ms precision are supported"),
        ] {
            assert_eq!(check_duration(text.parse().unwrap()).err().unwrap_or_default(), problem, "{text}");
        }
        assert_eq!(check_connect_timeout(Duration::from_secs(3600)), Ok(()));
        assert_eq!(
            check_connect_timeout(Duration::from_millis(3_600_001)).unwrap_err(),
            "time 3600.001s must be >1ms and <1h0m0s"
        );
    }

    #[test]
    fn a_negative_duration_is_zero_for_the_standard_library() {
        assert!(Duration::from_secs(-1).is_negative());
        assert_eq!(Duration::from_secs(-1).to_std(), std::time::Duration::ZERO);
        assert_eq!(Duration::from_millis(1500).to_std(), std::time::Duration::from_millis(1500));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            drop(text.parse::<Duration>());
        }

        #[test]
        fn no_text_that_looks_like_a_duration_panics(text in "[-+]?([0-9]{0,22}(\\.[0-9]{0,22})?(ns|us|ms|s|m|h|µs)){0,4}") {
            drop(text.parse::<Duration>());
        }

        #[test]
        fn what_is_written_is_read_again(nanos in any::<i64>()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
