//! How values of arguments are read: strictly, because a number that is understood wrongly is a hole.

#![allow(clippy::missing_errors_doc, reason = "each says what is wrong with the text")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orlop_runtime::clock::parse_rfc3339;

/// A user id, or a group id: decimal digits, at most 4294967294 (the next one means "no user" to the kernel).
pub fn user_id(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(id) if digits && id != u32::MAX => Ok(id),
        _ => Err(format!("{text:?} is not a number from 0 to 4294967294")),
    }
}

/// A user: `UID` or `UID:GID`, numbers only (names would have to be looked up inside the container).
pub fn user(text: &str) -> Result<(u32, Option<u32>), String> {
    match text.split_once(':') {
        None => Ok((user_id(text)?, None)),
        Some((uid, gid)) => Ok((user_id(uid)?, Some(user_id(gid)?))),
    }
}

/// An amount of memory in bytes: a number with an optional unit, `64m` or `1.5GiB`. Units are powers of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not an amount of memory such as 64m or 2GiB");
    let lower = text.to_ascii_lowercase();
    let at = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(at);
    let unit = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if unit == 0 && number.contains('.') || part.len() > 6 || part.is_empty() {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part = part.parse::<u64>().map_err(|_| wrong())? * (1 << unit) / 10_u64.pow(part.len() as u32);
    let bytes = whole.checked_mul(1 << unit).and_then(|bytes| bytes.checked_add(part));
    bytes.filter(|bytes| (1..=i64::MAX.unsigned_abs()).contains(bytes)).ok_or_else(wrong)
}

/// A limit of memory in bytes: as [`bytes`], or 0 for "as it is", or -1 for no limit.
pub fn limit(text: &str) -> Result<i64, String> {
    match text {
        "-1" => Ok(-1),
        "0" => Ok(0),
        text => bytes(text).map(|bytes| bytes as i64),
    }
}

/// A time, as Go writes it: numbers with units, such as `5s`, `1m30s` or `0.5h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 5s, 100ms or 1m30s, greater than 0");
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number * unit;
        rest = &rest[end..];
    }
    // A year is longer than anybody waits, and sums with it do not overflow.
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time > Duration::ZERO => Ok(time.min(Duration::from_secs(365 * 86_400))),
        _ => Err(wrong()),
    }
}

/// The same, or none at all: `0s`.
pub fn period(text: &str) -> Result<Duration, String> {
    if text == "0" || text == "0s" { Ok(Duration::ZERO) } else { duration(text) }
}

/// Whole seconds, or -1 for ever.
pub fn patience(text: &str) -> Result<Option<Duration>, String> {
    match text.parse() {
        Ok(-1) => Ok(None),
        Ok(seconds @ 0..=31_536_000) if !text.starts_with('+') => {
            Ok(Some(Duration::from_secs(seconds as u64)))
        }
        _ => Err(format!("{text:?} is not a number of seconds, nor -1")),
    }
}

/// A moment, in seconds and nanoseconds since 1970: as RFC 3339, as a number of seconds, or as the time since then, such as
/// `10m`.
pub fn moment(text: &str) -> Result<(i64, u32), String> {
    if let Some(moment) = parse_rfc3339(text) {
        return Ok(moment);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(whole) && digits(part) && part.len() <= 9 {
        let part = format!("{part:0<9}");
        if let (Ok(seconds), Ok(nanoseconds)) = (whole.parse(), part.parse()) {
            return Ok((seconds, nanoseconds));
        }
    }
    let wrong = || format!("{text:?} is no moment, such as 2026-01-31T12:00:00Z, 1769860800 or 10m (ago)");
    let ago = duration(text).map_err(|_| wrong())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = now.checked_sub(ago).unwrap_or_default();
    Ok((then.as_secs() as i64, then.subsec_nanos()))
}

/// How many lines: a number, or `all`.
pub fn lines(text: &str) -> Result<Option<usize>, String> {
    match text.parse() {
        _ if text == "all" => Ok(None),
        Ok(count) if !text.starts_with('+') => Ok(Some(count)),
        _ => Err(format!("{text:?} is neither a number of lines nor all")),
    }
}

/// A number of CPUs: 0.5 is half of one.
pub fn cpus(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(cpus) if (0.01..=10_000.0).contains(&cpus) => Ok(cpus),
        _ => Err(format!("{text:?} is not a number of CPUs such as 0.5 or 2")),
    }
}

