//! Features of the kernel, by probing where that leaves nothing behind.

use orlop_sys::file::{How, IN_ROOT};
use orlop_sys::mount::Attributes;
use orlop_sys::spawn::Holder;
use orlop_sys::{Error, Fd, file, mount, process, seccomp};

use super::{Caller, Check, read};

const GROUP: &str = "Kernel";
/// What docs/kernel-features.md asks for.
const LEAST: (u16, u16) = (5, 14);
/// The newest feature without which there is no container: mount_setattr(2).
const NEEDED: (u16, u16) = (5, 12);
const NEWER: &str = "a kernel of Linux 5.14 or newer";

pub(super) fn checks(caller: Caller) -> Vec<Check> {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = parse(&release);
    let mut checks =
        vec![of_version(&release, version), clone3(version), pidfd(), openat2(), mount_api(caller)];
    checks.extend(namespaces());
    checks.extend([id_mapped(caller), overlay(version), filter(), notify(), pressure(), landlock()]);
    checks
}

fn parse(release: &str) -> (u16, u16) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn of_version(release: &str, version: (u16, u16)) -> Check {
    let name = "version";
    match version {
        version if version >= LEAST => Check::ok(GROUP, name, format!("Linux {release}")),
        version if version >= NEEDED => {
            Check::warn(GROUP, name, format!("Linux {release}, with which nobody tests orlop"), NEWER)
        }
        _ => Check::fail(GROUP, name, format!("Linux {release} is too old"), NEWER),
    }
}

/// Any answer but "no such call" shows that a call exists.
fn is_missing<T>(answer: &Result<T, Error>) -> bool {
    answer.as_ref().is_err_and(|e| e.is(libc::ENOSYS))
}

fn call<T>(name: &'static str, what: &str, answer: &Result<T, Error>) -> Check {
    match answer {
        Ok(_) => Check::ok(GROUP, name, format!("{what} can be used")),
        Err(e) if is_missing(answer) => Check::fail(
            GROUP,
            name,
            format!("{what} is missing, or a filter hides it ({})", words(*e)),
            NEWER,
        ),
        Err(e) => Check::warn(
            GROUP,
            name,
            format!("{what} is refused: {}", words(*e)),
            "if this is a container, give it the right to, or ask outside of it",
        ),
    }
}

fn words(e: Error) -> &'static str {
    orlop_sys::names::errno(e.errno())
}

/// There is no way to ask without making a process in a cgroup; where it exists is known by version.
fn clone3(version: (u16, u16)) -> Check {
    let name = "clone3";
    if version >= (5, 7) {
        return Check::ok(GROUP, name, "clone3 with CLONE_INTO_CGROUP (by version)");
    }
    Check::fail(GROUP, name, "clone3 cannot start a process in a cgroup before Linux 5.7", NEWER)
}

fn pidfd() -> Check {
    call("pidfd", "pidfd_open", &process::pidfd_open(process::getpid()))
}

fn openat2() -> Check {
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0, resolve: IN_ROOT };
    call("openat2", "openat2", &file::openat2(Fd::CWD, c"/", how))
}

/// A file system that is mounted nowhere, and goes with its descriptor.
fn detached_tmpfs() -> Result<orlop_sys::OwnedFd, Error> {
    let context = mount::fsopen(c"tmpfs")?;
    mount::fsconfig_create(context.fd())?;
    let tree = mount::fsmount(context.fd(), 0)?;
    let read_only = Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Attributes::default() };
    mount::mount_setattr(tree.fd(), c"", true, &read_only)?;
    Ok(tree)
}

fn mount_api(caller: Caller) -> Check {
    let (name, what) = ("mount API", "fsopen, fsmount and mount_setattr");
    let answer = detached_tmpfs();
    if caller.privileged || is_missing(&answer) {
        return call(name, what, &answer);
    }
    // Without privileges a call that exists says EPERM: what it takes, a user namespace gives.
    Check::ok(GROUP, name, format!("{what} exist"))
}

fn namespaces() -> Vec<Check> {
    const KINDS: [(&str, &str, &str); 8] = [
        ("mnt", "mount namespaces", ""),
        ("pid", "pid namespaces", "CONFIG_PID_NS"),
        ("net", "network namespaces", "CONFIG_NET_NS"),
        ("ipc", "ipc namespaces", "CONFIG_IPC_NS"),
        ("uts", "uts namespaces", "CONFIG_UTS_NS"),
        ("cgroup", "cgroup namespaces", "CONFIG_CGROUPS"),
        ("user", "user namespaces", "CONFIG_USER_NS"),
        ("time", "time namespaces", "CONFIG_TIME_NS"),
    ];
    let missing: Vec<_> = KINDS
        .iter()
        .filter(|(file, ..)| std::fs::symlink_metadata(format!("/proc/self/ns/{file}")).is_err())
        .collect();
    if missing.is_empty() {
        return vec![Check::ok(GROUP, "namespaces", "all eight kinds")];
    }
    let one = |(file, what, option): &&(&str, &'static str, &str)| {
        let remedy = format!("a kernel with {option}");
        match *file {
            // What containers can do without.
            "user" | "time" | "cgroup" => Check::warn(GROUP, what, "there are none", remedy),
            _ => Check::fail(GROUP, what, "there are none", remedy),
        }
    };
    missing.iter().map(one).collect()
}

