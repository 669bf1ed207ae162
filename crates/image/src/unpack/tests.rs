use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;

use super::*;
use crate::tar::{Time, write::Writer};

/// An archive that is made for a test.
struct Made(Writer<Vec<u8>>);

impl Made {
    fn new() -> Self {
        Self(Writer::new(Vec::new()))
    }

    fn add(mut self, path: &str, kind: Kind, change: impl FnOnce(&mut Entry)) -> Self {
        let mut entry = Entry {
            path: path.into(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Time { seconds: 1_000_000, nanoseconds: 5 },
            link: Vec::new(),
            size: 0,
            device: (1, 3),
            attributes: Vec::new(),
            pieces: None,
            offset: 0,
        };
        change(&mut entry);
        self.0.entry(&entry).expect("memory");
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        let mut made = self.add(path, Kind::File, |entry| entry.size = content.len() as u64);
        made.0.data(content.as_bytes()).expect("memory");
        made
    }

    fn dir(self, path: &str) -> Self {
        self.add(path, Kind::Directory, |_| ())
    }

    fn link(self, path: &str, to: &str) -> Self {
        self.add(path, Kind::Symlink, |entry| entry.link = to.into())
    }

    fn hard_link(self, path: &str, to: &str) -> Self {
        self.add(path, Kind::HardLink, |entry| entry.link = to.into())
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().expect("memory")
    }
}

/// A directory to unpack into, beside something that no archive may touch.
struct Place {
    outside: TempDir,
    tree: PathBuf,
}

impl Place {
    fn new() -> Self {
        let outside = TempDir::new().expect("a temporary directory");
        let tree = outside.path().join("tree");
        fs::create_dir(&tree).expect("a directory");
        fs::write(outside.path().join("secret"), "untouched").expect("a file");
        Self { outside, tree }
    }

    fn unpack(&self, archive: &[u8], limits: Limits) -> Result<Unpacked> {
        let root = OwnedFd::from(File::open(&self.tree).expect("a directory"));
        unpack(archive, root, &Options { limits, owners: owners(), mark: mark(), whiteouts: true })
    }

    fn assert_outside_is_untouched(&self, case: &str) {
        let names: Vec<_> = fs::read_dir(self.outside.path()).expect("a directory").collect();
        assert_eq!(names.len(), 2, "{case}: something was made outside");
        let secret = self.outside.path().join("secret");
        assert_eq!(fs::read_to_string(&secret).expect("a file"), "untouched", "{case}");
        assert_eq!(fs::metadata(&secret).expect("a file").nlink(), 1, "{case}");
    }
}

fn owners() -> Owners {
    if geteuid().is_root() { Owners::Keep } else { Owners::Caller }
}

fn mark() -> OpaqueMark {
    OpaqueMark::User
}

fn unpacked(archive: Made) -> Place {
    let place = Place::new();
    place.unpack(&archive.bytes(), Limits::default()).expect("a good archive");
    place
}

fn ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

#[test]
fn files_have_what_the_archive_says() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let place = unpacked(
        Made::new()
            .dir("./")
            .add("dir/", Kind::Directory, |e| e.mode = 0o1750)
            .file("dir/file", "content")
            .add("dir/setuid", Kind::File, |e| e.mode = 0o4711)
            .link("dir/link", "/etc/passwd")
            .hard_link("hard", "dir/file")
            .hard_link("hard-to-link", "dir/link")
            .add("fifo", Kind::Fifo, |e| e.mode = 0o622)
            .file(&long, "long"),
    );
    let at = |path: &str| place.tree.join(path);
    let dir = fs::metadata(at("dir")).expect("a directory");
    assert_eq!((dir.mode() & 0o7777, dir.mtime(), dir.mtime_nsec()), (0o1750, 1_000_000, 5));
    assert_eq!((dir.uid(), dir.gid()), ids());
    assert_eq!(fs::read_to_string(at("dir/file")).expect("a file"), "content");
    assert_eq!(fs::metadata(at("dir/setuid")).expect("a file").mode() & 0o7777, 0o4711);
    assert_eq!(fs::read_link(at("dir/link")).expect("a link"), Path::new("/etc/passwd"));
    assert_eq!(fs::symlink_metadata(at("dir/link")).expect("a link").mtime(), 1_000_000);
    assert_eq!(
        fs::metadata(at("hard")).expect("a file").ino(),
        fs::metadata(at("dir/file")).expect("a file").ino()
    );
    assert!(fs::symlink_metadata(at("hard-to-link")).expect("a link").is_symlink());
    assert!(fs::metadata(at("fifo")).expect("a FIFO").file_type().is_fifo());
    assert_eq!(fs::metadata(at("fifo")).expect("a FIFO").mode() & 0o777, 0o622);
    assert_eq!(fs::read_to_string(at(&long)).expect("a file"), "long");
    // The archive does not describe it.
    assert_eq!(fs::metadata(at(&"d".repeat(120))).expect("a directory").mode() & 0o777, 0o755);
}

