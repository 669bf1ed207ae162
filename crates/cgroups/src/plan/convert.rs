//! From the units of version 1, which the OCI spec speaks, to those of version 2.

/// CPU shares (2 to 262144, default 1024) → `cpu.weight` (1 to 10000, default 100). Zero means unset and gives `None`.
///
/// The formula that runc 1.3.2, crun 1.23 and the kubelet share since 2025. With *l* = log₂(shares):
/// weight = ⌈10^((*l*² + 125 *l*)/612 − 7/34)⌉, the quadratic in *l* that meets minimum, default and maximum of both scales.
/// The older linear formula turned the default of 1024 into 39, so a container without wishes got less than a
/// process outside any container.
pub fn cpu_weight(shares: u64) -> Option<u64> {
    match shares {
        0 => None,
        1..=2 => Some(1),
        262_144.. => Some(10_000),
        _ => {
            let l = f64::from(shares as u32).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            Some(10_f64.powf(exponent).ceil() as u64)
        }
    }
}

/// blkio weight (10 to 1000, default 500) → `io.weight` (1 to 10000, default 100), linear as in runc. Zero means unset.
pub fn io_weight(weight: u16) -> Option<u64> {
    match u64::from(weight) {
        0 => None,
        weight => Some(1 + weight.saturating_sub(10) * 9999 / 990),
    }
}

/// A limit of version 2: `max`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Max,
    /// So many bytes.
    Bytes(u64),
}

impl Limit {
    /// The number, or `None` for no limit.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Max => None,
            Self::Bytes(n) => Some(n),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Bytes(n) => n.fmt(f),
        }
    }
}

/// A limit of the OCI spec: 0 is unset, −1 is no limit, other negative numbers are nonsense.
///
/// # Errors
/// A sentence about the number.
pub fn limit(value: i64) -> Result<Option<Limit>, String> {
    match value {
        0 => Ok(None),
        -1 => Ok(Some(Limit::Max)),
        n => u64::try_from(n)
            .map(|n| Some(Limit::Bytes(n)))
            .map_err(|_| format!("{n} is not a limit: it must be positive, or -1 for no limit")),
    }
}

/// Memory and swap together, as the OCI spec has it → swap alone, for `memory.swap.max`. `None` leaves the file alone.
///
/// The rules are runc's: unlimited memory and no word about swap means unlimited swap; with unlimited memory the swap
/// value is taken as it is; otherwise it is the difference, which may be zero and then disables swap.
///
/// # Errors
/// A sentence: a swap limit without a memory limit, or a sum that is below the memory limit.
pub fn swap_alone(memory: Option<Limit>, sum: Option<Limit>) -> Result<Option<Limit>, String> {
    match (memory, sum) {
        (Some(Limit::Max), None) | (_, Some(Limit::Max)) => Ok(Some(Limit::Max)),
        (_, None) => Ok(None),
        (Some(Limit::Max), sum) => Ok(sum),
        (None, Some(Limit::Bytes(_))) => Err("a swap limit needs a memory limit beside it".into()),
        (Some(Limit::Bytes(memory)), Some(Limit::Bytes(sum))) => match sum.checked_sub(memory) {
            Some(swap) => Ok(Some(Limit::Bytes(swap))),
            None => {
                Err(format!("memory and swap together ({sum}) are less than the memory limit ({memory})"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, cpu_weight, io_weight, limit, swap_alone};

    #[test]
    fn cpu_weight_meets_both_scales() {
        // The last column of what runc, crun and the kubelet document for their common formula.
        for (shares, weight) in [
            (0, None),
            (1, Some(1)),
            (2, Some(1)),
            (10, Some(4)),
            (100, Some(17)),
            (102, Some(17)),
            (512, Some(59)),
            (1024, Some(100)),
            (2048, Some(174)),
            (102_400, Some(4429)),
            (262_143, Some(10_000)),
            (262_144, Some(10_000)),
            (u64::MAX, Some(10_000)),
        ] {
            assert_eq!(cpu_weight(shares), weight, "{shares} shares");
        }
    }

    #[test]
    fn cpu_weight_never_falls() {
        let mut last = 0;
        for shares in 1..=262_145 {
            let weight = cpu_weight(shares).unwrap();
            assert!((1..=10_000).contains(&weight) && weight >= last);
            last = weight;
        }
    }

    #[test]
    fn io_weight_is_linear() {
        for (weight, want) in [(0, None), (10, Some(1)), (500, Some(4950)), (1000, Some(10_000))] {
            assert_eq!(io_weight(weight), want);
        }
    }

    #[test]
    fn swap_follows_the_rules_of_runc() {
        let n = |n| limit(n).unwrap();
        for (memory, sum, want) in [
            (0, 0, None),
            (1000, 0, None),
            (-1, 0, Some(Limit::Max)),
            (1000, -1, Some(Limit::Max)),
            (0, -1, Some(Limit::Max)),
            (-1, 500, Some(Limit::Bytes(500))),
            (1000, 1500, Some(Limit::Bytes(500))),
            (1000, 1000, Some(Limit::Bytes(0))),
        ] {
            assert_eq!(swap_alone(n(memory), n(sum)), Ok(want), "memory {memory}, together {sum}");
        }
        assert!(swap_alone(n(0), n(500)).is_err());
        assert!(swap_alone(n(1000), n(500)).is_err());
        assert!(limit(-2).is_err());
    }
}
