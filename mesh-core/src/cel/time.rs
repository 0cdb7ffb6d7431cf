//! Points in time and durations: as text, and taken apart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::route::substitution::time::{Moment, TimeFormat, days_before_year};

const SECOND: i64 = 1_000_000_000;

/// A point in time as nanoseconds from 1970, as far as those go: to the year 2262.
pub(super) fn nanos_of(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
    }
}

fn system_time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// A point in time in the form of RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let stands = |at: usize, what: &[u8]| text.as_bytes().get(at).is_some_and(|byte| what.contains(byte));
    let separators = [(4, &b"-"[..]), (7, b"-"), (10, b"Tt"), (13, b":"), (16, b":")];
    if !separators.iter().all(|(at, what)| stands(*at, what)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let days = day_of_year(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if !(1..=9).contains(&digits) {
            return None;
        }
        nanos = format!("{:0<9}", &fraction[..digits]).parse::<i64>().ok()?;
        rest = &fraction[digits..];
    }
    let seconds = (days_before_year(year) + days) * 86_400 + hour * 3_600 + minute * 60 + second;
    (seconds - offset(rest)?).checked_mul(SECOND)?.checked_add(nanos)
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = if zone.starts_with('+') { 1 } else { -1 };
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse::<i64>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Days of the year before a day; nothing where there is no such day.
fn day_of_year(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = days_before_year(year + 1) - days_before_year(year) == 366;
    let place = usize::try_from(month).ok()?.checked_sub(1)?;
    let leap_day = i64::from(is_leap && month > 2);
    let before = BEFORE.get(place)? + leap_day;
    let end = BEFORE.get(place + 1).map_or(365 + i64::from(is_leap), |next| next + i64::from(is_leap && month >= 2));
    ((1..=end - before).contains(&day) && year >= 1).then_some(before + day - 1)
}

pub(super) fn timestamp_text(nanos: i64) -> String {
    let part = nanos.rem_euclid(SECOND);
    let format = if part == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%9fZ" };
    let mut out = Vec::new();
    if let Ok(format) = TimeFormat::parse(format) {
        format.render(system_time(nanos), &mut out);
    }
    let text = String::from_utf8(out).unwrap_or_default();
    if part == 0 { text } else { format!("{}Z", text.trim_end_matches('Z').trim_end_matches('0')) }
}

/// Seconds with what is left of one, such as `1.5s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, part) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let fraction = format!(".{part:09}");
    let fraction = if part == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{sign}{seconds}{fraction}s")
}

/// What can be taken out of a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "getFullYear" => Self::FullYear,
            "getMonth" => Self::Month,
            "getDate" => Self::Date,
            "getDayOfMonth" => Self::DayOfMonth,
            "getDayOfWeek" => Self::DayOfWeek,
            "getDayOfYear" => Self::DayOfYear,
            "getHours" => Self::Hours,
            "getMinutes" => Self::Minutes,
            "getSeconds" => Self::Seconds,
            "getMilliseconds" => Self::Milliseconds,
            _ => return None,
        })
    }

    /// Of a point in time, in UTC or in a zone that is written as its distance (`+02:00`).
    pub(super) fn of_timestamp(self, nanos: i64, zone: Option<&str>) -> Option<i64> {
        let ahead = match zone {
            None | Some("UTC" | "") => 0,
            Some(zone) if zone.starts_with(['+', '-']) => offset(zone)?,
            Some(zone) => offset(&format!("+{zone}"))?,
        };
        let moment = Moment::of(system_time(nanos.checked_add(ahead * SECOND)?));
        Some(match self {
            Self::FullYear => moment.year,
            Self::Month => moment.month - 1,
            Self::Date => moment.day,
            Self::DayOfMonth => moment.day - 1,
            Self::DayOfWeek => moment.weekday,
            Self::DayOfYear => moment.day_of_year - 1,
            Self::Hours => moment.second_of_day / 3_600,
            Self::Minutes => moment.second_of_day / 60 % 60,
            Self::Seconds => moment.second_of_day % 60,
            Self::Milliseconds => i64::from(moment.nanos / 1_000_000),
        })
    }

    /// Of a duration: the whole of it in hours, minutes or seconds, the milliseconds of its last second.
    pub(super) const fn of_duration(self, nanos: i64) -> Option<i64> {
        let seconds = nanos / SECOND;
        match self {
            Self::Hours => Some(seconds / 3_600),
            Self::Minutes => Some(seconds / 60),
            Self::Seconds => Some(seconds),
            Self::Milliseconds => Some(nanos % SECOND / 1_000_000),
            _ => None,
        }
    }
}
