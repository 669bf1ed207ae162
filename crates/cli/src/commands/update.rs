//! `orlop update`

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, ArgMatches};
use orlop_runtime::error::Problem;
use orlop_runtime::{Error, ResourcesSource, Result, Schemas};
use orlop_spec::{BlockIo, Cpu, Memory, Pids, Resources};

use super::{Entry, PLAIN};
use crate::{flags, values};

pub(super) const ENTRY: Entry = Entry {
    name: "update",
    about: "Change the limits of a container",
    arguments: |command| {
        let names = LIMITS.iter().map(|limit| limit.flag);
        let file =
            flags::path("resources", "FILE", "Read them as JSON, like linux.resources, from FILE or -")
                .short('r')
                .conflicts_with_all(names);
        let schemas = SCHEMAS.map(|(name, help)| flags::option(name, "SCHEMA", help));
        command.arg(flags::id()).arg(file).args(LIMITS.iter().map(Limit::define)).args(schemas)
    },
    run: |globals, arguments| {
        let source = match flags::get::<PathBuf>(arguments, "resources") {
            Some(file) => ResourcesSource::File(file.clone()),
            None => ResourcesSource::Args(Box::new(resources(arguments)?)),
        };
        let [l3_cache, mem_bw] =
            SCHEMAS.map(|(name, _)| flags::get::<String>(arguments, name).cloned().unwrap_or_default());
        let schemas = Schemas { l3_cache, mem_bw };
        let done = globals.runtime()?.update_with(&flags::get_id(arguments)?, &source, &schemas);
        if matches!(source, ResourcesSource::Args(_)) {
            done.map_err(in_words_of_flags)?;
        } else {
            done?;
        }
        Ok(0)
    },
    ..PLAIN
};

/// Shares of caches and of memory bandwidth, which are not among the limits.
const SCHEMAS: [(&str, &str); 2] = [
    ("l3-cache-schema", "Share of the L3 cache, such as L3:0=7f0;1=1f (Intel RDT)"),
    ("mem-bw-schema", "Share of memory bandwidth, such as MB:0=20;1=70 (Intel RDT)"),
];

/// A limit that has a flag.
struct Limit {
    flag: &'static str,
    value: &'static str,
    help: &'static str,
    /// Where it stands in a document.
    pointer: &'static str,
}

const fn limit(flag: &'static str, value: &'static str, help: &'static str, pointer: &'static str) -> Limit {
    Limit { flag, value, help, pointer }
}

const LIMITS: [Limit; 16] = [
    limit("blkio-weight", "N", "Share of block devices, 10 to 1000", "/blockIO/weight"),
    limit("cpu-period", "USEC", "Period of the CPU quota", "/cpu/period"),
    limit("cpu-quota", "USEC", "CPU time in each period; -1 is no limit", "/cpu/quota"),
    limit("cpu-burst", "USEC", "CPU time saved up for bursts", "/cpu/burst"),
    limit("cpu-share", "N", "Share of CPU time, 2 to 262144", "/cpu/shares"),
    limit("cpu-idle", "0|1", "Run only when nothing else does", "/cpu/idle"),
    limit("cpu-rt-period", "USEC", "Period of realtime CPU time (cgroup v1)", "/cpu/realtimePeriod"),
    limit("cpu-rt-runtime", "USEC", "Realtime CPU time in each period (cgroup v1)", "/cpu/realtimeRuntime"),
    limit("cpuset-cpus", "LIST", "CPUs to run on, such as 0-3,7", "/cpu/cpus"),
    limit("cpuset-mems", "LIST", "Memory nodes to use, such as 0-1", "/cpu/mems"),
    limit("memory", "BYTES", "Limit of memory, such as 64m; -1 is none", "/memory/limit"),
    limit("memory-reservation", "BYTES", "Memory that is reclaimed last", "/memory/reservation"),
    limit("memory-swap", "BYTES", "Limit of memory and swap together; -1 is none", "/memory/swap"),
    limit("kernel-memory", "BYTES", "Ignored, with a warning: gone from Linux", "/memory/kernel"),
    limit("kernel-memory-tcp", "BYTES", "Ignored, with a warning: gone from Linux", "/memory/kernelTCP"),
    limit("pids-limit", "N", "Limit of processes; -1 is none", "/pids/limit"),
];

