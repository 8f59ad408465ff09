//! Times inside JSON content, `YYYY-MM-DDTHH:MM:SS.mmmZ` (RFC 3339), to and from nanoseconds.

const NS_PER_SECOND: i64 = 1_000_000_000;
const NS_PER_MILLISECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// The text of a time in nanoseconds since 1970, to the millisecond.
pub(super) fn format(ns: i64) -> String {
    let (seconds, rest) = (ns.div_euclid(NS_PER_SECOND), ns.rem_euclid(NS_PER_SECOND));
    let (days, second) = (
        seconds.div_euclid(SECONDS_PER_DAY),
        seconds.rem_euclid(SECONDS_PER_DAY),
    );
    let (year, month, day) = date_of(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        rest / NS_PER_MILLISECOND
    )
}

/// Nanoseconds since 1970. Reads any fraction of a second, and offsets other than `Z`.
///
/// Nothing if the text is not such a time, or one outside the years 1677 to 2262.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let year = number(date.next()?, 4, 9999)?;
    let month = number(date.next()?, 2, 12).filter(|month| *month >= 1)?;
    let day = number(date.next()?, 2, days_in(year, month)).filter(|day| *day >= 1)?;

    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, offset) = time.split_at_checked(zone)?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, nanoseconds(fraction)?),
        None => (time, 0),
    };
    let mut time = time.splitn(3, ':');
    let hour = number(time.next()?, 2, 23)?;
    let minute = number(time.next()?, 2, 59)?;
    // A leap second is the second after it.
    let second = number(time.next()?, 2, 60)?;

    let seconds = days_to(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
        - offset_seconds(offset)?;
    seconds.checked_mul(NS_PER_SECOND)?.checked_add(fraction)
}

/// Exactly `digits` digits that are at most `max`.
fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = all_digits.then(|| text.parse().ok()).flatten()?;
    (value <= max).then_some(value)
}

/// The digits after the point, as nanoseconds; more than nine are cut off.
fn nanoseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").get(..9)?.parse().ok()
}

fn offset_seconds(offset: &str) -> Option<i64> {
    let (sign, offset) = match offset.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    Some(sign * (number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Counts years from March, so that the leap day is the last of its year and months before it have
/// a regular length.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The reverse of [`days_to`], for any time that fits in nanoseconds.
fn date_of(days: i64) -> (i64, i64, i64) {
    // The average year is 365.2425 days long, so this is off by one at most.
    let mut year = 1970 + days * 10_000 / 3_652_425;
    while days_to(year, 1, 1) > days {
        year -= 1;
    }
    while days_to(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_to(year, month + 1, 1) <= days {
        month += 1;
    }
    (year, month, days - days_to(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn known_times_are_formatted() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            format(1_709_164_800_000_000_000),
            "2024-02-29T00:00:00.000Z"
        );
        assert_eq!(
            format(1_795_566_677_242_846_677),
            "2026-11-25T00:31:17.242Z"
        );
        assert_eq!(format(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format(i64::MAX), "2262-04-11T23:47:16.854Z");
        assert_eq!(format(i64::MIN), "1677-09-21T00:12:43.145Z");
    }

    #[test]
    fn every_day_from_1680_to_2260_comes_back() {
        for day in -105_000..105_000 {
            let ns = (day * SECONDS_PER_DAY + 45_296) * NS_PER_SECOND + 789 * NS_PER_MILLISECOND;
            assert_eq!(parse(&format(ns)), Some(ns));
        }
    }

    #[test]
    fn fractions_and_offsets_are_read() {
        let second = 1_709_164_800;
        for (text, ns) in [
            ("2024-02-29T00:00:00Z", second * NS_PER_SECOND),
            (
                "2024-02-29T02:30:00.5+02:30",
                second * NS_PER_SECOND + 500_000_000,
            ),
            (
                "2024-02-28t23:00:00.123456789987-01:00",
                second * NS_PER_SECOND + 123_456_789,
            ),
            ("2024-02-28 23:59:60z", second * NS_PER_SECOND),
        ] {
            assert_eq!(parse(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_not_read() {
        for text in [
            "",
            "T",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-1-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00Zx",
            "2024-01-01T00:00:00+1:00",
            "+024-01-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2024-01-01T00:00:00é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