/// Maps the ids of a mount that is attached nowhere.
fn id_mapped(caller: Caller) -> Check {
    let name = "id-mapped mounts";
    if !caller.privileged {
        return Check::ok(GROUP, name, "not asked: they take privileges");
    }
    let probe = || {
        let tree = mount::clone_tree(Fd::CWD, c"/", false)?;
        let holder = Holder::new()?;
        let write = |file: &str| std::fs::write(format!("/proc/{}/{file}", holder.pid()), "0 100000 65536\n");
        let failed = |_| Error::new(libc::SYS_write as u16, libc::EPERM as u16);
        write("uid_map").and_then(|()| write("gid_map")).map_err(failed)?;
        let path = std::ffi::CString::new(format!("/proc/{}/ns/user", holder.pid())).unwrap_or_default();
        let namespace = file::openat(Fd::CWD, &path, libc::O_RDONLY, 0)?;
        let userns = namespace.fd().raw() as u64;
        let change = Attributes { set: libc::MOUNT_ATTR_IDMAP, userns, ..Attributes::default() };
        mount::mount_setattr(tree.fd(), c"", false, &change)
    };
    match probe() {
        Ok(()) => Check::ok(GROUP, name, "the file system of / takes them"),
        Err(e) => Check::warn(
            GROUP,
            name,
            format!("the file system of / does not take them: {}", words(e)),
            "ext4, xfs or btrfs, or leave uidMappings out of mounts",
        ),
    }
}

fn overlay(version: (u16, u16)) -> Check {
    let name = "overlay";
    let known = read("/proc/filesystems").unwrap_or_default();
    let users = if version >= (5, 11) { ", also in user namespaces (by version)" } else { "" };
    if known.lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay") {
        return Check::ok(GROUP, name, format!("overlayfs is there{users}"));
    }
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let module = read(&format!("/lib/modules/{release}/modules.dep")).unwrap_or_default();
    if module.contains("/overlay.ko") {
        return Check::ok(GROUP, name, format!("overlayfs is a module that is not loaded yet{users}"));
    }
    Check::warn(
        GROUP,
        name,
        "there is no overlayfs: engines and `orlop try` need it",
        "a kernel with CONFIG_OVERLAY_FS",
    )
}

fn filter() -> Check {
    let name = "seccomp";
    if read("/proc/sys/kernel/seccomp/actions_avail").is_some() {
        return Check::ok(GROUP, name, "system call filters");
    }
    Check::warn(GROUP, name, "there are no system call filters", "a kernel with CONFIG_SECCOMP_FILTER")
}

fn notify() -> Check {
    let name = "seccomp notify";
    // SECCOMP_FILTER_FLAG_NEW_LISTENER.
    if seccomp::has_flags(1 << 3) {
        return Check::ok(GROUP, name, "filters can ask an agent");
    }
    Check::warn(GROUP, name, "filters cannot ask an agent", NEWER)
}

fn pressure() -> Check {
    let name = "pressure";
    if read("/proc/pressure/memory").is_some() {
        return Check::ok(GROUP, name, "stalls are measured (PSI)");
    }
    Check::warn(
        GROUP,
        name,
        "stalls are not measured: statistics lack them",
        "boot with psi=1, or a kernel with CONFIG_PSI",
    )
}

fn landlock() -> Check {
    let name = "landlock";
    match orlop_sys::landlock::version() {
        0 => Check::ok(
            GROUP,
            name,
            "there is none, or it is not enabled; annotations run.orlop.landlock.… are refused",
        ),
        version => Check::ok(GROUP, name, format!("version {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_fail() {
        use crate::doctor::Outcome::{Fail, Ok, Warn};
        for (release, outcome) in
            [("6.12.1-amd64", Ok), ("5.13", Warn), ("5.10.0-9", Fail), ("nonsense", Fail)]
        {
            assert_eq!(of_version(release, parse(release)).outcome, outcome, "{release}");
        }
        assert_eq!(clone3((5, 6)).outcome, Fail);
    }
}
