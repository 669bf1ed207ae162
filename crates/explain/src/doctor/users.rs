//! User namespaces, and the ids that users may have in them.

use orlop_runtime::forbidding_user_namespaces;
use orlop_sys::spawn::Holder;

use super::programs::find;
use super::{Caller, Check, read};

const GROUP: &str = "Users";

pub(super) fn checks(caller: Caller) -> Vec<Check> {
    let mut checks = vec![made(caller)];
    for setting in forbidding_user_namespaces(false) {
        let what = format!("{setting} keeps users without privileges from using them");
        let name = setting.split(" = ").next().unwrap_or_default().to_owned();
        let remedy = match name.as_str() {
            "user.max_user_namespaces" => "sysctl -w user.max_user_namespaces=15000",
            "kernel.unprivileged_userns_clone" => "sysctl -w kernel.unprivileged_userns_clone=1",
            _ => {
                "an AppArmor profile with \"userns,\" for orlop, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
            }
        };
        checks.push(Check::warn(GROUP, "settings", what, remedy));
    }
    checks.push(ids(caller));
    checks
}

/// Makes one, in a process that ends at once.
fn made(caller: Caller) -> Check {
    let name = "user namespaces";
    match Holder::new() {
        Ok(_) => Check::ok(GROUP, name, format!("user {} can make one", caller.uid)),
        Err(e) => {
            let what = format!("user {} cannot make one: {}", caller.uid, orlop_sys::names::errno(e.errno()));
            let remedy = "see the settings below; in a container, its engine's filter may forbid it";
            // Root does without.
            if caller.privileged {
                Check::warn(GROUP, name, what, remedy)
            } else {
                Check::fail(GROUP, name, what, remedy)
            }
        }
    }
}

fn ids(caller: Caller) -> Check {
    let name = "subordinate ids";
    if caller.privileged {
        return Check::ok(GROUP, name, "root maps any ids");
    }
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let number = nix::unistd::getuid().to_string();
    let granted = |file: &str| {
        let text = read(file).unwrap_or_default();
        let own = |line: &str| {
            line.split(':').next().is_some_and(|who| Some(who) == user.as_deref() || who == number)
        };
        text.lines().any(own)
    };
    let missing: Vec<&str> =
        ["/etc/subuid", "/etc/subgid"].into_iter().filter(|file| !granted(file)).collect();
    let programs: Vec<&str> =
        ["newuidmap", "newgidmap"].into_iter().filter(|name| find(name).is_none()).collect();
    let user = user.unwrap_or(number);
    if !missing.is_empty() {
        let what =
            format!("{} : nothing for {user}, whose containers have one user each", missing.join(" and "));
        return Check::warn(
            GROUP,
            name,
            what,
            format!("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"),
        );
    }
    if !programs.is_empty() {
        return Check::warn(
            GROUP,
            name,
            format!("{} is missing", programs.join(" and ")),
            "install the package uidmap, or shadow-utils",
        );
    }
    Check::ok(GROUP, name, format!("granted to {user}, with newuidmap and newgidmap"))
}
