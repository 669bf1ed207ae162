//! Writing the id maps of a new user namespace ([user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)).

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::unistd::{getegid, geteuid};
use orlop_compile::{IdMaps, Origin};
use orlop_spec::IdMapping;
use orlop_sys::cred;
use orlop_sys::spawn::Holder;

use crate::error::{Answer, Doing, Error, Result};

mod granted;

use granted::{Asker, Missing};

/// Who maps ids for a user without privileges, and what makes that unnecessary.
struct Helper {
    program: &'static str,
    /// Where it looks up what the user may map.
    file: &'static str,
    /// With this capability, no helper is needed.
    capability: u32,
}

/// `CAP_SETGID` is 6.
const GROUPS: Helper = Helper { program: "newgidmap", file: "/etc/subgid", capability: 6 };
/// `CAP_SETUID` is 7.
const USERS: Helper = Helper { program: "newuidmap", file: "/etc/subuid", capability: 7 };

/// A user namespace for mounts whose ids are mapped like this.
///
/// # Errors
///
/// [`Error::NotGranted`]: the user may not map these ids. [`Error::Kernel`], [`Error::Step`]: the kernel or a helper refused.
pub fn user_namespace(uid: &[IdMapping], gid: &[IdMapping]) -> Result<OwnedFd> {
    let origin = || Origin::Rule("whoever mounts it asks for these ids");
    make(&IdMaps {
        uid: uid.to_vec(),
        gid: gid.to_vec(),
        deny_setgroups: false,
        uid_origin: origin(),
        gid_origin: origin(),
    })
}

/// A new user namespace, by a process that is in it for as long as it takes.
pub(crate) fn make(maps: &IdMaps) -> Result<OwnedFd> {
    let holder = Holder::new()
        .doing(|| "make a user namespace for id-mapped mounts".to_owned())
        .map_err(|e| e.with_hint("the limit /proc/sys/user/max_user_namespaces may be reached"))?;
    write(holder.pid(), maps)?;
    let path = format!("/proc/{}/ns/user", holder.pid());
    Ok(std::fs::File::open(&path).doing(|| format!("open {path}"))?.into())
}

/// Writes the maps of the process `pid`, which waits for them.
///
/// A caller with the capabilities for it in its own user namespace writes them itself. Others may map only themselves; for
/// more the set-user-id helpers newuidmap(1) and newgidmap(1) ask `/etc/subuid` and `/etc/subgid`.
///
/// # Errors
///
/// [`Error::NotGranted`]: the user may not map these ids. [`Error::Kernel`], [`Error::Step`]: the kernel or a helper refused
/// a map for another reason.
pub(crate) fn write(pid: i32, maps: &IdMaps) -> Result<()> {
    let effective = cred::capget().doing(|| "read our own capabilities".to_owned())?.effective;
    if maps.deny_setgroups {
        write_file(pid, "setgroups", "deny", &maps.gid_origin)?;
    }
    let parts = [
        ("gid_map", &GROUPS, &maps.gid, &maps.gid_origin, getegid().as_raw()),
        ("uid_map", &USERS, &maps.uid, &maps.uid_origin, geteuid().as_raw()),
    ];
    for (file, helper, mappings, origin, own) in parts {
        if effective & (1 << helper.capability) != 0 || is_own_id(mappings, own) {
            write_file(pid, file, &as_text(mappings), origin)?;
        } else {
            with_helper(pid, helper, mappings, origin, own)?;
        }
    }
    Ok(())
}

/// Checks that the process `pid`, which has joined a user namespace, finds there the maps that the config claims: engines
/// give both, and ids would be checked and files given to the wrong users if they did not agree.
///
/// # Errors
///
/// [`Error::Usage`] names the map that differs.
pub(crate) fn compare(pid: i32, maps: &IdMaps) -> Result<()> {
    let parts = [("uid_map", &maps.uid, &maps.uid_origin), ("gid_map", &maps.gid, &maps.gid_origin)];
    for (file, claimed, origin) in parts {
        let path = format!("/proc/{pid}/{file}");
        let found = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
        if sorted(&found) != sorted(&as_text(claimed)) {
            let pointer = origin.pointer().map(ToString::to_string).unwrap_or_default();
            return Err(Error::usage(format!(
                "{pointer}: the user namespace that is joined has another {file}, {:?}; give its path only",
                found.trim_end().replace('\n', ", ")
            )));
        }
    }
    Ok(())
}

