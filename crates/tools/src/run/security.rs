//! What the container's processes may do: capabilities, the system call filter, devices, labels.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use orlop_compile::KNOWN_CAPABILITIES;
use orlop_spec::default::USUAL_CAPABILITIES;
use orlop_spec::{Capabilities, Device, DeviceKind, DeviceRule, DeviceRuleKind, Linux, Process, Resources};

/// The filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Filter {
    /// That of containers that were not given one.
    #[default]
    Standard,
    /// None.
    None,
    /// The profile in this file, as `linux.seccomp` has it.
    File(String),
}

/// What `--security-opt` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) no_new_privileges: bool,
    pub(crate) filter: Filter,
    pub(crate) apparmor: String,
    pub(crate) selinux: String,
    /// `/proc` and `/sys` without masked and read-only paths.
    pub(crate) all_of_proc: bool,
}

impl Options {
    /// Takes one option.
    pub(crate) fn take(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            ("seccomp", "unconfined") => self.filter = Filter::None,
            ("seccomp", "builtin") => self.filter = Filter::Standard,
            ("seccomp", file) if !file.is_empty() => self.filter = Filter::File(file.to_owned()),
            ("apparmor", "unconfined") => self.apparmor.clear(),
            ("apparmor", profile) if !profile.is_empty() => profile.clone_into(&mut self.apparmor),
            ("label", "disable") => self.selinux.clear(),
            ("label", label) if label.matches(':').count() >= 2 => label.clone_into(&mut self.selinux),
            ("systempaths", "unconfined") => self.all_of_proc = true,
            _ => {
                return Err("there are no-new-privileges, seccomp=unconfined|builtin|FILE, apparmor=PROFILE|unconfined, \
                     label=LABEL|disable and systempaths=unconfined"
                    .to_owned());
            }
        }
        Ok(())
    }

    /// Writes them into a config.
    pub(crate) fn apply(&self, process: &mut Process, linux: &mut Linux) {
        process.no_new_privileges = self.no_new_privileges;
        process.apparmor_profile.clone_from(&self.apparmor);
        process.selinux_label.clone_from(&self.selinux);
        linux.mount_label.clone_from(&self.selinux);
        if self.all_of_proc {
            linux.masked_paths.clear();
            linux.readonly_paths.clear();
        }
    }
}

/// The capabilities: Docker's, without those that are dropped, with those that are added. `ALL` is all.
pub(crate) fn capabilities(add: &[String], drop: &[String]) -> Result<Vec<String>, String> {
    let full = |name: &String| -> Result<String, String> {
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        if full != "CAP_ALL" && !KNOWN_CAPABILITIES.contains(&full.as_str()) {
            return Err(format!("{name:?} is no capability"));
        }
        Ok(full)
    };
    let add = add.iter().map(full).collect::<Result<Vec<_>, _>>()?;
    let drop = drop.iter().map(full).collect::<Result<Vec<_>, _>>()?;
    let all = |list: &[String]| list.iter().any(|name| name == "CAP_ALL");
    // As with Docker: who adds all and drops some has all but those, and the other way round.
    let held = |name: &str| {
        let listed = |list: &[String]| list.iter().any(|other| other == name);
        if all(&drop) {
            listed(&add)
        } else if listed(&drop) {
            false
        } else {
            all(&add) || listed(&add) || USUAL_CAPABILITIES.contains(&name)
        }
    };
    Ok(KNOWN_CAPABILITIES.into_iter().filter(|name| held(name)).map(str::to_owned).collect())
}

/// The sets of a process with these: another user than root starts with none, as after any change of user.
pub(crate) fn sets(names: Vec<String>, as_root: bool) -> Capabilities {
    let own = if as_root { names.clone() } else { Vec::new() };
    Capabilities { bounding: names, effective: own.clone(), permitted: own, ..Capabilities::default() }
}

