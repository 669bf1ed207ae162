//! Keyrings. The kernel lists them, but not which processes have one: whether a container's is left cannot be known. What can
//! is how many there are, and how many more there may be: without room for a key no container starts.

use super::GROUP;
use crate::doctor::{Check, read};

const NAME: &str = "keyrings";

/// The keys of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    user: u32,
    keys: u64,
    most: u64,
}

pub(super) fn checks() -> Vec<Check> {
    let (Some(keys), Some(users)) = (read("/proc/keys"), read("/proc/key-users")) else {
        return vec![Check::ok(GROUP, NAME, "not known: this kernel has no keys, or hides them")];
    };
    judge(&keys, &users)
}

fn judge(keys: &str, users: &str) -> Vec<Check> {
    let full = users.lines().filter_map(usage).filter(|one| one.keys * 10 >= one.most * 9);
    let full = full.map(|Use { user, keys, most }| {
        let what = format!("user {user} has {keys} keys of at most {most}; each container takes one");
        let setting = if user == 0 { "kernel.keys.root_maxkeys" } else { "kernel.keys.maxkeys" };
        Check::warn(GROUP, NAME, what, format!("sysctl -w {setting}={}", most * 2))
    });
    let mut checks: Vec<Check> = full.collect();
    if checks.is_empty() {
        let what = match keys.lines().filter(|line| is_sessions(line)).count() {
            0 => "no session has one".to_owned(),
            1 => "1 is a session's; whether a container's, the kernel does not tell".to_owned(),
            n => format!("{n} are sessions'; which are containers', the kernel does not tell"),
        };
        checks.push(Check::ok(GROUP, NAME, what));
    }
    checks
}

/// A line of `/proc/keys` (proc_keys(5)) about a session keyring. A container's is one: orlop's have the kernel's name for
/// those without, `_ses`; runc and crun append the container's.
fn is_sessions(line: &str) -> bool {
    let name = line.split_once(" keyring ").and_then(|(_, name)| name.trim_start().split_once(": "));
    name.is_some_and(|(name, _)| name == "_ses" || name.starts_with("_ses."))
}

/// A line of `/proc/key-users` (proc_key-users(5)): `UID: USAGE NKEYS/NIKEYS QNKEYS/MAXKEYS QNBYTES/MAXBYTES`.
fn usage(line: &str) -> Option<Use> {
    let (user, rest) = line.split_once(':')?;
    let (keys, most) = rest.split_whitespace().nth(2)?.split_once('/')?;
    Some(Use { user: user.trim().parse().ok()?, keys: keys.parse().ok()?, most: most.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn keyrings_are_counted_and_room_for_more_is_watched() {
        let keys = "0d5ad512 I--Q---     5 perm 3f130000     0     0 keyring   _ses.web: empty\n\
            1d06c1ae I--Q---     3 perm 3f130000     0     0 keyring   _ses: empty\n\
            3be6abb4 I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: empty\n";
        let checks =
            judge(keys, "    0:    11 10/10 5/1000000 70/25000000\n 1000:     3 3/3 3/200 60/20000\n");
        assert_eq!((checks.len(), checks[0].outcome), (1, Outcome::Ok));
        assert!(checks[0].what.starts_with("2 are sessions'"), "{checks:?}");
        let checks = judge("", " 1000:   190 190/190 180/200 60/20000\n");
        assert_eq!(checks[0].remedy.as_deref(), Some("sysctl -w kernel.keys.maxkeys=400"));
        assert!(judge("", "nonsense\n")[0].what.starts_with("no session"));
    }
}
