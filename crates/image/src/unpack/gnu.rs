//! Random trees, packed by GNU tar in its formats, come out as they were.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, geteuid, mkfifo};
use orlop_sys::Fd;
use proptest::prelude::*;

use super::{Limits, OpaqueMark, Options, Owners, unpack};

/// One file of a random tree; what it is in depends on what has been made before.
#[derive(Clone, Debug)]
struct Node {
    kind: u8,
    parent: usize,
    name: String,
    mode: u32,
    owner: (u32, u32),
    time: (i64, i64),
    content: Vec<u8>,
    attribute: Option<Vec<u8>>,
    hole: u64,
}

fn node() -> impl Strategy<Value = Node> {
    // Names that are longer than the field of a header, too, and some that are not UTF-8 on the way to being so.
    let name = prop_oneof!["[a-z]{1,8}", "[a-zä ]{90,120}", "[a-z.~-]{3}"];
    let content = proptest::collection::vec(any::<u8>(), 0..3000);
    let attribute = proptest::option::of(proptest::collection::vec(any::<u8>(), 1..40));
    let owner = (0_u32..4_000_000, 0_u32..4_000_000);
    let time = (0_i64..4_000_000_000, 0_i64..1_000_000_000);
    (0_u8..7, any::<usize>(), name, 0_u32..0o10000, owner, time, content, attribute, 0_u64..3).prop_map(
        |(kind, parent, name, mode, owner, time, content, attribute, hole)| Node {
            kind,
            parent,
            name,
            mode,
            owner,
            time,
            content,
            attribute,
            hole,
        },
    )
}

/// Makes a tree below a directory.
fn make(root: &Path, nodes: &[Node]) {
    let mut dirs = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut all = Vec::new();
    for node in nodes {
        let path = dirs[node.parent % dirs.len()].join(node.name.trim_matches(['.', ' ']));
        if path.symlink_metadata().is_ok() || path.file_name().is_none() || path.as_os_str().len() > 3000 {
            continue;
        }
        match node.kind {
            0 | 1 => {
                fs::create_dir(&path).expect("a directory");
                dirs.push(path.clone());
            }
            2 => symlink(
                String::from_utf8_lossy(&node.content[..node.content.len().min(150)]).replace('\0', "") + "x",
                &path,
            )
            .expect("a link"),
            3 => mkfifo(&path, Mode::S_IRWXU).expect("a FIFO"),
            4 if !files.is_empty() => {
                // What it leads to has attributes already.
                fs::hard_link(&files[node.parent % files.len()], &path).expect("a hard link");
                continue;
            }
            _ => {
                let file = File::create(&path).expect("a file");
                file.write_all_at(&node.content, node.hole * 70_000).expect("room");
                if node.hole == 2 {
                    file.set_len(400_000).expect("a hole at the end");
                }
                files.push(path.clone());
            }
        }
        all.push((path, node));
    }
    for (path, node) in all.iter().rev() {
        describe(path, node);
    }
}

fn describe(path: &Path, node: &Node) {
    if geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
        fchownat(nix::fcntl::AT_FDCWD, path, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .expect("ours");
    }
    let metadata = path.symlink_metadata().expect("made");
    if !metadata.is_symlink() {
        let mode = if geteuid().is_root() { node.mode } else { node.mode | 0o700 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }
    if let Some(value) = node.attribute.as_ref().filter(|_| metadata.is_file() || metadata.is_dir()) {
        let file = OwnedFd::from(File::open(path).expect("ours"));
        // Not every file system has them.
        orlop_sys::file::set_attribute(Fd::of(&file), c"user.note", value).ok();
    }
    let time = TimeSpec::new(node.time.0, node.time.1);
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink).expect("ours");
}

/// Everything that is compared, by path; GNU's own format has seconds only, and no place for extended attributes.
fn snapshot(root: &Path, gnu: bool) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut first = BTreeMap::new();
    let mut rest = vec![root.to_owned()];
    while let Some(path) = rest.pop() {
        let m = path.symlink_metadata().expect("there");
        let name = path.strip_prefix(root).expect("below").as_os_str().as_bytes().to_vec();
        let nanoseconds = if gnu { 0 } else { m.mtime_nsec() };
        let mut content = Vec::new();
        if m.is_dir() {
            rest.extend(fs::read_dir(&path).expect("ours").map(|entry| entry.expect("ours").path()));
        } else if m.is_file() {
            content = fs::read(&path).expect("ours");
        } else if m.is_symlink() {
            content = fs::read_link(&path).expect("ours").as_os_str().as_bytes().to_vec();
        }
        let mut value = [0; 64];
        let attribute = (!gnu && (m.is_dir() || m.is_file())).then(|| {
            let file = OwnedFd::from(File::open(&path).expect("ours"));
            let n = orlop_sys::file::attribute(Fd::of(&file), c"user.note", &mut value).unwrap_or(0);
            value[..n].to_vec()
        });
        let text = format!(
            "{:o} {}:{} {}.{nanoseconds} {:?} {attribute:?} {}",
            m.mode(),
            m.uid(),
            m.gid(),
            m.mtime(),
            crate::Digest::of(&content),
            m.nlink()
        );
        // Which names are of one file.
        let same =
            if m.is_dir() { String::new() } else { format!(" {:?}", first.entry(m.ino()).or_insert(0_u8)) };
        found.insert(name, text + &same);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_gnu_tar_packs_comes_out_as_it_was(
        nodes in proptest::collection::vec(node(), 0..30),
        format in prop_oneof!["gnu", "posix"],
        sparse in prop_oneof![Just(None), Just(Some("1.0")), Just(Some("0.1")), Just(Some("0.0"))],
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
        fs::create_dir(&from).expect("a directory");
        fs::create_dir(&to).expect("a directory");
        make(&from, &nodes);
        let mut tar = Command::new("tar");
        tar.arg(format!("--format={format}")).args(["--numeric-owner", "--sort=name", "-cf"]).arg(&archive);
        if format == "posix" {
            tar.args(["--xattrs", "--xattrs-include=user.*"]);
        }
        if let Some(version) = sparse {
            tar.args(["-S", &format!("--sparse-version={version}")]);
        }
        prop_assert!(tar.arg("-C").arg(&from).arg(".").status().expect("tar is installed").success());
        let owners = if geteuid().is_root() { Owners::Keep } else { Owners::Caller };
        let options = Options { limits: Limits::default(), owners, mark: OpaqueMark::User, whiteouts: true };
        let bytes = fs::read(&archive).expect("an archive");
        unpack(&bytes[..], OwnedFd::from(File::open(&to).expect("a directory")), &options).expect("a good archive");
        prop_assert_eq!(snapshot(&from, format == "gnu"), snapshot(&to, format == "gnu"));
    }
}
