//! Which of several images fits this machine ([image-index.md]).
//!
//! [image-index.md]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::null_is_default;
use crate::error::{Error, Result};

/// What an image runs on, in Go's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// The processor: `amd64`, `arm64`, …
    #[serde(deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The operating system: `linux`.
    #[serde(deserialize_with = "null_is_default")]
    pub os: String,
    /// The kind of processor, such as `v7` or `v3`; empty where the architecture has none, or for its base.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// This machine.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", x86_64_level()),
            "x86" => ("386", String::new()),
            "aarch64" => ("arm64", "v8".into()),
            "arm" => ("arm", "v7".into()),
            other => (other, String::new()),
        };
        Self { architecture: architecture.into(), os: "linux".into(), variant }
    }

    /// How well an image for `other` runs here, more being better; `None` if it does not.
    pub fn rank(&self, other: &Self) -> Option<u32> {
        if (self.os.as_str(), self.architecture.as_str()) != (&other.os, &other.architecture) {
            return None;
        }
        let (have, wanted) = (self.level(), other.level());
        // Without a level, only the same word or none at all fits.
        if have == 0 || wanted == 0 {
            return (other.variant.is_empty() || self.variant == other.variant).then_some(0);
        }
        (wanted <= have).then_some(wanted)
    }

    /// The number of its variant, `v3` being 3, or the least that the architecture has; 0 if it is none of these.
    fn level(&self) -> u32 {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("amd64", "") => 1,
            ("arm", "") => 7,
            ("arm64", "") => 8,
            (_, variant) => variant.strip_prefix('v').and_then(|level| level.parse().ok()).unwrap_or(0),
        }
    }
}

/// The microarchitecture level of an x86_64 processor, as Go and the psABI number them.
fn x86_64_level() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl") {
            return "v4".into();
        }
        if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("fma") && has!("movbe") && has!("lzcnt") {
            return "v3".into();
        }
        if has!("sse4.2") && has!("popcnt") && has!("ssse3") {
            return "v2".into();
        }
    }
    "v1".into()
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let variant = parts.next().unwrap_or_default();
        if os.is_empty() || architecture.is_empty() || parts.next().is_some() {
            return Err(Error::usage(
                format!("platform {text:?}"),
                "it should read OS/ARCHITECTURE[/VARIANT]",
            ));
        }
        Ok(Self { architecture, os, variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_variant_that_runs_is_ranked_highest() {
        let platform = |text: &str| text.parse::<Platform>().expect("well formed");
        for (host, image, rank) in [
            ("linux/amd64/v3", "linux/amd64", Some(1)),
            ("linux/amd64/v3", "linux/amd64/v3", Some(3)),
            ("linux/amd64/v3", "linux/amd64/v4", None),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/arm64/v8", "linux/arm64", Some(8)),
            ("linux/arm/v7", "linux/arm/v6", Some(6)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/riscv64", "linux/riscv64", Some(0)),
        ] {
            assert_eq!(platform(host).rank(&platform(image)), rank, "{image} on {host}");
        }
    }
}
