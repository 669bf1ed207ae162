//! A mount table (proc_pid_mountinfo(5)).

use std::path::PathBuf;

use orlop_cgroups::unescape;
use serde::Serialize;

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where it is.
    pub target: PathBuf,
    /// The type of its file system.
    pub fstype: String,
    /// What was mounted, in the file system's words.
    pub source: String,
    /// The file system's device number, such as `254:1`: equal for all mounts of one.
    pub device: String,
    /// Which part of the file system.
    pub root: PathBuf,
    /// Of the mount, such as `ro` and `nosuid`.
    pub options: Vec<String>,
    /// Of the file system.
    pub super_options: Vec<String>,
    /// `shared:7` and `master:3`, or nothing for a private mount.
    pub propagation: Vec<String>,
}

impl Mount {
    /// Whether it has an option of its own.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }

    /// What of the host is mounted, by a path there, if `host`, the host's mount table, has the same file system.
    pub fn host_path(&self, host: &[Self]) -> Option<PathBuf> {
        let same = host.iter().filter(|mount| mount.device == self.device);
        let paths =
            same.filter_map(|mount| Some(mount.target.join(self.root.strip_prefix(&mount.root).ok()?)));
        // Joining nothing leaves a slash at the end.
        paths.map(|path| path.components().collect::<PathBuf>()).min_by_key(|path| path.as_os_str().len())
    }

    /// Whether files can be written in it, by its own options and its file system's.
    pub fn is_writable(&self) -> bool {
        !self.has("ro") && !self.super_options.iter().any(|option| option == "ro")
    }
}

/// Reads a mount table.
pub fn mount_table(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let words = |text: &str| text.split(',').map(str::to_owned).collect();
    let (own, of_system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(2);
    let device = own.next()?.to_owned();
    let (root, target, options) = (own.next()?, own.next()?, own.next()?);
    let mut of_system = of_system.split(' ');
    Some(Mount {
        device,
        target: unescape(target),
        root: unescape(root),
        options: words(options),
        propagation: own.map(str::to_owned).collect(),
        fstype: of_system.next()?.to_owned(),
        source: unescape(of_system.next()?).to_string_lossy().into_owned(),
        super_options: of_system.next().map(words).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let table = mount_table(
            "36 35 98:0 /a\\040b /mnt rw,nosuid shared:1 master:2 - ext4 /dev/root ro,errors=continue\n",
        );
        let [mount] = &*table else { panic!("{table:?}") };
        assert_eq!((mount.target.to_str(), mount.root.to_str()), (Some("/mnt"), Some("/a b")));
        assert_eq!(mount.propagation, ["shared:1", "master:2"]);
        let host = mount_table(
            "1 0 98:0 / /disk rw - ext4 d rw\n2 0 98:0 /a\\040b/c /x rw - ext4 d rw\n3 0 9:0 / / rw - ext4 e rw\n",
        );
        assert_eq!(mount.host_path(&host), Some("/disk/a b".into()));
        assert!(mount.has("nosuid") && !mount.is_writable());
        assert!(mount_table("nothing").is_empty());
    }
}
