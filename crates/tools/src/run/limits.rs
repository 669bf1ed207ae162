//! Limits: what of the machine the container may use.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use orlop_spec::{BlockIo, Cpu, Memory, Pids, Resources, Rlimit, RlimitKind, ThrottleDevice};

/// One period of CPU bandwidth control, in microseconds.
const CPU_PERIOD: u32 = 100_000;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) memory: Option<u64>,
    /// Memory and swap together; -1 is any.
    pub(crate) memory_swap: Option<i64>,
    pub(crate) memory_reservation: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) cpu_shares: Option<u64>,
    pub(crate) cpuset_cpus: String,
    pub(crate) cpuset_mems: String,
    pub(crate) pids: Option<i64>,
    pub(crate) blkio_weight: Option<u16>,
    /// Bytes read, bytes written, reads and writes in a second.
    pub(crate) rates: [Vec<ThrottleDevice>; 4],
}

impl Limits {
    /// Writes them into a config.
    pub(crate) fn apply(&self, resources: &mut Resources) -> Result<(), String> {
        let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let memory = Memory {
            limit: self.memory.map(bytes),
            reservation: self.memory_reservation.map(bytes),
            // As with Docker, who limits memory alone gets as much swap.
            swap: self.memory_swap.or(self.memory.map(|n| bytes(n.saturating_mul(2)))),
            ..Memory::default()
        };
        if let (Some(swap), limit) = (self.memory_swap, self.memory)
            && swap != -1
            && limit.is_none_or(|limit| swap < bytes(limit))
        {
            return Err(
                "--memory-swap is memory and swap together: it needs --memory, and is not less".to_owned()
            );
        }
        if memory != Memory::default() {
            resources.memory = Some(memory);
        }
        let cpu = Cpu {
            shares: self.cpu_shares,
            quota: self.cpus.map(|cpus| (cpus * f64::from(CPU_PERIOD)).round() as i64),
            period: self.cpus.map(|_| CPU_PERIOD.into()),
            cpus: self.cpuset_cpus.clone(),
            mems: self.cpuset_mems.clone(),
            ..Cpu::default()
        };
        if cpu != Cpu::default() {
            resources.cpu = Some(cpu);
        }
        if let Some(limit) = self.pids {
            resources.pids = Some(Pids { limit: Some(limit) });
        }
        let [read, write, reads, writes] = self.rates.clone();
        let block = BlockIo {
            weight: self.blkio_weight,
            throttle_read_bps_device: read,
            throttle_write_bps_device: write,
            throttle_read_iops_device: reads,
            throttle_write_iops_device: writes,
            ..BlockIo::default()
        };
        if block != BlockIo::default() {
            resources.block_io = Some(block);
        }
        Ok(())
    }
}

/// `DEVICE:RATE`, the rate as `value` reads it.
pub(crate) fn rate(
    text: &str,
    value: impl Fn(&str) -> Result<u64, String>,
) -> Result<ThrottleDevice, String> {
    let (path, rate) = text.rsplit_once(':').ok_or("there is DEVICE:RATE, such as /dev/sda:1m")?;
    let found = std::fs::metadata(path).map_err(|e| format!("{path}: {e}"))?;
    if !found.file_type().is_block_device() {
        return Err(format!("{path} is not a block device"));
    }
    let device = found.rdev();
    Ok(ThrottleDevice {
        major: i64::from(nix::sys::stat::major(device) as u32),
        minor: i64::from(nix::sys::stat::minor(device) as u32),
        rate: value(rate)?,
    })
}

/// `NAME=SOFT[:HARD]`, a resource limit; -1 is none.
pub(crate) fn ulimit(text: &str) -> Result<Rlimit, String> {
    let (name, values) = text.split_once('=').ok_or("there is NAME=SOFT or NAME=SOFT:HARD")?;
    let known = format!("RLIMIT_{}", name.to_ascii_uppercase());
    let kind = RlimitKind::KNOWN.iter().find(|kind| kind.as_str() == known);
    let kind = kind.ok_or_else(|| format!("{name:?} is no resource limit, such as nofile"))?.clone();
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let value = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|e| format!("{text:?}: {e}")),
        _ => Err(format!("{text:?} is not a number")),
    };
    let (soft, hard) = (value(soft)?, value(hard)?);
    if soft > hard {
        return Err("the soft limit is above the hard one".to_owned());
    }
    Ok(Rlimit { kind, hard, soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_those_of_the_config() {
        let limits = Limits {
            memory: Some(64 << 20),
            cpus: Some(0.5),
            pids: Some(7),
            blkio_weight: Some(300),
            cpuset_cpus: "0".to_owned(),
            ..Limits::default()
        };
        let mut resources = Resources::default();
        limits.apply(&mut resources).unwrap();
        let memory = resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period, cpu.cpus.as_str()), (Some(50_000), Some(100_000), "0"));
        assert_eq!(resources.pids.unwrap().limit, Some(7));
        assert_eq!(resources.block_io.unwrap().weight, Some(300));
        let mut nothing = Resources::default();
        Limits::default().apply(&mut nothing).unwrap();
        assert_eq!(nothing, Resources::default());
    }

    #[test]
    fn swap_is_not_less_than_memory() {
        let wrong = |memory, swap| {
            let limits = Limits { memory, memory_swap: Some(swap), ..Limits::default() };
            limits.apply(&mut Resources::default()).is_err()
        };
        assert!(wrong(None, 5) && wrong(Some(10), 5) && !wrong(Some(10), -1) && !wrong(Some(10), 10));
    }

    #[test]
    fn ulimits_are_numbers_with_a_name() {
        assert_eq!(
            ulimit("nofile=1024:4096"),
            Ok(Rlimit { kind: RlimitKind::Nofile, soft: 1024, hard: 4096 })
        );
        assert_eq!(ulimit("core=-1"), Ok(Rlimit { kind: RlimitKind::Core, soft: u64::MAX, hard: u64::MAX }));
        for wrong in ["nofile", "nofile=", "files=1", "nofile=2:1", "nofile=+1", "nofile=1:2:3"] {
            assert!(ulimit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_for_block_devices() {
        let number = |text: &str| text.parse().map_err(|_| "no number".to_owned());
        for wrong in ["/dev/null:5", "/dev/missing:5", "5", "/dev/null"] {
            assert!(rate(wrong, number).is_err(), "{wrong}");
        }
    }
}