/// A number of processes.
pub fn processes(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("{text:?} is not a number of processes such as 64")),
    }
}

/// An address and a port: `host:port`, `[::1]:port`.
pub fn address(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{text:?} is not an address and a port such as 192.0.2.1:8888");
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match port.parse() {
        Ok(port) if port > 0 && !plain.is_empty() && !text.contains('+') => Ok((plain.to_owned(), port)),
        _ => Err(wrong()),
    }
}

/// A signal: a number, or a name with or without `SIG`.
pub fn signal(text: &str) -> Result<i32, String> {
    orlop_runtime::signal(text).ok_or_else(|| format!("unknown signal {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CVE-2026-30892: crun took the user `1` for 0.
    #[test]
    fn cve_2026_30892_users_are_plain_numbers() {
        assert_eq!(user("1"), Ok((1, None)));
        assert_eq!(user("1:2"), Ok((1, Some(2))));
        assert_eq!(user("0:0"), Ok((0, Some(0))));
        assert_eq!(user("4294967294"), Ok((4_294_967_294, None)));
        for wrong in [
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "0x1",
            "1e3",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "root",
            ":1",
            "1:",
            "1:2:3",
            "1:-2",
            "1: 2",
            "1:+2",
            "1,2",
            "١",
        ] {
            assert!(user(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn amounts_of_memory() {
        for (text, expected) in [
            ("1", 1),
            ("4096", 4096),
            ("64k", 65_536),
            ("64m", 67_108_864),
            ("64MB", 67_108_864),
            ("64MiB", 67_108_864),
            ("1.5g", 1_610_612_736),
            ("0.5m", 524_288),
            ("2t", 2_199_023_255_552),
            ("10b", 10),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "0",
            "m",
            "-1",
            "+1",
            "1.5",
            "1.m",
            ".5m",
            "1 m",
            "1x",
            "1mm",
            "0x10",
            "99999999999g",
            "1.0000001m",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in
            [("5s", 5000), ("100ms", 100), ("1m30s", 90_000), ("0.5h", 1_800_000), ("1s500ms", 1500)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for wrong in ["", "0", "5", "0s", "-1s", "s", "1x", "1.2.3s", "5 s", "1e5s", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment("2000-02-29T00:00:00.12Z"), Ok((951_782_400, 120_000_000)));
        assert_eq!(moment("951782400"), Ok((951_782_400, 0)));
        assert_eq!(moment("951782400.5"), Ok((951_782_400, 500_000_000)));
        let (hour, now) = (moment("1h").unwrap().0, moment("1ns").unwrap().0);
        assert!((3599..=3602).contains(&(now - hour)));
        for wrong in ["", "now", "1.", ".5", "-1", "1.0000000001", "2000-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_to_end_and_numbers_of_lines() {
        assert_eq!((patience("-1"), patience("0")), (Ok(None), Ok(Some(Duration::ZERO))));
        assert!(["", "-2", "+1", "1s", "1.5"].iter().all(|wrong| patience(wrong).is_err()));
        assert_eq!((lines("all"), lines("0")), (Ok(None), Ok(Some(0))));
        assert!(["", "-1", "+1", "many"].iter().all(|wrong| lines(wrong).is_err()));
    }

    #[test]
    fn numbers_of_cpus_and_processes() {
        assert_eq!(cpus("0.5"), Ok(0.5));
        assert_eq!(cpus("2"), Ok(2.0));
        assert!(["0", "-1", "inf", "nan", "", "x"].iter().all(|wrong| cpus(wrong).is_err()));
        assert_eq!(processes("64"), Ok(64));
        assert!(["0", "-1", "", "1.5"].iter().all(|wrong| processes(wrong).is_err()));
    }

    #[test]
    fn addresses_with_ports() {
        assert_eq!(address("192.0.2.1:80"), Ok(("192.0.2.1".to_owned(), 80)));
        assert_eq!(address("[::1]:65535"), Ok(("::1".to_owned(), 65535)));
        for wrong in ["", "host", ":80", "host:", "host:0", "host:65536", "host:+1", "host:x"] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }
}
