//! Limits as properties of a unit (systemd.resource-control(5)).
//!
//! The limits themselves are written to the cgroup's files by `orlop-cgroups`. systemd has to know them too: it writes
//! its own idea of a unit's limits to the same files when it likes, after `systemctl daemon-reload` for instance. What it
//! has no property for, it leaves alone.

use orlop_spec::{DeviceRule, DeviceRuleKind};

use crate::value::{Property, Value};

/// Numbers of CPUs and memory nodes are below this; the largest kernels have 8192 CPUs.
const MOST_CPUS: usize = 65_536;

/// The period that the kernel begins with, in microseconds.
const PERIOD: u64 = 100_000;

/// The properties that mean what is written to files of the version 2 hierarchy: pairs of file and value. Files that the
/// given version of systemd has no property for are left out.
pub fn properties<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, version: u32) -> Vec<Property> {
    let files: Vec<_> = files.into_iter().map(|(file, value)| (file, value.trim())).collect();
    // Since 252 systemd knows idle, as the weight 0; it may not be given twice.
    let idle = version >= 252 && files.contains(&("cpu.idle", "1"));
    let mut all = Vec::new();
    for (file, value) in files {
        match file {
            "cpu.idle" if idle => all.push(Property::new("CPUWeight", 0)),
            "cpu.weight" if idle => {}
            "cpu.max" => all.extend(cpu_max(value, version)),
            _ => all.extend(simple(file, value, version)),
        }
    }
    all
}

/// What can be said of a unit only when it is started: `memory.oom.group`, since systemd 253.
pub fn at_start<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, version: u32) -> Option<Property> {
    let group = files.into_iter().filter(|(file, _)| *file == "memory.oom.group").last();
    let policy = match group?.1.trim() {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    (version >= 253).then(|| Property::new("OOMPolicy", policy))
}

/// Files of one property.
fn simple(file: &str, value: &str, version: u32) -> Option<Property> {
    let (name, since, value) = match file {
        "cpu.weight" => ("CPUWeight", 0, value.parse().ok().map(Value::U64)),
        "cpuset.cpus" => ("AllowedCPUs", 244, bits(value)),
        "cpuset.mems" => ("AllowedMemoryNodes", 244, bits(value)),
        "io.weight" => {
            let weight = value.strip_prefix("default ").unwrap_or(value);
            ("IOWeight", 0, weight.parse().ok().map(Value::U64))
        }
        "io.bfq.weight" => ("IOWeight", 0, value.parse().ok().and_then(from_bfq).map(Value::U64)),
        "memory.high" => ("MemoryHigh", 0, bytes(value)),
        "memory.low" => ("MemoryLow", 0, bytes(value)),
        "memory.max" => ("MemoryMax", 0, bytes(value)),
        "memory.min" => ("MemoryMin", 0, bytes(value)),
        "memory.swap.max" => ("MemorySwapMax", 0, bytes(value)),
        "memory.zswap.max" => ("MemoryZSwapMax", 253, bytes(value)),
        // It knows no limit of zero tasks.
        "pids.max" => {
            ("TasksMax", 0, bytes(value).map(|n| if n == Value::U64(0) { Value::U64(1) } else { n }))
        }
        _ => return None,
    };
    // A value that is not understood is left to the kernel, which says what is wrong with it.
    value.filter(|_| version >= since).map(|value| Property::new(name, value))
}

/// A number with the kernel's suffixes, or `max`, which systemd calls infinity.
fn bytes(value: &str) -> Option<Value> {
    if value == "max" {
        return Some(Value::U64(u64::MAX));
    }
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match value[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(Value::U64)
}

/// systemd turns a weight from 1 to 10000 into BFQ's from 1 to 1000, with 100 as the default of both. This is the way back.
fn from_bfq(weight: u64) -> Option<u64> {
    match weight {
        1..=100 => Some(weight),
        101..=1000 => Some(100 + (weight - 100) * 11),
        _ => None,
    }
}

/// `quota period`, both in microseconds, or `max period`.
fn cpu_max(value: &str, version: u32) -> Vec<Property> {
    let Some((quota, period)) = quota_and_period(value) else { return Vec::new() };
    let per_second = quota.map_or(u64::MAX, |quota| per_second(quota, period));
    let mut all = Vec::new();
    if version >= 242 {
        all.push(Property::new("CPUQuotaPeriodUSec", period));
    }
    all.push(Property::new("CPUQuotaPerSecUSec", per_second));
    all
}

fn quota_and_period(value: &str) -> Option<(Option<u64>, u64)> {
    let mut words = value.split_ascii_whitespace();
    let quota = match words.next()? {
        "max" => None,
        quota => Some(quota.parse().ok()?),
    };
    let period = words.next().map_or(Some(PERIOD), |period| period.parse().ok())?;
    (period > 0 && words.next().is_none()).then_some((quota, period))
}

/// Microseconds of CPU time in each second, in whole percents of a CPU, which is all that systemd counts. Rounded up, so
/// that cgroups below can have what was asked for.
fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * 1_000_000 / u128::from(period);
    u64::try_from(exact.next_multiple_of(10_000)).unwrap_or(u64::MAX)
}

/// The value of `cpu.max` that systemd would write, if it is another than this: it counts in whole percents of a CPU.
pub fn rounded_cpu_max(value: &str) -> Option<String> {
    let (quota, period) = quota_and_period(value)?;
    let quota = quota?;
    let rounded = u128::from(per_second(quota, period)) * u128::from(period) / 1_000_000;
    let exact = u128::from(quota) * 1_000_000 / u128::from(period);
    (exact % 10_000 != 0).then(|| format!("{rounded} {period}"))
}

/// A list such as `0-3,7` as bits, the first CPU in the lowest bit of the first byte.
fn bits(list: &str) -> Option<Value> {
    let mut bits: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST_CPUS {
            return None;
        }
        if bits.len() <= last / 8 {
            bits.resize(last / 8 + 1, 0);
        }
        (first..=last).for_each(|cpu| bits[cpu / 8] |= 1 << (cpu % 8));
    }
    (!bits.is_empty()).then(|| Value::bytes(&bits))
}