#[test]
fn owners_devices_and_attributes_are_kept_for_root() {
    if !geteuid().is_root() {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let place = unpacked(
        Made::new()
            .add("null", Kind::Char, |e| (e.device, e.mode) = ((1, 3), 0o666))
            .add("file", Kind::File, |e| {
                (e.uid, e.gid, e.mode) = (1000, 3_000_000_000, 0o4755);
                e.attributes = vec![
                    (b"user.note".to_vec(), b"a\nb=c".to_vec()),
                    (b"security.capability".to_vec(), capability.to_vec()),
                    (b"security.selinux".to_vec(), b"of another host".to_vec()),
                ];
            })
            .add("link", Kind::Symlink, |e| (e.link, e.uid, e.gid) = (b"x".to_vec(), 7, 8)),
    );
    let file = fs::metadata(place.tree.join("file")).expect("a file");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1000, 3_000_000_000, 0o4755));
    let open = File::open(place.tree.join("file")).expect("a file");
    let mut buf = [0; 64];
    let n =
        orlop_sys::file::attribute(orlop_sys::Fd::of(&open), c"security.capability", &mut buf).expect("set");
    assert_eq!(&buf[..n], capability);
    let n = orlop_sys::file::attribute(orlop_sys::Fd::of(&open), c"user.note", &mut buf).expect("set");
    assert_eq!(&buf[..n], b"a\nb=c");
    let link = fs::symlink_metadata(place.tree.join("link")).expect("a link");
    assert_eq!((link.uid(), link.gid()), (7, 8));
    // Where the machine lets nobody make devices, it is left out with a warning.
    if let Ok(null) = fs::metadata(place.tree.join("null")) {
        assert_eq!((null.rdev(), null.mode() & 0o777), (makedev(1, 3), 0o666));
    }
}

#[test]
fn whiteouts_hide_what_is_below_and_nothing_beside() {
    let whiteout = |path: &Path| {
        let found = fs::symlink_metadata(path).expect("a whiteout");
        found.file_type().is_char_device() && found.rdev() == 0
    };
    let is_opaque = |path: &Path| {
        let dir = OwnedFd::from(File::open(path).expect("a directory"));
        crate::tree::is_opaque(&dir)
    };
    // In both orders: whiteouts say nothing about their own layer.
    let one = Made::new()
        .dir("d")
        .file("d/.wh.gone", "")
        .file("d/.wh.back", "")
        .file("d/back", "new")
        .file(".wh.sub", "");
    let one = one.dir("sub").file("sub/new", "").dir("all").file("all/.wh..wh..opq", "").file("all/new", "");
    let other = Made::new()
        .file("all/new", "")
        .file("all/.wh..wh..opq", "")
        .dir("all")
        .file("sub/new", "")
        .dir("sub");
    let other = other
        .file(".wh.sub", "")
        .file("d/back", "new")
        .file("d/.wh.back", "")
        .file("d/.wh.gone", "")
        .dir("d");
    for archive in [one, other] {
        let place = unpacked(archive);
        let at = |path: &str| place.tree.join(path);
        assert!(whiteout(&at("d/gone")));
        assert_eq!(fs::read_to_string(at("d/back")).expect("a file"), "new");
        assert!(is_opaque(&at("sub")) && at("sub/new").exists());
        assert!(is_opaque(&at("all")) && at("all/new").exists() && !is_opaque(&at("d")));
        assert_eq!(fs::metadata(at("all")).expect("a directory").mtime(), 1_000_000);
        assert!(!at("d/.wh.gone").exists());
    }
}