/// `--device`: `HOST[:CONTAINER][:ACCESS]`; made in the container, and allowed.
pub(crate) fn device(text: &str, linux: &mut Linux) -> Result<(), String> {
    let is_access = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    let (host, inside, access) = match text.split(':').collect::<Vec<_>>()[..] {
        [host] => (host, host, "rwm"),
        [host, access] if is_access(access) => (host, host, access),
        [host, inside] => (host, inside, "rwm"),
        [host, inside, access] if is_access(access) => (host, inside, access),
        _ => return Err("there is HOST[:CONTAINER][:ACCESS], such as /dev/fuse:/dev/fuse:rw".to_owned()),
    };
    if !Path::new(inside).is_absolute() {
        return Err(format!("{inside:?} is not an absolute path"));
    }
    let found = std::fs::metadata(host).map_err(|e| format!("{host}: {e}"))?;
    let kinds = if found.file_type().is_block_device() {
        (DeviceKind::Block, DeviceRuleKind::Block)
    } else if found.file_type().is_char_device() {
        (DeviceKind::Char, DeviceRuleKind::Char)
    } else {
        return Err(format!("{host} is not a device"));
    };
    let major = i64::from(nix::sys::stat::major(found.rdev()) as u32);
    let minor = i64::from(nix::sys::stat::minor(found.rdev()) as u32);
    linux.devices.push(Device {
        path: inside.to_owned(),
        kind: kinds.0,
        major,
        minor,
        file_mode: Some(found.mode() & 0o777),
        uid: Some(found.uid()),
        gid: Some(found.gid()),
    });
    linux.resources.get_or_insert_with(Resources::default).devices.push(DeviceRule {
        allow: true,
        kind: kinds.1,
        major: Some(major),
        minor: Some(minor),
        access: access.to_owned(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(add: &[&str], drop: &[&str]) -> Vec<String> {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        capabilities(&owned(add), &owned(drop)).unwrap()
    }

    #[test]
    fn capabilities_are_added_and_dropped() {
        assert_eq!(held(&[], &[]).len(), 14);
        assert_eq!(held(&[], &["ALL"]), Vec::<String>::new());
        assert_eq!(held(&["sys_admin"], &["all"]), ["CAP_SYS_ADMIN"]);
        assert_eq!(held(&["ALL"], &[]).len(), KNOWN_CAPABILITIES.len());
        assert!(!held(&["ALL"], &["CAP_SYS_ADMIN"]).contains(&"CAP_SYS_ADMIN".to_owned()));
        assert!(!held(&[], &["chown"]).contains(&"CAP_CHOWN".to_owned()));
        assert!(capabilities(&["FLY".to_owned()], &[]).is_err());
    }

    #[test]
    fn options_are_known_or_refused() {
        let mut options = Options::default();
        for good in [
            "no-new-privileges",
            "seccomp=unconfined",
            "apparmor=some",
            "label=a:b:c",
            "systempaths=unconfined",
        ] {
            options.take(good).unwrap();
        }
        assert!(options.no_new_privileges && options.all_of_proc && options.filter == Filter::None);
        assert_eq!((options.apparmor.as_str(), options.selinux.as_str()), ("some", "a:b:c"));
        for wrong in ["", "seccomp", "seccomp=", "label=user:x", "no-new-privileges=maybe", "proc-opts=x"] {
            assert!(Options::default().take(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn devices_are_made_and_allowed() {
        let mut linux = Linux::default();
        device("/dev/null:/dev/nothing:rw", &mut linux).unwrap();
        let made = &linux.devices[0];
        assert_eq!((made.path.as_str(), made.major, made.minor), ("/dev/nothing", 1, 3));
        assert_eq!(linux.resources.as_ref().unwrap().devices[0].access, "rw");
        for wrong in ["/dev/missing", "/etc/hosts", "/dev/null:x", "/dev/null:/a:rwx", "/dev/null:/a:r:w"] {
            assert!(device(wrong, &mut linux).is_err(), "{wrong}");
        }
    }
}
