//! `START_TIME` and its formats: points in time as text, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::command::print;

/// A format in the manner of `strftime`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeFormat {
    parts: Box<[TimePart]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TimePart {
    Text(Box<str>),
    Year,
    YearOfCentury,
    Month,
    MonthName {
        short: bool,
    },
    Day {
        blank: bool,
    },
    DayOfYear,
    WeekdayName {
        short: bool,
    },
    /// Monday is 1 and Sunday 7.
    WeekdayFromMonday,
    /// Sunday is 0.
    WeekdayFromSunday,
    Hour,
    HourOfHalf,
    Half,
    Minute,
    Second,
    /// So many digits of the second's fraction.
    Fraction(usize),
    Timestamp,
}

impl TimeFormat {
    /// Reads a format; an empty one is ISO 8601 with milliseconds.
    ///
    /// # Errors
    /// A conversion that is not known.
    pub(crate) fn parse(format: &str) -> Result<Self, String> {
        let format = if format.is_empty() { "%Y-%m-%dT%H:%M:%S.%3fZ" } else { format };
        let mut parts = Vec::new();
        push_parts(format, &mut parts)?;
        Ok(Self { parts: parts.into() })
    }

    /// Appends the time.
    pub(crate) fn render(&self, time: SystemTime, out: &mut Vec<u8>) {
        let moment = Moment::of(time);
        for part in &self.parts {
            moment.push(part, out);
        }
    }
}

fn push_parts(format: &str, parts: &mut Vec<TimePart>) -> Result<(), String> {
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        push_text(before, parts);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let mut conversion = after[digits..].chars();
        let letter = conversion.next();
        rest = conversion.as_str();
        let unknown = || format!("%{}{} is not a time format", &after[..digits], letter.unwrap_or_default());
        if letter == Some('f') {
            let width = if digits == 0 { Ok(9) } else { after[..digits].parse() };
            match width {
                Ok(width @ 1..=9) => parts.push(TimePart::Fraction(width)),
                _ => return Err(unknown()),
            }
            continue;
        }
        if digits > 0 {
            return Err(unknown());
        }
        match letter.and_then(composed) {
            Some(format) => push_parts(format, parts)?,
            None => parts.push(letter.and_then(single).ok_or_else(unknown)?),
        }
    }
    push_text(rest, parts);
    Ok(())
}

fn push_text(text: &str, parts: &mut Vec<TimePart>) {
    if !text.is_empty() {
        parts.push(TimePart::Text(text.into()));
    }
}

fn composed(letter: char) -> Option<&'static str> {
    Some(match letter {
        'c' => "%a %b %e %H:%M:%S %Y",
        'D' | 'x' => "%m/%d/%y",
        'F' => "%Y-%m-%d",
        'R' => "%H:%M",
        'r' => "%I:%M:%S %p",
        'T' | 'X' => "%H:%M:%S",
        _ => return None,
    })
}

fn single(letter: char) -> Option<TimePart> {
    Some(match letter {
        'A' => TimePart::WeekdayName { short: false },
        'a' => TimePart::WeekdayName { short: true },
        'B' => TimePart::MonthName { short: false },
        'b' | 'h' => TimePart::MonthName { short: true },
        'd' => TimePart::Day { blank: false },
        'e' => TimePart::Day { blank: true },
        'H' => TimePart::Hour,
        'I' => TimePart::HourOfHalf,
        'j' => TimePart::DayOfYear,
        'M' => TimePart::Minute,
        'm' => TimePart::Month,
        'n' => TimePart::Text(" ".into()),
        'p' => TimePart::Half,
        'S' => TimePart::Second,
        's' => TimePart::Timestamp,
        't' => TimePart::Text("\t".into()),
        'u' => TimePart::WeekdayFromMonday,
        'w' => TimePart::WeekdayFromSunday,
        'Y' => TimePart::Year,
        'y' => TimePart::YearOfCentury,
        'Z' => TimePart::Text("UTC".into()),
        'z' => TimePart::Text("+0000".into()),
        '%' => TimePart::Text("%".into()),
        _ => return None,
    })
}

/// A point in time, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) timestamp: i64,
    pub(crate) nanos: u32,
    pub(crate) year: i64,
    /// 1 to 12
    pub(crate) month: i64,
    /// 1 to 31
    pub(crate) day: i64,
    /// 1 to 366
    pub(crate) day_of_year: i64,
    /// Sunday is 0.
    pub(crate) weekday: i64,
    pub(crate) second_of_day: i64,
}

impl Moment {
    pub(crate) fn of(time: SystemTime) -> Self {
        let (timestamp, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (seconds(since), since.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                match before.subsec_nanos() {
                    0 => (-seconds(before), 0),
                    nanos => (-seconds(before) - 1, 1_000_000_000 - nanos),
                }
            }
        };
        let days = timestamp.div_euclid(86_400);
        let (year, month, day) = civil(days);
        let first = days_before_year(year);
        Self {
            timestamp,
            nanos,
            year,
            month,
            day,
            day_of_year: days - first + 1,
            weekday: (days + 4).rem_euclid(7),
            second_of_day: timestamp.rem_euclid(86_400),
        }
    }

