//! Images of several layers, made by umoci: what orlop makes of them is what umoci makes of them.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use orlop_tests::{Container, need, runtime};

/// A directory for an image, its store and what is made of it.
struct Images {
    dir: tempfile::TempDir,
}

impl Images {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, program: &Path, args: &[&str]) -> String {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).args(args).env("ORLOP_STORE", self.path("store"));
        let out = command.output().expect("it is installed");
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{} {args:?}: {error}", program.display());
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn orlop(&self, args: &[&str]) -> String {
        self.run(runtime::binary(), args)
    }

    fn umoci(&self, args: &[&str]) -> String {
        self.run(Path::new("umoci"), args)
    }

    /// An image of three layers: a system; deletions and replacements; more of both.
    fn make(&self) {
        self.umoci(&["init", "--layout", "layout"]);
        self.umoci(&["new", "--image", "layout:t"]);
        for (number, change) in [system, change_some, change_more].into_iter().enumerate() {
            let bundle = format!("work-{number}");
            self.umoci(&["unpack", "--image", "layout:t", &bundle]);
            change(&self.path(&bundle).join("rootfs"));
            self.umoci(&["repack", "--image", "layout:t", &bundle]);
        }
        let config =
            ["--config.user", "ann", "--config.workingdir", "/work", "--config.env", "GREETING=hello"];
        let command =
            ["--config.cmd", "/bin/sh", "--config.cmd", "-c", "--config.cmd", "id -u; pwd; echo $GREETING"];
        self.umoci(&[&["config", "--image", "layout:t"][..], &config, &command].concat());
    }
}

fn system(root: &Path) {
    for dir in ["bin", "etc", "lib/deep/er", "replaced", "emptied", "tmp", "dev", "proc", "sys"] {
        fs::create_dir_all(root.join(dir)).expect("a new directory");
    }
    orlop_tests::busybox::install(root);
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/:/bin/sh\n")
        .expect("a new file");
    for name in
        ["etc/old", "lib/deep/er/file", "replaced/old", "emptied/a", "emptied/b", "becomes-a-directory"]
    {
        fs::write(root.join(name), name).expect("a new file");
    }
    fs::hard_link(root.join("etc/old"), root.join("etc/same")).expect("a new link");
    symlink("/etc/passwd", root.join("link")).expect("a new link");
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("ours");
    chown(root.join("lib/deep"), Some(1000), Some(3_000_000)).expect("ours");
    fs::set_permissions(root.join("lib/deep/er/file"), fs::Permissions::from_mode(0o6755)).expect("ours");
}

fn change_some(root: &Path) {
    fs::remove_file(root.join("etc/old")).expect("it is there");
    fs::remove_dir_all(root.join("replaced")).expect("it is there");
    fs::create_dir(root.join("replaced")).expect("a new directory");
    fs::write(root.join("replaced/new"), "new").expect("a new file");
    fs::remove_file(root.join("emptied/a")).expect("it is there");
    fs::remove_file(root.join("becomes-a-directory")).expect("it is there");
    fs::create_dir(root.join("becomes-a-directory")).expect("a new directory");
    fs::write(root.join("becomes-a-directory/file"), "file").expect("a new file");
    fs::write(root.join("lib/deep/er/file"), "changed").expect("it is there");
}

fn change_more(root: &Path) {
    fs::remove_file(root.join("emptied/b")).expect("it is there");
    fs::remove_file(root.join("link")).expect("it is there");
    symlink("elsewhere", root.join("link")).expect("a new link");
    fs::remove_dir_all(root.join("lib/deep")).expect("it is there");
    fs::write(root.join("etc/old"), "back").expect("a new file");
    fs::set_permissions(root.join("etc"), fs::Permissions::from_mode(0o711)).expect("ours");
}

/// Short, as a difference is printed.
fn hash(bytes: &[u8]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{} bytes {:x}", bytes.len(), hasher.finish())
}