/// The properties that let a unit use these devices and no others, by rules that only allow, each of one kind; `None` is all.
///
/// Device programs of a cgroup add up: each must allow what is done. So where systemd cannot say what is meant, its own
/// program is left out, and ours alone decides.
pub fn devices(allowed: Option<&[DeviceRule]>, version: u32) -> [Property; 2] {
    let entry = |rule: &DeviceRule| {
        let kind = if rule.kind == DeviceRuleKind::Block { "block" } else { "char" };
        let path = match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
            (Some(major), None) => format!("{kind}-{major}"),
            (None, None) => format!("{kind}-*"),
            (None, Some(_)) => return None,
        };
        Some(Value::Struct(vec![Value::Str(path), Value::Str(rule.access.clone())]))
    };
    // Before 240, numbers of devices were looked for in /dev, and majors had to have names.
    let entries = allowed.filter(|_| version >= 240).and_then(|all| all.iter().map(entry).collect());
    let policy = if entries.is_some() { "strict" } else { "auto" };
    let list = Value::Array("(ss)".to_owned(), entries.unwrap_or_default());
    [Property::new("DevicePolicy", policy), Property::new("DeviceAllow", list)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_numbers(files: &[(&str, &str)], version: u32) -> Vec<(String, u64)> {
        let number = |value| if let Value::U64(n) = value { n } else { panic!("{value:?}") };
        properties(files.iter().copied(), version).into_iter().map(|p| (p.name, number(p.value))).collect()
    }

    #[test]
    fn files_have_properties() {
        for (file, value, name, want) in [
            ("memory.max", "33554432", "MemoryMax", 33_554_432),
            ("memory.max", "32M", "MemoryMax", 33_554_432),
            ("memory.swap.max", "max", "MemorySwapMax", u64::MAX),
            ("memory.low", "1", "MemoryLow", 1),
            ("memory.min", "0", "MemoryMin", 0),
            ("memory.high", " 20971520\n", "MemoryHigh", 20_971_520),
            ("pids.max", "20", "TasksMax", 20),
            ("pids.max", "0", "TasksMax", 1),
            ("pids.max", "max", "TasksMax", u64::MAX),
            ("cpu.weight", "59", "CPUWeight", 59),
            ("cpu.idle", "1", "CPUWeight", 0),
            ("io.weight", "default 200", "IOWeight", 200),
            ("io.bfq.weight", "500", "IOWeight", 4500),
            ("io.bfq.weight", "10", "IOWeight", 10),
        ] {
            assert_eq!(names_and_numbers(&[(file, value)], 252), [(name.to_owned(), want)], "{file}={value}");
        }
    }

    #[test]
    fn what_systemd_cannot_say_is_left_out() {
        for (file, value, version) in [
            ("memory.max", "many", 252),
            ("memory.max", "99999999999999999999", 252),
            ("memory.max", "18446744073709551615T", 252),
            ("hugetlb.2MB.max", "0", 252),
            ("io.weight", "8:0 200", 252),
            ("io.max", "8:0 rbps=1", 252),
            ("cpu.max", "1 2 3", 252),
            ("cpu.max", "5 0", 252),
            ("cpu.idle", "0", 252),
            ("cpu.idle", "1", 251),
            ("cpuset.cpus", "0", 243),
            ("cpuset.cpus", "3-1", 252),
            ("cpuset.cpus", "0-4294967295", 252),
            ("cpuset.cpus", "", 252),
            ("memory.zswap.max", "0", 252),
        ] {
            assert_eq!(properties([(file, value)], version), [], "{file}={value}");
        }
        let both = [("cpu.weight", "59"), ("cpu.idle", "1")];
        assert_eq!(names_and_numbers(&both, 252), [("CPUWeight".to_owned(), 0)]);
        assert_eq!(names_and_numbers(&both, 251), [("CPUWeight".to_owned(), 59)]);
    }

    #[test]
    fn quotas_are_rounded_up_to_percents() {
        for (value, period, per_second, rounded) in [
            ("50000 100000", 100_000, 500_000, None),
            ("20000", 100_000, 200_000, None),
            ("max 50000", 50_000, u64::MAX, None),
            ("5001 100000", 100_000, 60_000, Some("6000 100000")),
            ("333 1000", 1000, 340_000, Some("340 1000")),
            ("18446744073709551615 1", 1, u64::MAX, None),
        ] {
            let of = |name: &str, value| (name.to_owned(), value);
            let want = [of("CPUQuotaPeriodUSec", period), of("CPUQuotaPerSecUSec", per_second)];
            assert_eq!(names_and_numbers(&[("cpu.max", value)], 252), want, "{value}");
            assert_eq!(rounded_cpu_max(value).as_deref(), rounded, "{value}");
            assert_eq!(names_and_numbers(&[("cpu.max", value)], 241).len(), 1);
        }
    }

    #[test]
    fn lists_of_cpus_are_bits() {
        for (list, want) in [("0", &[1][..]), ("5-8", &[0xe0, 1]), ("1, 3-5 ,", &[0x3a])] {
            assert_eq!(bits(list), Some(Value::bytes(want)), "{list}");
        }
    }

    #[test]
    fn what_to_do_out_of_memory_is_said_at_start() {
        let policy = |value, version| at_start([("memory.oom.group", value)], version).map(|p| p.value);
        assert_eq!(policy("1", 253), Some("kill".into()));
        assert_eq!(policy("0", 253), Some("continue".into()));
        assert_eq!((policy("1", 252), policy("2", 253)), (None, None));
    }

    #[test]
    fn devices_are_listed_or_left_to_our_own_program() {
        use DeviceRuleKind::{Block, Char};
        let rule = |kind, major, minor| DeviceRule { allow: true, kind, major, minor, access: "rwm".into() };
        let null = rule(Char, Some(1), Some(3));
        let list = [null.clone(), rule(Block, Some(8), None), rule(Char, None, None)];
        let [policy, allow] = devices(Some(&list), 252);
        assert_eq!(policy.value, "strict".into());
        let Value::Array(_, entries) = allow.value else { panic!() };
        let paths: Vec<_> = entries
            .iter()
            .map(|e| if let Value::Struct(fields) = e { fields[0].clone() } else { panic!() })
            .collect();
        assert_eq!(paths, ["/dev/char/1:3".into(), "block-8".into(), "char-*".into()]);
        for (list, version) in [
            (None, 252),
            (Some(&[null.clone(), rule(Block, None, Some(1))][..]), 252),
            (Some(&[null.clone()][..]), 239),
        ] {
            assert_eq!(devices(list, version)[0].value, "auto".into());
        }
    }
}