impl Limit {
    fn define(&self) -> Arg {
        let flag = flags::option(self.flag, self.value, self.help);
        match self.flag {
            "cpu-share" => flag.alias("cpu-shares"),
            "kernel-memory" | "kernel-memory-tcp" => flag.hide(true),
            _ => flag,
        }
    }
}

/// What the flags say. One that is empty says nothing, as with runc.
fn resources(arguments: &ArgMatches) -> Result<Resources> {
    let given = |flag: &str| flags::get::<String>(arguments, flag).filter(|text| !text.is_empty());
    let text = |flag: &str| given(flag).cloned().unwrap_or_default();
    let memory = |flag: &'static str| given(flag).map(|text| value(flag, values::limit(text))).transpose();
    let cpu = Cpu {
        shares: number(given("cpu-share"), "cpu-share")?,
        quota: number(given("cpu-quota"), "cpu-quota")?,
        burst: number(given("cpu-burst"), "cpu-burst")?,
        period: number(given("cpu-period"), "cpu-period")?,
        realtime_runtime: number(given("cpu-rt-runtime"), "cpu-rt-runtime")?,
        realtime_period: number(given("cpu-rt-period"), "cpu-rt-period")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
        idle: number(given("cpu-idle"), "cpu-idle")?,
    };
    let memory = Memory {
        limit: memory("memory")?,
        reservation: memory("memory-reservation")?,
        swap: memory("memory-swap")?,
        kernel: memory("kernel-memory")?,
        kernel_tcp: memory("kernel-memory-tcp")?,
        ..Memory::default()
    };
    let weight = number(given("blkio-weight"), "blkio-weight")?;
    let pids = number(given("pids-limit"), "pids-limit")?;
    Ok(Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: pids.map(|limit| Pids { limit: Some(limit) }),
        block_io: weight.map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    })
}

fn number<T: FromStr>(given: Option<&String>, flag: &str) -> Result<Option<T>> {
    let parse =
        |text: &String| value(flag, text.parse().map_err(|_| format!("{text:?} is not such a number")));
    given.map(parse).transpose()
}

fn value<T>(flag: &str, parsed: std::result::Result<T, String>) -> Result<T> {
    parsed.map_err(|why| Error::usage(format!("invalid value for {flag}: {why}")))
}

/// There is no document, so places in it become flags.
fn in_words_of_flags(error: Error) -> Error {
    let Error::Config { problems, .. } = error else { return error };
    let words = |problem: Problem| match LIMITS.iter().find(|limit| limit.pointer == problem.pointer) {
        Some(limit) => format!("invalid value for {}: {}", limit.flag, problem.what),
        None => problem.to_string(),
    };
    Error::usage(problems.into_iter().map(words).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Resources> {
        resources(&ENTRY.define().no_binary_name(true).get_matches_from([arguments, &["web"]].concat()))
    }

    /// Every flag sets what it says it sets, and nothing else.
    #[test]
    fn every_flag_is_one_limit() {
        for limit in &LIMITS {
            let text = if limit.value == "LIST" { "0-1" } else { "10" };
            let json = serde_json::to_value(parsed(&[&format!("--{}", limit.flag), text]).unwrap()).unwrap();
            let set = json.pointer(limit.pointer).unwrap_or_else(|| panic!("{}: {json}", limit.flag));
            assert!(set == 10 || set == "0-1", "{}: {json}", limit.flag);
            assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        }
        assert_eq!(parsed(&["--cpu-quota", "", "--cpuset-cpus="]).unwrap(), Resources::default());
        assert_eq!(parsed(&["--memory", "-1"]).unwrap().memory.unwrap().limit, Some(-1));
        assert_eq!(parsed(&["--memory=50M"]).unwrap().memory.unwrap().limit, Some(50 << 20));
        assert_eq!(parsed(&["--cpu-shares", "5"]).unwrap().cpu.unwrap().shares, Some(5));
    }

    #[test]
    fn wrong_values_name_their_flag() {
        for (flag, text) in [
            ("cpu-period", "-5"),
            ("cpu-share", "many"),
            ("cpu-idle", "yes"),
            ("blkio-weight", "70000"),
            ("pids-limit", "1.5"),
            ("memory", "-2"),
            ("memory", "64x"),
        ] {
            let error = parsed(&[&format!("--{flag}"), text]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid value for {flag}: {text:?} is not")), "{error}");
        }
    }
}
