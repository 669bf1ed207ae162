//! The user namespace: `--userns`, `--uidmap`, `--gidmap`. The image is not changed for it: its layers, the container's changes
//! and its volumes are id-mapped mounts, so files have the owners inside that the image says.

use std::fs::File;
use std::path::Path;

use nix::fcntl::Flock;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};
use orlop_spec::{IdMapping, Linux, Mount, Namespace, NamespaceKind};

use super::home;

/// As many ids as most images have names for.
const USUAL: u32 = 65536;
/// Who has the ids that containers are given, in `/etc/subuid` and `/etc/subgid`: the name that Podman uses.
const OWNER: &str = "containers";

/// Which ids of the host the container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The host's own.
    #[default]
    Host,
    /// So many that no other container has.
    Auto(u32),
    /// These: users, and groups.
    Given(Vec<IdMapping>, Vec<IdMapping>),
}

impl Ids {
    /// From what the options say.
    ///
    /// # Errors
    ///
    /// They are not understood, or do not go together.
    pub(crate) fn read(
        mode: Option<&str>,
        users: Vec<IdMapping>,
        groups: Vec<IdMapping>,
    ) -> std::result::Result<Self, String> {
        let given = !users.is_empty() || !groups.is_empty();
        let ids = match mode {
            Some("auto") => Self::Auto(USUAL),
            Some("host") => Self::Host,
            None if !given => Self::Host,
            // One list is for both, as with Podman.
            None if users.is_empty() => Self::Given(groups.clone(), groups),
            None if groups.is_empty() => Self::Given(users.clone(), users),
            None => Self::Given(users, groups),
            Some(text) => {
                let size = text.strip_prefix("auto:size=").and_then(|size| size.parse().ok());
                let size = size.filter(|size| *size > 0);
                Self::Auto(size.ok_or("--userns: there are host, auto and auto:size=N")?)
            }
        };
        if mode.is_some() && given {
            return Err("--userns, or --uidmap and --gidmap: not both".to_owned());
        }
        Ok(ids)
    }
}

/// `--uidmap`, `--gidmap`: `CONTAINER:HOST:SIZE`.
pub(crate) fn mapping(text: &str) -> std::result::Result<IdMapping, String> {
    let mapping = IdMapping::parse(text, ':').filter(|mapping| mapping.size > 0);
    mapping.ok_or_else(|| "there is CONTAINER:HOST:SIZE, three numbers".to_owned())
}

/// What others are kept from while ids are chosen and until the config says them.
pub(crate) type Claim = Option<Flock<File>>;

impl Ids {
    /// Gives the config these ids.
    ///
    /// # Errors
    ///
    /// There are none left; the kernel's answer.
    pub(crate) fn apply(&self, linux: &mut Linux, store: &Path) -> Result<Claim> {
        let (claim, users, groups) = match self {
            Self::Host => return Ok(None),
            Self::Given(users, groups) => (None, users.clone(), groups.clone()),
            Self::Auto(size) => {
                let claim = home::lock(store)?;
                let free = |file: &str, used: &[IdMapping]| {
                    let path = format!("/etc/{file}");
                    let text = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
                    let host_id = first_free(&text, used, *size).ok_or_else(|| none_left(&path, *size))?;
                    Ok::<_, Error>(vec![IdMapping { container_id: 0, host_id, size: *size }])
                };
                let (users, groups) = home::ids(store)?;
                (Some(claim), free("subuid", &users)?, free("subgid", &groups)?)
            }
        };
        linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: String::new() });
        (linux.uid_mappings, linux.gid_mappings) = (users, groups);
        Ok(claim)
    }
}

fn none_left(path: &str, size: u32) -> Error {
    Error::usage(format!(
        "--userns=auto: {path} gives {OWNER:?} no {size} ids that no other container has: a line such as \
         {OWNER}:2147483648:1048576 does"
    ))
}

/// The first of so many ids that [`OWNER`] is given, and that nobody uses.
fn first_free(granted: &str, used: &[IdMapping], size: u32) -> Option<u32> {
    let ranges = granted.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(OWNER)).then_some(())?;
        Some((fields.next()?.parse::<u64>().ok()?, fields.next()?.trim().parse::<u64>().ok()?))
    });
    for (first, count) in ranges {
        let mut at = first;
        let end = first.saturating_add(count).min(u64::from(u32::MAX));
        while at + u64::from(size) <= end {
            let overlaps = |map: &&IdMapping| {
                let (start, end) = (u64::from(map.host_id), u64::from(map.host_id) + u64::from(map.size));
                start < at + u64::from(size) && at < end
            };
            match used.iter().find(overlaps) {
                None => return u32::try_from(at).ok(),
                Some(other) => at = u64::from(other.host_id) + u64::from(other.size),
            }
        }
    }
    None
}

/// What is mounted for a container with ids of its own: whoever has the network may mount a sysfs that shows it, others see
/// the host's.
pub(crate) fn sys(mounts: &mut [Mount], own_network: bool) {
    for mount in mounts.iter_mut().filter(|mount| mount.destination == "/sys") {
        let (kind, source, how) =
            if own_network { ("sysfs", "sysfs", None) } else { ("none", "/sys", Some("rbind")) };
        (mount.kind, mount.source) = (kind.to_owned(), source.to_owned());
        mount.options =
            how.into_iter().chain(["nosuid", "noexec", "nodev", "ro"]).map(str::to_owned).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id: 0, host_id, size }
    }

    #[test]
    fn options_are_understood_or_refused() {
        assert_eq!(Ids::read(None, vec![], vec![]), Ok(Ids::Host));
        assert_eq!(Ids::read(Some("auto"), vec![], vec![]), Ok(Ids::Auto(65536)));
        assert_eq!(Ids::read(Some("auto:size=10"), vec![], vec![]), Ok(Ids::Auto(10)));
        let (users, groups) = (vec![map(1, 2)], vec![map(3, 4)]);
        assert_eq!(Ids::read(None, users.clone(), vec![]), Ok(Ids::Given(users.clone(), users.clone())));
        assert_eq!(Ids::read(None, users.clone(), groups.clone()), Ok(Ids::Given(users.clone(), groups)));
        assert!(Ids::read(Some("host"), users, vec![]).is_err());
        for wrong in ["", "keep-id", "auto:size=", "auto:size=0", "auto:x=1"] {
            assert!(Ids::read(Some(wrong), vec![], vec![]).is_err(), "{wrong}");
        }
        assert_eq!(mapping("0:100000:65536"), Ok(map(100_000, 65536)));
        for wrong in ["", "0", "0:1", "0:1:0", "0:1:2:3", "a:1:2", "0:1:-1"] {
            assert!(mapping(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_those_that_no_other_container_has() {
        let granted = "me:100000:65536\ncontainers:200000:100\ncontainers:300000:1000\n";
        assert_eq!(first_free(granted, &[], 100), Some(200_000));
        assert_eq!(first_free(granted, &[], 101), Some(300_000));
        assert_eq!(first_free(granted, &[map(200_050, 10)], 100), Some(300_000));
        assert_eq!(first_free(granted, &[map(200_000, 100), map(300_000, 950)], 50), Some(300_950));
        assert_eq!(first_free(granted, &[map(0, 1_000_000)], 50), None);
        assert_eq!(first_free("me:100000:65536\n", &[], 1), None);
    }
}
