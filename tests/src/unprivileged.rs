//! A user without privileges, for rootless containers.
//!
//! The user exists for the wrapped command only: `/etc/passwd` and its like are covered by our own in a private
//! mount namespace, so nothing on the machine changes.
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// The user's name.
pub const NAME: &str = "orlop-test";
/// The user's id, and its group's.
pub const USER: u32 = 64_321;
/// The first of the subordinate ids.
pub const FIRST_SUBORDINATE: u32 = 700_000;

/// An unprivileged user.
#[derive(Debug)]
pub struct Unprivileged {
    etc: PathBuf,
}

impl Unprivileged {
    /// One with 65536 subordinate ids; `home` and all below become the user's.
    pub fn new(home: &Path) -> Self {
        Self::granted(home, &format!("{NAME}:{FIRST_SUBORDINATE}:65536\n"))
    }

    /// One that is granted ids by this text of `/etc/subuid` and `/etc/subgid`.
    pub fn granted(home: &Path, ids: &str) -> Self {
        let etc = home.join("etc");
        fs::create_dir(&etc).expect("a new directory");
        let passwd = fs::read_to_string("/etc/passwd").expect("there are users");
        let group = fs::read_to_string("/etc/group").expect("there are groups");
        let entry = format!("{NAME}:x:{USER}:{USER}::{}:/bin/sh\n", home.display());
        fs::write(etc.join("passwd"), passwd + &entry).expect("a new file");
        fs::write(etc.join("group"), format!("{group}{NAME}:x:{USER}:\n")).expect("a new file");
        for name in ["subuid", "subgid"] {
            fs::write(etc.join(name), ids).expect("a new file");
            // The places to cover must be there; on most machines they are.
            if !Path::new("/etc").join(name).exists() {
                fs::write(Path::new("/etc").join(name), "").expect("an empty list of ids");
            }
        }
        give(home);
        Self { etc }
    }

    /// What to put in front of a command to run it as the user.
    pub fn wrapper(&self) -> Vec<String> {
        let script = "for file in passwd group subuid subgid; do mount --bind \"$0/$file\" \"/etc/$file\"; done; \
                      exec setpriv --reuid=USER --regid=USER --clear-groups --inh-caps=-all --bounding-set=+all \
                      env -u XDG_RUNTIME_DIR HOME=/ \"$@\"";
        let script = script.replace("USER", &USER.to_string());
        let words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", &script];
        let mut wrapper: Vec<String> = words.map(str::to_owned).into();
        wrapper.push(self.etc.to_string_lossy().into_owned());
        wrapper
    }
}

/// Makes a directory and all below it the user's.
fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).expect("root may give files away");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            give(&entry.path());
        }
    } else if !path.is_symlink() {
        chown(path, Some(USER), Some(USER)).expect("root may give files away");
    }
}
