//! Namespaces that are not the container's own: it joined them by a path, and joins them again.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use orlop_compile::Join;
use orlop_sys::process::setns;
use orlop_sys::{Fd, net};

use super::{CriuError, Message, numbered, opt, pair};
use crate::error::{Doing, Result};

/// How CRIU is told of a namespace.
enum How {
    /// As of something outside, with this name for its kind and this key in the images, as runc and crun have them.
    External(&'static str, &'static str),
    /// As of one to join when restoring, with this name for its kind. It is part of the images too.
    Joined(&'static str),
}

fn how(join: &Join) -> Result<How> {
    match join.flag {
        libc::CLONE_NEWNET => Ok(How::External("net", "extRootNetNS")),
        libc::CLONE_NEWPID => Ok(How::External("pid", "extRootPidNS")),
        libc::CLONE_NEWIPC => Ok(How::Joined("ipc")),
        libc::CLONE_NEWUTS => Ok(How::Joined("uts")),
        libc::CLONE_NEWUSER => Ok(How::Joined("user")),
        libc::CLONE_NEWTIME => Ok(How::Joined("time")),
        _ => {
            let (kind, path) = (&join.kind, join.path.display());
            let what = format!("CRIU cannot have a container join the {kind} namespace {path}");
            Err(CriuError::Unable { what }.into())
        }
    }
}

/// For a dump.
///
/// # Errors
///
/// [`CriuError::Unable`]: it could not be restored. [`Error::Kernel`](crate::Error::Kernel): the namespace is not there.
pub(crate) fn name_external(opts: &mut Message, joins: &[Join]) -> Result<()> {
    for join in joins {
        if let How::External(kind, key) = how(join)? {
            let metadata = join
                .path
                .metadata()
                .doing(|| format!("look at the {kind} namespace {}", join.path.display()))?;
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            opts.text(opt::EXTERNAL, format!("{kind}[{inode}]:{key}"));
        }
    }
    Ok(())
}

/// For restoring: the descriptors that CRIU has to inherit.
///
/// # Errors
///
/// As [`name_external`].
pub(crate) fn supply_external(opts: &mut Message, joins: &[Join]) -> Result<Vec<OwnedFd>> {
    let mut inherit = Vec::new();
    for join in joins {
        match how(join)? {
            How::External(kind, key) => {
                let file = File::open(&join.path)
                    .doing(|| format!("open the {kind} namespace {}", join.path.display()))?;
                opts.message(opt::INHERIT_FD, &numbered(key, file.as_raw_fd() as u32));
                inherit.push(file.into());
            }
            How::Joined(kind) => {
                opts.message(opt::JOIN_NS, &pair(kind, join.path.as_os_str().as_bytes()));
            }
        }
    }
    Ok(inherit)
}

/// Brings the loopback interface of a restored network namespace up, as in every new one: CRIU leaves it as the kernel
/// made it. This thread goes there for that time.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn bring_loopback_up(pid: i32) -> Result<()> {
    let open = |path: String| File::open(&path).doing(|| format!("open {path}"));
    let (ours, theirs) = (open("/proc/self/ns/net".to_owned())?, open(format!("/proc/{pid}/ns/net"))?);
    let join = |file: &File| {
        setns(Fd::of(file), libc::CLONE_NEWNET).doing(|| "enter the network namespace".to_owned())
    };
    join(&theirs)?;
    let up = net::socket()
        .and_then(|socket| net::bring_loopback_up(socket.fd()))
        .doing(|| "bring the loopback interface up".to_owned());
    join(&ours)?;
    up
}

/// Whether a process has other clocks than this one: CRIU restores processes into a time namespace where the kernel has
/// them, so that their clocks go on.
pub(crate) fn has_own_clocks(pid: i32) -> bool {
    let link = |path: String| std::fs::read_link(path).ok();
    link(format!("/proc/{pid}/ns/time")) != link("/proc/self/ns/time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use orlop_compile::Origin;
    use orlop_spec::NamespaceKind;

    #[test]
    fn a_namespace_that_could_not_be_restored_is_refused() {
        let join = |kind: NamespaceKind, flag| Join {
            path: "/proc/self/ns/net".into(),
            kind,
            flag,
            origin: Origin::Rule("a test"),
            must_differ: None,
        };
        let mut opts = Message::default();
        assert!(name_external(&mut opts, &[join(NamespaceKind::Network, libc::CLONE_NEWNET)]).is_ok());
        let sent = String::from_utf8_lossy(opts.bytes()).into_owned();
        assert!(sent.contains("net[") && sent.ends_with("]:extRootNetNS"), "{sent:?}");
        for (kind, flag) in
            [(NamespaceKind::Mount, libc::CLONE_NEWNS), (NamespaceKind::Cgroup, libc::CLONE_NEWCGROUP)]
        {
            let refused = name_external(&mut Message::default(), &[join(kind, flag)]);
            assert!(matches!(refused, Err(Error::Criu(CriuError::Unable { .. }))));
        }
    }
}
