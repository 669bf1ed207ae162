//! The small root file system: a static busybox, the files a C library would look for, nothing else.
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Makes the root file system in an empty directory that exists.
pub fn install(rootfs: &Path) {
    for directory in ["bin", "dev", "etc", "home/user", "mnt", "proc", "root", "run", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(directory)).expect("a new directory");
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("our own directory");
    // A copy, not a hard link: a container may write to its root, and must not change its neighbour's.
    fs::copy(host_busybox(), rootfs.join("bin/busybox")).expect("busybox is copied");
    for applet in applets() {
        symlink("busybox", rootfs.join("bin").join(applet)).expect("a new link");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
    fs::write(rootfs.join("etc/passwd"), passwd).expect("a new file");
    fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n").expect("a new file");
}

fn host_busybox() -> &'static Path {
    let path = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.exists());
    path.expect("busybox-static is installed (hack/setup.sh)")
}

/// The commands busybox offers, without itself.
fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let out = Command::new(host_busybox()).arg("--list").output().expect("busybox runs");
        let text = String::from_utf8(out.stdout).expect("applet names are ASCII");
        text.lines().filter(|name| *name != "busybox").map(str::to_owned).collect()
    })
}