/// The numbers of a map, one line each, in an order that does not matter.
fn sorted(map: &str) -> Vec<Vec<u32>> {
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    let mut lines: Vec<Vec<u32>> =
        map.lines().map(|line| line.split_whitespace().map(number).collect()).collect();
    lines.sort_unstable();
    lines
}

fn is_own_id(mappings: &[IdMapping], own: u32) -> bool {
    matches!(mappings, [only] if only.host_id == own && only.size == 1)
}

fn as_text(mappings: &[IdMapping]) -> String {
    let mut text = String::new();
    for m in mappings {
        // Writing to a string cannot fail.
        writeln!(text, "{} {} {}", m.container_id, m.host_id, m.size).ok();
    }
    text
}

/// The kernel takes a map in one write(2), of at most a page.
fn write_file(pid: i32, file: &str, text: &str, origin: &Origin) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text).doing(|| format!("write {:?} to {path}", text.trim_end())).map_err(|e| {
        let e =
            e.with_hint("the ids must be the caller's own or mapped in its user namespace, and not overlap");
        place(e, origin)
    })
}

fn with_helper(pid: i32, helper: &Helper, mappings: &[IdMapping], origin: &Origin, own: u32) -> Result<()> {
    let Helper { program, file, .. } = *helper;
    let numbers = mappings.iter().flat_map(|m| [m.container_id, m.host_id, m.size]);
    let output = Command::new(program)
        .arg(pid.to_string())
        .args(numbers.map(|n| n.to_string()))
        .stdin(Stdio::null())
        .output()
        .doing(|| format!("run {program} (Debian: package uidmap) to map more ids than the caller's own"))
        .map_err(|e| place(e, origin))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let pointer = origin.pointer().map(ToString::to_string);
    // A file that is not there grants nothing.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let asker = Asker::own();
    if let Some(Missing { index, ids, granted }) = granted::missing(mappings, own, &text, &asker) {
        let pointer = pointer.map(|pointer| format!("{pointer}/{index}").into());
        let missing = format!("{} the ids {ids}", asker.words());
        return Err(Error::NotGranted {
            file,
            missing,
            pointer,
            detail: format!("it grants {granted}: {words}"),
        });
    }
    Err(Error::Step {
        step: format!("map ids with {program}"),
        answer: Answer { call: "", errno: libc::EPERM },
        pointer: pointer.map(Into::into),
        detail: words,
        hint: Some(
            format!("{file} grants the ids, but {program} must be set-user-id root, on a mount without nosuid, and may not be \
                     run under no_new_privs")
            .into(),
        ),
    })
}

fn place(e: Error, origin: &Origin) -> Error {
    match origin.pointer() {
        Some(pointer) => e.at(pointer.to_string()),
        None => e,
    }
}

#[cfg(test)]
mod tests {
    use super::{as_text, is_own_id, sorted};
    use orlop_spec::IdMapping;

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }

    #[test]
    fn maps_are_written_a_line_each() {
        assert_eq!(as_text(&[map(0, 1000, 1), map(1, 100_000, 65_536)]), "0 1000 1\n1 100000 65536\n");
    }

    #[test]
    fn maps_are_the_same_whatever_their_order_and_spaces() {
        let kernel = "         0     100000      65536\n     70000       1000          1\n";
        assert_eq!(sorted(kernel), sorted(&as_text(&[map(70000, 1000, 1), map(0, 100_000, 65536)])));
        assert_ne!(sorted(kernel), sorted(&as_text(&[map(0, 100_000, 65536)])));
    }

    #[test]
    fn only_the_callers_own_id_alone_needs_no_helper() {
        assert!(is_own_id(&[map(0, 1000, 1)], 1000));
        assert!(is_own_id(&[map(7, 1000, 1)], 1000));
        assert!(!is_own_id(&[map(0, 1000, 2)], 1000));
        assert!(!is_own_id(&[map(0, 1001, 1)], 1000));
        assert!(!is_own_id(&[map(0, 1000, 1), map(1, 1, 1)], 1000));
    }
}
