//! Settings of a machine that forbid user namespaces, which the kernel answers with no more than an errno.

use std::path::Path;

use crate::error::Error;

/// What such a setting does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// No user namespace can be made: `ENOSPC`, as one that is too many.
    Limit,
    /// Who has no privileges cannot make one: `EPERM`.
    Denial,
    /// Who has no privileges gets no rights in a new one: `EPERM` or `EACCES`, of whatever is tried first in it.
    NoRights,
}

/// The settings, as files below `/proc/sys`, and the value that forbids.
const SETTINGS: [(&str, &str, Effect); 3] = [
    ("user/max_user_namespaces", "0", Effect::Limit),
    // Of Debian's and Arch's kernels.
    ("kernel/unprivileged_userns_clone", "0", Effect::Denial),
    // Of Ubuntu's kernels, from 23.10 on.
    ("kernel/apparmor_restrict_unprivileged_userns", "1", Effect::NoRights),
];

/// The same error; or what forbids user namespaces on this machine, if that is the reason. For what fails while a new user
/// namespace is made, or is first used.
pub(crate) fn blame(error: Error, privileged: bool) -> Error {
    blame_in(Path::new("/proc/sys"), error, privileged)
}

fn blame_in(sysctls: &Path, error: Error, privileged: bool) -> Error {
    let (answer, doing) = match &error {
        Error::Kernel { answer, doing, .. } => (*answer, doing),
        Error::Step { answer, step, .. } => (*answer, step),
        _ => return error,
    };
    let in_clone = answer.call == "clone3";
    let fits = |effect| match effect {
        Effect::Limit => in_clone && answer.errno == libc::ENOSPC,
        Effect::Denial => !privileged && in_clone && answer.errno == libc::EPERM,
        Effect::NoRights => !privileged && matches!(answer.errno, libc::EPERM | libc::EACCES),
    };
    let value = |file: &str| std::fs::read_to_string(sysctls.join(file)).unwrap_or_default();
    let guilty =
        SETTINGS.iter().find(|(file, forbids, effect)| fits(*effect) && value(file).trim() == *forbids);
    match guilty {
        Some((file, value, _)) => Error::NoUserNamespace {
            setting: format!("{} = {value}", file.replace('/', ".")),
            doing: doing.clone(),
            answer,
        },
        None => error,
    }
}

/// The settings of this machine that forbid user namespaces, such as `user.max_user_namespaces = 0`: to everybody, or to whoever
/// is not `privileged`.
pub fn forbidding_user_namespaces(privileged: bool) -> Vec<String> {
    let value = |file: &str| std::fs::read_to_string(Path::new("/proc/sys").join(file)).unwrap_or_default();
    let in_force = SETTINGS.iter().filter(|(file, forbids, effect)| {
        (!privileged || *effect == Effect::Limit) && value(file).trim() == *forbids
    });
    in_force.map(|(file, value, _)| format!("{} = {value}", file.replace('/', "."))).collect()
}

#[cfg(test)]
mod tests {
    use super::blame_in;
    use crate::error::{Answer, Error};

    fn error(call: &'static str, errno: i32) -> Error {
        let answer = Answer { call, errno };
        Error::Kernel { doing: "start".to_owned(), answer, pointer: None, hint: None }
    }

    /// What is blamed where one parameter has this value.
    fn blamed(parameter: &str, value: &str, error: Error, privileged: bool) -> Option<String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join(parameter);
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("a new directory");
        std::fs::write(file, format!("{value}\n")).expect("a new file");
        match blame_in(dir.path(), error, privileged) {
            Error::NoUserNamespace { setting, .. } => Some(setting),
            _ => None,
        }
    }

    #[test]
    fn the_setting_that_forbids_is_named() {
        let full = || error("clone3", libc::ENOSPC);
        let max = "user/max_user_namespaces";
        assert_eq!(blamed(max, "0", full(), true).as_deref(), Some("user.max_user_namespaces = 0"));
        assert_eq!(blamed(max, "100", full(), false), None);
        assert_eq!(blamed(max, "0", error("clone3", libc::EPERM), false), None);

        let denied = || error("clone3", libc::EPERM);
        let clone = "kernel/unprivileged_userns_clone";
        assert!(blamed(clone, "0", denied(), false).is_some());
        assert_eq!(blamed(clone, "0", denied(), true), None);
        assert_eq!(blamed(clone, "1", denied(), false), None);

        let apparmor = "kernel/apparmor_restrict_unprivileged_userns";
        assert!(blamed(apparmor, "1", error("mount_setattr", libc::EACCES), false).is_some());
        assert_eq!(blamed(apparmor, "0", error("mount_setattr", libc::EACCES), false), None);
        assert_eq!(blamed(apparmor, "1", error("openat2", libc::ENOENT), false), None);
    }
}
