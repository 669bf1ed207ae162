//! What is installed, and Debian's packages of it: into directories of their own, never on this machine.
use std::fs;
use std::path::Path;
use std::process::Command;

use orlop_tests::{need, runtime};

/// Runs a program to its end; what it prints.
fn ok(command: &mut Command) -> String {
    let out = command.output().expect("it is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{command:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// A script of ours, about the programs under test.
fn hack(name: &str) -> Command {
    let mut command = Command::new(runtime::workspace().join("hack").join(name));
    command
        .env("BIN", runtime::binary().parent().expect("a directory"))
        .env("SOURCE_DATE_EPOCH", "1767225600");
    command
}

/// All files below a directory, as paths from there.
fn files(below: &Path) -> Vec<String> {
    let found = ok(Command::new("find").arg(below).args(["-type", "f", "-printf", "%P\n"]));
    found.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_installed_works_and_can_be_removed() {
    need!(runtime::is_orlop(), "it is orlop that is installed");
    need!(!need::in_vm(), "files are the same there");
    let to = tempfile::tempdir().expect("a directory");
    let install = || {
        let mut command = hack("install");
        command.env("DESTDIR", to.path()).env("PREFIX", "/opt/orlop");
        command
    };
    ok(&mut install());
    let prefix = to.path().join("opt/orlop");
    let installed = files(&prefix);
    for file in [
        "bin/orlop",
        "bin/containerd-shim-orlop-v2",
        "libexec/orlop/orlop-tools",
        "share/man/man1/orlop.1.gz",
        "share/man/man1/orlop-run.1.gz",
        "share/man/man8/containerd-shim-orlop-v2.8.gz",
        "share/bash-completion/completions/orlop",
        "share/zsh/site-functions/_orlop",
        "share/fish/vendor_completions.d/orlop.fish",
        "share/doc/orlop/LICENSE",
    ] {
        assert!(installed.iter().any(|name| name == file), "{file}: {installed:?}");
    }
    // The companion is found where it is not beside.
    let codes = ok(Command::new(prefix.join("bin/orlop")).args(["help", "ORL-1302"]));
    assert!(codes.contains("a step failed"), "{codes}");
    ok(install().arg("-r"));
    assert!(files(&prefix).is_empty(), "{:?}", files(&prefix));
}

#[test]
fn packages_are_installed_by_dpkg_and_depend_on_nothing() {
    let released = runtime::binary() == runtime::workspace().join("bin/orlop");
    need!(released, "the packages are of the release build");
    need!(!need::in_vm(), "files are the same there");
    need!(need::program("dpkg") && need::root(), "no dpkg here, or no right to use it");
    let dir = tempfile::tempdir().expect("a directory");
    let (packages, root) = (dir.path().join("packages"), dir.path().join("root"));
    ok(hack("deb").arg(&packages));
    ok(hack("deb").arg(dir.path().join("again")));
    fs::create_dir_all(root.join("var/lib/dpkg/info")).expect("a new directory");
    fs::create_dir_all(root.join("var/lib/dpkg/updates")).expect("a new directory");
    fs::write(root.join("var/lib/dpkg/status"), "").expect("a new file");
    let dpkg = || {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg("--root").arg(&root).arg("--log=/dev/null");
        dpkg
    };
    for package in fs::read_dir(&packages).expect("a directory").map(|entry| entry.expect("an entry").path())
    {
        let other = dir.path().join("again").join(package.file_name().expect("a name"));
        assert!(fs::read(&package).ok() == fs::read(other).ok(), "{}: other bytes", package.display());
        assert_eq!(ok(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Depends")).trim(), "");
        ok(dpkg().arg("--install").arg(package));
    }
    assert!(ok(dpkg().arg("--verify")).is_empty(), "the sums are right");
    // There is nothing else in there: neither a C library nor a shell.
    let inside = |args: &[&str]| ok(Command::new("chroot").arg(&root).args(args));
    assert!(inside(&["/usr/bin/orlop", "--version"]).starts_with("orlop version "));
    assert!(inside(&["/usr/bin/orlop", "help", "ORL-1302"]).contains("a step failed"));
    assert!(inside(&["/usr/bin/containerd-shim-orlop-v2", "-v"]).contains("orlop"));
    ok(dpkg().args(["--purge", "orlop", "containerd-shim-orlop"]));
    assert!(!root.join("usr/bin").exists(), "nothing is left: {:?}", files(&root));
}

#[test]
fn the_bill_of_materials_names_everything_that_is_linked() {
    need!(!need::in_vm(), "files are the same there");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("orlop.spdx.json");
    ok(hack("sbom").arg(&file));
    let text = fs::read_to_string(file).expect("it is written");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for field in ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace"] {
        assert!(document[field].is_string(), "{field}");
    }
    assert_eq!(document["creationInfo"]["created"], "2026-01-01T00:00:00Z");
    let packages = document["packages"].as_array().expect("a list");
    let named = |id: &serde_json::Value| packages.iter().any(|package| package["SPDXID"] == *id);
    for package in packages {
        for field in ["SPDXID", "name", "downloadLocation", "licenseDeclared"] {
            assert!(package[field].is_string(), "{field}: {package}");
        }
    }
    for name in ["orlop", "orlop-shim", "clap", "serde_json", "zlib-rs", "rust-std", "musl"] {
        assert!(packages.iter().any(|package| package["name"] == name), "{name}");
    }
    assert!(!packages.iter().any(|package| package["name"] == "proptest"), "that is for the tests");
    for relation in document["relationships"].as_array().expect("a list") {
        let (one, other) = (&relation["spdxElementId"], &relation["relatedSpdxElement"]);
        assert!(*one == "SPDXRef-DOCUMENT" || named(one), "{relation}");
        assert!(named(other), "{relation}");
    }
}
