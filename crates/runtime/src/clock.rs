//! Moments as text: RFC 3339, as Go programs write it and read it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time now in UTC, as RFC 3339 with nanoseconds, trailing zeros left out as Go does.
pub fn now() -> String {
    // A clock before 1970 is one that was never set.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(since.as_secs(), since.subsec_nanos())
}

/// Seconds and nanoseconds since 1970 as RFC 3339.
pub fn rfc3339(seconds: u64, nanoseconds: u32) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{nanoseconds:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The Gregorian date of a day, counted from 1 January 1970.
const fn date(day: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the leap day is a year's last; an era is the 400 years after which everything
    // repeats, and 719468 days lie between 1 March of year 0 and 1970.
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day_of_month)
}

/// Seconds and nanoseconds since 1970 of a moment as RFC 3339 has it: with a time, or a date alone; `None` if it is none.
pub fn parse_rfc3339(text: &str) -> Option<(i64, u32)> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let at = |index: usize, one_of: &[u8]| text.as_bytes().get(index).is_some_and(|b| one_of.contains(b));
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    if !(at(4, b"-") && at(7, b"-") && (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1970) {
        return None;
    }
    let days = day_number(year, month, day);
    if text.len() == 10 {
        return Some((days * 86_400, 0));
    }
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(at(10, b"Tt ") && at(13, b":") && at(16, b":") && hour < 24 && minute < 60 && second <= 60) {
        return None;
    }
    let rest = &text[19..];
    let (nanoseconds, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let part: String = rest[..end].chars().chain("000000000".chars()).take(9).collect();
            (part.parse().ok().filter(|_| end > 0)?, &rest[end..])
        }
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset(zone)?, nanoseconds))
}

/// Seconds east of Greenwich: `Z`, `+01:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|n| text.len() == 2 && (0..60).contains(n));
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
}

/// The number of a day of the Gregorian calendar, counted from 1 January 1970; the opposite of [`date`].
const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let of_era = year % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_go_writes_them() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399, 999_999_999), "2000-02-28T23:59:59.999999999Z");
        assert_eq!(rfc3339(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z");
        assert_eq!(rfc3339(1_767_225_599, 1), "2025-12-31T23:59:59.000000001Z");
        assert_eq!(rfc3339(4_107_542_400, 0), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn what_is_written_is_read() {
        for (seconds, nanoseconds) in
            [(0, 0), (951_782_399, 999_999_999), (951_782_400, 120_000_000), (4_107_542_400, 1)]
        {
            let text = rfc3339(seconds, nanoseconds);
            assert_eq!(parse_rfc3339(&text), Some((seconds as i64, nanoseconds)), "{text}");
        }
        assert_eq!(parse_rfc3339("2000-02-29"), Some((951_782_400, 0)));
        assert_eq!(parse_rfc3339("2000-02-29T01:30:00.5+01:30"), Some((951_782_400, 500_000_000)));
        for wrong in [
            "",
            "yesterday",
            "2000-13-01",
            "2000-02-29T",
            "2000-02-29T01:30:00",
            "2000-02-29T01:30:00.Z",
            "2000-02-29T0x:30:00Z",
        ] {
            assert_eq!(parse_rfc3339(wrong), None, "{wrong}");
        }
    }
}