/// Says which files differ.
fn assert_same(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differing: Vec<_> = paths.into_iter().filter(|path| ours.get(*path) != theirs.get(*path)).collect();
    let shown: Vec<_> = differing.iter().map(|path| (path, ours.get(*path), theirs.get(*path))).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

/// Everything that is compared, by path.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = vec![root.to_owned()];
    while let Some(path) = rest.pop() {
        let m = path.symlink_metadata().expect("it is there");
        let content = if m.is_symlink() {
            fs::read_link(&path).expect("a link").display().to_string()
        } else if m.is_file() {
            hash(&fs::read(&path).expect("a file"))
        } else {
            rest.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
            String::new()
        };
        let name = path.strip_prefix(root).expect("below").display().to_string();
        // umoci changes the time of the root itself.
        let time = if name.is_empty() { 0 } else { m.mtime() };
        let links = if m.is_dir() { 0 } else { m.nlink() };
        let text = format!("{:o} {}:{} {time} {links} {content}", m.mode(), m.uid(), m.gid());
        found.insert(name, text);
    }
    found
}

#[test]
fn layers_amount_to_what_umoci_makes_of_them_and_run() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    need!(need::root(), "owners are kept by root only");
    need!(need::program("umoci"), "umoci is not installed");
    let images = Images::new();
    images.make();
    assert!(images.orlop(&["image", "import", "oci:layout:t", "demo"]).contains("demo:latest: sha256:"));
    assert!(images.orlop(&["image", "list"]).contains("linux/amd64"));
    images.orlop(&["bundle", "demo", "ours"]);
    images.umoci(&["unpack", "--image", "layout:t", "theirs"]);
    let (mut ours, theirs) = (tree(&images.path("ours/rootfs")), tree(&images.path("theirs/rootfs")));
    // The working directory, which umoci does not make.
    assert!(ours.remove("work").is_some());
    assert_same(&ours, &theirs);
    // Saved and imported again it is the same.
    images.orlop(&["image", "save", "demo", "-o", "saved.tar"]);
    images.orlop(&["bundle", "docker-archive:saved.tar", "again"]);
    let mut again = tree(&images.path("again/rootfs"));
    assert!(again.remove("work").is_some());
    assert_same(&again, &ours);
    let container = Container::sh("true");
    let root = container.state_root();
    let bundle = images.path("ours");
    let root = root.to_str().expect("UTF-8");
    let out = images.orlop(&["--root", root, "run", "-b", bundle.to_str().expect("UTF-8"), "images-demo"]);
    assert_eq!(out, "1000\n/work\nhello\n");
    images.orlop(&["image", "rm", "demo"]);
    images.orlop(&["image", "gc"]);
    assert_eq!(fs::read_dir(images.path("store/layers")).expect("a store").count(), 0);
}

#[test]
fn errors_name_the_image_and_what_could_help() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let images = Images::new();
    let fails = |args: &[&str], words: &str| {
        let mut command = Command::new(runtime::binary());
        let out =
            command.args(args).env("ORLOP_STORE", images.path("store")).output().expect("it is installed");
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && error.contains(words), "{args:?}: {error}");
    };
    fails(&["image", "import", "oci:/nowhere"], "open the image layout /nowhere: No such file or directory");
    fails(&["image", "inspect", "nothing"], "the image nothing:latest is not there");
    fails(&["image", "import", "docker://alpine"], "skopeo copy docker://alpine oci:DIR:TAG");
    fails(&["bundle", "nothing", "/tmp/nowhere"], "the image nothing:latest is not there");
}

/// Names in the list of commands that a program's help has.
fn commands(program: &Path) -> Vec<String> {
    let out = Command::new(program).arg("--help").output().expect("it is there");
    let text = String::from_utf8(out.stdout).expect("text");
    let list = text.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_companion_is_one_of_orlop() {
    need!(runtime::is_orlop(), "other runtimes have no companion");
    let (own, others) =
        (commands(runtime::binary()), commands(&runtime::binary().with_file_name("orlop-tools")));
    assert!(others.iter().any(|name| name == "image"), "{others:?}");
    for name in others {
        assert!(own.contains(&name), "orlop does not know {name}");
    }
}