    fn push(&self, part: &TimePart, out: &mut Vec<u8>) {
        let hour = self.second_of_day / 3600;
        match part {
            TimePart::Text(text) => out.extend_from_slice(text.as_bytes()),
            TimePart::Year => print(out, format_args!("{}", self.year)),
            TimePart::YearOfCentury => print(out, format_args!("{:02}", self.year.rem_euclid(100))),
            TimePart::Month => print(out, format_args!("{:02}", self.month)),
            TimePart::MonthName { short } => push_name(out, &MONTHS, self.month - 1, *short),
            TimePart::Day { blank: true } => print(out, format_args!("{:2}", self.day)),
            TimePart::Day { blank: false } => print(out, format_args!("{:02}", self.day)),
            TimePart::DayOfYear => print(out, format_args!("{:03}", self.day_of_year)),
            TimePart::WeekdayName { short } => push_name(out, &WEEKDAYS, self.weekday, *short),
            TimePart::WeekdayFromMonday => print(out, format_args!("{}", (self.weekday + 6) % 7 + 1)),
            TimePart::WeekdayFromSunday => print(out, format_args!("{}", self.weekday)),
            TimePart::Hour => print(out, format_args!("{hour:02}")),
            TimePart::HourOfHalf => print(out, format_args!("{:02}", (hour + 11) % 12 + 1)),
            TimePart::Half => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
            TimePart::Minute => print(out, format_args!("{:02}", self.second_of_day / 60 % 60)),
            TimePart::Second => print(out, format_args!("{:02}", self.second_of_day % 60)),
            TimePart::Fraction(width) => {
                let start = out.len();
                print(out, format_args!("{:09}", self.nanos));
                out.truncate(start + width);
            }
            TimePart::Timestamp => print(out, format_args!("{}", self.timestamp)),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn push_name(out: &mut Vec<u8>, names: &[&str], index: i64, short: bool) {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    let length = if short { 3.min(name.len()) } else { name.len() };
    out.extend_from_slice(&name.as_bytes()[..length]);
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts in eras of 400 years that begin on March 1st, so that a leap day ends its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to January 1st of a year.
pub(crate) fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(format: &str, time: SystemTime) -> String {
        let mut out = Vec::new();
        TimeFormat::parse(format).unwrap().render(time, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Thursday, 29 February 2024, 13:05:09.012345678
    fn leap_day() -> SystemTime {
        UNIX_EPOCH + Duration::new(1_709_211_909, 12_345_678)
    }

    #[test]
    fn each_conversion_prints_its_part() {
        for (format, expected) in [
            ("", "2024-02-29T13:05:09.012Z"),
            ("%s", "1709211909"),
            ("%s.%3f", "1709211909.012"),
            ("%Y-%m-%dT%H:%M:%SZ", "2024-02-29T13:05:09Z"),
            ("%f %1f %6f %9f", "012345678 0 012345 012345678"),
            ("%a %A %b %B %h", "Thu Thursday Feb February Feb"),
            ("%y %j %u %w %e %I %p", "24 060 4 4 29 01 PM"),
            ("%F %T %D %R %r", "2024-02-29 13:05:09 02/29/24 13:05 01:05:09 PM"),
            ("%Z %z %% T-const", "UTC +0000 % T-const"),
        ] {
            assert_eq!(rendered(format, leap_day()), expected, "{format}");
        }
    }

    #[test]
    fn what_is_no_conversion_is_refused() {
        for format in ["%", "%Q", "%3s", "%10f", "%0f", "%99999999999999999999f", "%é"] {
            assert!(TimeFormat::parse(format).is_err(), "{format}");
        }
    }

    #[test]
    fn time_before_the_epoch_has_a_date_too() {
        let before = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(rendered("%Y-%m-%d %H:%M:%S.%3f %a", before), "1969-12-31 23:59:59.999 Wed");
    }

    proptest! {
        #[test]
        fn days_follow_each_other(day in -400_000_i64..800_000) {
            let (year, month, date) = civil(day);
            let (next_year, next_month, next_date) = civil(day + 1);
            let next = (next_year, next_month, next_date);
            let same_month = next == (year, month, date + 1);
            let new_month = next == (year, month + 1, 1) && date >= 28;
            let new_year = next == (year + 1, 1, 1) && (month, date) == (12, 31);
            prop_assert!(same_month || new_month || new_year, "{next:?}");
            let of_year = day - days_before_year(year) + 1;
            prop_assert!((1..=366).contains(&of_year));
            prop_assert_eq!(of_year == 1, (month, date) == (1, 1));
        }
    }
}
