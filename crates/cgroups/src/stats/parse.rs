//! The four formats of the kernel's files (cgroup-v2.rst, "Interface Files", "Format").

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Pressure, Stall};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::plan::convert::Limit;

/// A limit as either version writes it; `None` where it is none.
pub(super) fn limit(text: &str) -> Option<Limit> {
    /// Version 1 counts pages in a signed long; its "no limit" is the largest whole page below 2⁶³.
    const NO_LIMIT_V1: u64 = 1 << 62;
    match text.trim() {
        "max" => Some(Limit::Max),
        number => match number.parse().ok()? {
            NO_LIMIT_V1.. => Some(Limit::Max),
            bytes => Some(Limit::Bytes(bytes)),
        },
    }
}

/// A file with one number; `None` where there is no such file.
pub(super) fn number(dir: &Dir, file: &str) -> Result<Option<u64>> {
    single(dir, file, |text| text.trim().parse().ok())
}

/// A file with one limit; `None` where there is no limit, or no such file.
pub(super) fn limit_of(dir: &Dir, file: &str) -> Result<Option<u64>> {
    Ok(single(dir, file, limit)?.and_then(Limit::bytes))
}

fn single<T>(dir: &Dir, file: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    let Some(text) = dir.read_if_there(file)? else { return Ok(None) };
    match parse(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(odd(dir, file, &text)),
    }
}

/// A flat keyed file: a name and a number on each line.
pub(super) fn keyed(dir: &Dir, file: &str) -> Result<Option<BTreeMap<String, u64>>> {
    let Some(text) = dir.read_if_there(file)? else { return Ok(None) };
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    let pairs = text.lines().map(|line| pair(line).ok_or_else(|| odd(dir, file, line)));
    pairs.collect::<Result<_>>().map(Some)
}

/// A nested keyed file: a name and pairs `key=value` on each line.
///
/// Some kernels print the names of idle devices in front of the next one's line; the last name is the one.
pub(super) fn nested(text: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, &str)>)> {
    text.lines().filter_map(|line| {
        let words = || line.split_ascii_whitespace();
        let name = words().take_while(|word| !word.contains('=')).last()?;
        Some((name, words().filter_map(|word| word.split_once('='))))
    })
}

/// A list of numbers such as `0-3,7`; empty where there is no such file.
pub(super) fn list(dir: &Dir, file: &str) -> Result<Vec<u16>> {
    let text = dir.read_if_there(file)?.unwrap_or_default();
    numbers(text.trim()).ok_or_else(|| odd(dir, file, &text))
}

fn numbers(list: &str) -> Option<Vec<u16>> {
    let mut all = Vec::new();
    for range in list.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

/// A device number such as `8:16`.
pub(super) fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A pressure file. Lines and keys that are not known are skipped.
pub(super) fn pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for (name, pairs) in nested(text) {
        let stall = match name {
            "some" => &mut pressure.some,
            "full" => &mut pressure.full,
            _ => continue,
        };
        *stall = pairs.fold(Stall::default(), |mut stall, (key, value)| {
            match key {
                "avg10" => stall.avg10 = value.parse().unwrap_or_default(),
                "avg60" => stall.avg60 = value.parse().unwrap_or_default(),
                "avg300" => stall.avg300 = value.parse().unwrap_or_default(),
                "total" => stall.total = Duration::from_micros(value.parse().unwrap_or_default()),
                _ => {}
            }
            stall
        });
    }
    pressure
}

/// The error of a file that does not read as it should.
pub(super) fn odd(dir: &Dir, file: &str, text: &str) -> Error {
    Error::Parse { path: dir.join(file), text: text.trim().into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limit, device, limit, nested, numbers, pressure};

    #[test]
    fn both_versions_words_for_no_limit() {
        assert_eq!(limit("max\n"), Some(Limit::Max));
        assert_eq!(limit("9223372036854771712\n"), Some(Limit::Max));
        assert_eq!(limit("4096\n"), Some(Limit::Bytes(4096)));
        assert_eq!(limit("-1"), None);
    }

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(numbers(""), Some(vec![]));
        assert_eq!(numbers("0-"), None);
    }

    #[test]
    fn nested_lines() {
        let text = "8:16 rbytes=1459200 wbytes=314773504\n8:0\n8:1 8:2 rbytes=1\n";
        let lines: Vec<_> = nested(text).map(|(name, pairs)| (name, pairs.collect::<Vec<_>>())).collect();
        assert_eq!(lines[0], ("8:16", vec![("rbytes", "1459200"), ("wbytes", "314773504")]));
        assert_eq!(lines[1], ("8:0", vec![]));
        assert_eq!(lines[2], ("8:2", vec![("rbytes", "1")]));
        assert_eq!(device("8:16"), Some((8, 16)));
        assert_eq!(device("Total"), None);
    }

    #[test]
    fn a_pressure_file() {
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=2000000\n\
                    full avg10=0.00 avg60=0.00 avg300=3.00 total=7\n";
        let pressure = pressure(text);
        assert!((pressure.some.avg10 - 1.5).abs() < f64::EPSILON);
        assert!((pressure.full.avg300 - 3.0).abs() < f64::EPSILON);
        assert_eq!(pressure.some.total, Duration::from_secs(2));
        assert_eq!(pressure.full.total, Duration::from_micros(7));
    }
}