#[test]
fn what_aufs_left_is_no_part_of_the_image() {
    let place =
        unpacked(Made::new().dir(".wh..wh.plnk").file(".wh..wh.plnk/1.2", "").file(".wh..wh.aufs", ""));
    assert_eq!(fs::read_dir(&place.tree).expect("a directory").count(), 0);
}

/// What it is, the archive, and words of the refusal.
type Case = (&'static str, Vec<u8>, &'static str);

fn one(path: &str) -> Vec<u8> {
    Made::new().file(path, "x").bytes()
}

fn paths_that_lead_out() -> Vec<Case> {
    vec![
        ("absolute", one("/etc/passwd"), "absolute"),
        ("absolute directory", Made::new().dir("/etc").bytes(), "absolute"),
        ("dots", one("../secret"), ".."),
        ("dots inside", one("a/../../secret"), ".."),
        ("dots at the end", Made::new().dir("a/..").bytes(), ".."),
        ("long name", one(&"n".repeat(300)), "255"),
        ("long path", one(&"n/".repeat(2500)), "4095"),
        ("deep path", one(&format!("{}x", "n/".repeat(200))), "--max-depth"),
        ("NUL", Made::new().add(&format!("{}\0x", "n".repeat(120)), Kind::File, |_| ()).bytes(), "NUL"),
        ("root as a file", one("."), "root directory"),
    ]
}

fn ways_through_links() -> Vec<Case> {
    let link = |to: &str| Made::new().link("out", to);
    vec![
        ("through a link", link("..").file("out/secret", "x").bytes(), "no directory"),
        ("through an absolute link", link("/").file("out/tmp/x", "x").bytes(), "no directory"),
        (
            "through a link inside",
            Made::new().dir("d").link("l", "d").file("l/x", "x").bytes(),
            "no directory",
        ),
        ("over a link", link("../secret").file("out", "x").bytes(), "two entries"),
        ("directory over a link", link("..").dir("out").bytes(), "no directory"),
        ("whiteout through a link", link("..").file("out/.wh.secret", "").bytes(), "no directory"),
        ("opaque through a link", link("..").file("out/.wh..wh..opq", "").bytes(), "no directory"),
        ("an empty link", link("").bytes(), "nothing"),
        ("hard link out", Made::new().hard_link("l", "../secret").bytes(), ".."),
        ("hard link to the host", Made::new().hard_link("l", "/etc/passwd").bytes(), "absolute"),
        ("hard link through a link", link("..").hard_link("l", "out/secret").bytes(), "not in this archive"),
        ("hard link to nothing", Made::new().hard_link("l", "nothing").bytes(), "not in this archive"),
        ("hard link to a directory", Made::new().dir("d").hard_link("l", "d").bytes(), "directory"),
        ("hard link to the root", Made::new().hard_link("l", ".").bytes(), ""),
    ]
}

fn entries_that_mean_something_else() -> Vec<Case> {
    let device = |kind, device| Made::new().add("a", kind, |e| e.device = device).bytes();
    vec![
        ("two files", Made::new().file("a", "1").file("./a", "2").bytes(), "two entries"),
        ("file over a directory", Made::new().dir("a").file("a", "1").bytes(), "two entries"),
        ("directory over a file", Made::new().file("a", "1").dir("a").bytes(), "no directory"),
        ("whiteout of itself", one("a/.wh.."), "whiteout"),
        ("whiteout of the parent", one("a/.wh..."), "whiteout"),
        ("whiteout of nothing", one("a/.wh."), "whiteout"),
        ("below a whiteout", one(".wh.a/b"), "whiteout"),
        ("a whiteout's device", device(Kind::Char, (0, 0)), "0/0"),
        ("an impossible device", device(Kind::Block, (1 << 14, 1)), "no device"),
        ("overlay's attribute", with_attribute("trusted.overlay.redirect"), "overlayfs"),
        ("overlay's user attribute", with_attribute("user.overlay.opaque"), "overlayfs"),
        ("an owner that is none", Made::new().add("a", Kind::File, |e| e.uid = u32::MAX).bytes(), "no id"),
    ]
}

fn what_is_no_archive() -> Vec<Case> {
    let mut damaged = one("a");
    damaged[0] ^= 1;
    let mut unknown = one("a");
    unknown[156] = b'V';
    resum(&mut unknown);
    let truncated = Made::new().file("a", &"x".repeat(2000)).bytes()[..1500].to_vec();
    let huge = Made::new().add("a", Kind::File, |e| e.size = u64::MAX).bytes();
    vec![
        ("damaged", damaged, "checksum"),
        ("no archive", vec![7; 2048], "checksum"),
        ("trailing garbage", [one("a"), b"more".to_vec()].concat(), "after the end"),
        ("truncated", truncated, "truncated"),
        ("truncated header", one("a")[..300].to_vec(), "truncated"),
        ("absurd size", huge, "absurd"),
        ("unknown type", unknown, "type"),
    ]
}

/// Every one of these is refused, with these words, and leaves nothing outside.
#[test]
fn hostile_archives_are_refused() {
    let cases = [
        paths_that_lead_out(),
        ways_through_links(),
        entries_that_mean_something_else(),
        what_is_no_archive(),
    ];
    for (case, archive, words) in cases.into_iter().flatten() {
        let place = Place::new();
        let refused = place.unpack(&archive, Limits::default());
        let text = refused.expect_err(case);
        let shown = format!("{text} {}", text.hint().unwrap_or_default());
        assert!(shown.contains(words), "{case}: {shown}");
        place.assert_outside_is_untouched(case);
    }
}

fn with_attribute(name: &str) -> Vec<u8> {
    let attributes = vec![(name.as_bytes().to_vec(), b"/".to_vec())];
    Made::new().add("a", Kind::Directory, |e| e.attributes = attributes).bytes()
}

fn resum(bytes: &mut [u8]) {
    bytes[148..156].fill(b' ');
    let sum: u64 = bytes[..512].iter().map(|byte| u64::from(*byte)).sum();
    bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

#[test]
fn limits_hold_and_can_be_changed() {
    let archive = Made::new().dir("d").file("d/a", "0123456789").file("d/b", "0123456789").bytes();
    let generous = Limits { bytes: 20, entries: 3, depth: 2, ratio: 1 };
    Place::new().unpack(&archive, generous).expect("within the limits");
    for (limits, option) in [
        (Limits { bytes: 19, ..generous }, "--max-bytes"),
        (Limits { entries: 2, ..generous }, "--max-entries"),
        (Limits { depth: 1, ..generous }, "--max-depth"),
    ] {
        let refused = Place::new().unpack(&archive, limits).expect_err(option);
        assert!(refused.hint().is_some_and(|hint| hint.contains(option)), "{refused}");
    }
}

#[test]
fn directories_may_come_again_and_after_what_is_in_them() {
    let place = unpacked(Made::new().file("d/f", "").add("d", Kind::Directory, |e| e.mode = 0o700).add(
        "./d/",
        Kind::Directory,
        |e| e.mode = 0o500,
    ));
    assert_eq!(fs::metadata(place.tree.join("d")).expect("a directory").permissions().mode() & 0o7777, 0o500);
}
