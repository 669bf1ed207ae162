//! `orlop export`, `orlop cp` with archives and with containers that do not run, and what volumes begin with.
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use orlop_tests::images::Place;
use orlop_tests::unprivileged::{USER, Unprivileged};
use orlop_tests::{Invocation, need, runtime};

/// The names in an archive, sorted.
fn names(place: &Place, archive: &str) -> Vec<String> {
    let list = Invocation::new("tar", &place.path("io")).args(["-tf", archive]).ok();
    let mut names: Vec<_> = list.lines().into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn the_root_of_a_container_is_exported_running_or_not() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let script = "rm /etc/group; echo new >/srv/new; ln /srv/new /srv/same; chmod 4750 /srv/new; mkfifo /srv/pipe; \
                  chown 33:34 /srv; touch /data/in-the-volume /scratch/in-memory";
    let flags = ["-d", "--name", "ot-export", "-v", "data:/data", "--tmpfs", "/scratch", "--init"];
    place.run(&flags, &["sleep", "1000"]).ok();
    place.orlop(&["exec", "ot-export", "sh", "-c", script]).ok();
    let (running, stopped) = (place.path("running.tar"), place.path("stopped.tar"));
    let export =
        |to: &std::path::Path| place.orlop(&["export", "ot-export", "-o", &to.display().to_string()]).ok();
    export(&running);
    place.orlop(&["kill", "ot-export", "KILL"]).ok();
    place.orlop(&["wait", "ot-export"]).ok();
    export(&stopped);
    assert_eq!(fs::read(&running).expect("it is there"), fs::read(&stopped).expect("it is there"));
    let to = place.path("unpacked");
    fs::create_dir(&to).expect("a new directory");
    Invocation::new("tar", &place.path("io")).arg("-xpf").arg(&stopped).arg("-C").arg(&to).ok();
    let look = |path: &str| fs::symlink_metadata(to.join(path)).expect("it is there");
    assert_eq!((look("srv/new").mode() & 0o7777, look("srv/new").nlink()), (0o4750, 2));
    assert_eq!((look("srv").uid(), look("srv").gid()), (33, 34));
    assert!(!to.join("etc/group").exists() && to.join("etc/passwd").exists() && look("bin/sh").is_symlink());
    for mounted in ["data", "scratch", "proc", "dev"] {
        assert_eq!(fs::read_dir(to.join(mounted)).expect("a directory").count(), 0, "{mounted}");
    }
    // To standard output, too.
    let out = fs::File::create(place.path("piped.tar")).expect("a new file");
    place.orlop(&["export", "ot-export"]).stdout(out).ok();
    assert_eq!(fs::read(place.path("piped.tar")).expect("written"), fs::read(&stopped).expect("written"));
    place.orlop(&["delete", "ot-export"]).ok();
    place.orlop(&["export", "ot-export"]).output().fails_with("ot-export");
    place.orlop(&["volume", "rm", "data"]).ok();
    place.is_clean("ot-export");
}

#[test]
fn files_are_copied_into_a_container_that_does_not_run() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place
        .run(
            &["--name", "ot-stopped", "-v", "data:/data"],
            &["sh", "-c", "echo was >/srv/was; rm /etc/group"],
        )
        .ok();
    let (file, out) = (place.path("file"), place.path("out").display().to_string());
    fs::write(&file, "in\n").expect("a new file");
    chown(&file, Some(7), Some(7)).expect("root may");
    let file = file.display().to_string();
    place.orlop(&["cp", "ot-stopped:/srv/was", &out]).ok();
    assert_eq!(fs::read_to_string(&out).expect("copied"), "was\n");
    place.orlop(&["cp", "ot-stopped:/etc/group", &out]).output().fails_with("/etc/group");
    place.orlop(&["cp", &file, "ot-stopped:/etc/group"]).ok();
    place.orlop(&["cp", "-a", &file, "ot-stopped:/srv"]).ok();
    place.orlop(&["cp", &file, "ot-stopped:/data/file"]).output().fails_with("nothing is mounted at /data");
    let changes = place.orlop(&["diff", "ot-stopped"]).ok();
    for change in ["C /etc/group", "A /srv/file", "A /srv/was"] {
        assert!(changes.lines().contains(&change), "{change}: {changes}");
    }
    // What is made of it has them.
    place.orlop(&["commit", "ot-stopped", "made:1"]).ok();
    let script = "cat /etc/group; stat -c %u:%g /etc/group /srv/file";
    assert_eq!(place.orlop(&["run", "--rm", "made:1", "sh", "-c", script]).ok().stdout, "in\n0:0\n7:7\n");
    place.orlop(&["delete", "ot-stopped"]).ok();
    place.orlop(&["volume", "rm", "data"]).ok();
    place.is_clean_of("ot-stopped");
}

#[test]
fn archives_are_copied_in_and_out() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place.run(&["-d", "--name", "ot-tar"], &["sleep", "1000"]).ok();
    let inside = |script: &str| place.orlop(&["exec", "ot-tar", "sh", "-c", script]).ok().stdout;
    let here = place.path("here");
    fs::create_dir_all(here.join("dir")).expect("a new directory");
    fs::write(here.join("dir/.wh.file"), "no whiteout\n").expect("a new file");
    fs::set_permissions(here.join("dir/.wh.file"), fs::Permissions::from_mode(0o640)).expect("ours");
    chown(here.join("dir/.wh.file"), Some(7), Some(8)).expect("root may");
    let tar = |name: &str| place.path(name).display().to_string();
    Invocation::new("tar", &place.path("io"))
        .arg("-cf")
        .arg(tar("in.tar"))
        .arg("-C")
        .arg(&here)
        .arg("dir")
        .ok();
    let input = || fs::File::open(tar("in.tar")).expect("it is there");
    place.orlop(&["cp", "-", "ot-tar:/srv"]).stdin(input()).ok();
    assert_eq!(inside("cd /srv/dir; cat .wh.file; stat -c '%a %u:%g' .wh.file"), "no whiteout\n640 0:0\n");
    place.orlop(&["cp", "-a", "-", "ot-tar:/srv"]).stdin(input()).ok();
    assert_eq!(inside("stat -c '%a %u:%g' /srv/dir/.wh.file"), "640 7:8\n");
    place.orlop(&["cp", "-", "ot-tar:/missing"]).stdin(input()).output().fails_with("/missing");
    let out = |path: &str| {
        let file = fs::File::create(tar("out.tar")).expect("a new file");
        place.orlop(&["cp", path, "-"]).stdout(file).ok();
        names(&place, &tar("out.tar"))
    };
    assert_eq!(out("ot-tar:/srv/dir"), ["dir/", "dir/.wh.file"]);
    assert_eq!(out("ot-tar:/srv/dir/."), ["./", ".wh.file"]);
    assert_eq!(out("ot-tar:/etc/passwd"), ["passwd"]);
    // An archive that leads out of its directory is refused as a whole.
    std::os::unix::fs::symlink("/etc", here.join("way")).expect("a new link");
    let hostile =
        Invocation::new("tar", &place.path("io")).arg("-cPf").arg(tar("bad.tar")).arg("-C").arg(&here);
    hostile.args(["--transform", "s,^dir/,../,", "dir"]).ok();
    let bad = fs::File::open(tar("bad.tar")).expect("it is there");
    place.orlop(&["cp", "-", "ot-tar:/srv"]).stdin(bad).output().fails_with("..");
    place.orlop(&["cp", "-", "-"]).output().fails_with("one of the two is in a container");
    place.orlop(&["delete", "--force", "ot-tar"]).ok();
    place.is_clean("ot-tar");
}

#[test]
fn a_volume_begins_with_what_the_image_has_there() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place
        .run(
            &["--name", "ot-from"],
            &["sh", "-c", "cd /srv; echo a >file; chown -R 33:34 .; chmod 2770 .; ln -s file link"],
        )
        .ok();
    place.orlop(&["commit", "ot-from", "made:1"]).ok();
    place.orlop(&["delete", "ot-from"]).ok();
    let run = |volume: &str, script: &str| {
        place.orlop(&["run", "--rm", "-v", volume, "made:1", "sh", "-c", script]).ok().stdout
    };
    assert_eq!(run("data:/srv", "echo more >more; rm link"), "");
    // It is not empty any more, so nothing comes back.
    assert_eq!(run("data:/srv", "ls; stat -c '%a %u:%g' . file"), "file\nmore\n2770 33:34\n644 33:34\n");
    assert_eq!(run("none:/srv:nocopy", "ls"), "");
    assert_eq!(run("/srv", "cat file"), "a\n");
    assert_eq!(run("other:/nowhere", "ls /nowhere"), "");
    place.orlop(&["image", "rm", "made:1"]).ok();
    place.orlop(&["volume", "prune"]).ok();
    place.keeps_nothing();
}

#[test]
fn ids_of_its_own_change_nothing_about_files() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let map = ["--uidmap", "0:100000:65536"];
    let script = "cat /proc/self/uid_map | tr -s ' '; id -u; stat -c %u:%g / /etc/passwd /etc/hosts; \
                  touch /new && stat -c %u /new; ls -a / >/tmp/root; ls -a /dev/.. | diff - /tmp/root && echo same";
    assert_eq!(place.prints(&map, script), " 0 100000 65536\n0\n0:0\n0:0\n0:0\n0\nsame\n");
    assert_eq!(
        place.prints(&[&map[..], &["-v", "data:/data"]].concat(), "touch /data/a; stat -c %u /data"),
        "0\n"
    );
    let made = place.path("store/volumes/data/data/a");
    assert_eq!(fs::metadata(made).expect("it is there").uid(), 0, "the host's root, as all of the store is");
    // Directories that hide those below do so here, too.
    for (image, name, script) in [
        (&place.image[..], "made:1", "mkdir -p /d/deep; touch /d/old /d/deep/old"),
        ("made:1", "made:2", "rm -r /d; mkdir -p /d/deep; touch /d/only /d/deep/only"),
    ] {
        place.orlop(&["run", "--name", "ot-hide", image, "sh", "-c", script]).ok();
        place.orlop(&["commit", "ot-hide", name]).ok();
        place.orlop(&["delete", "ot-hide"]).ok();
    }
    let list = ["made:2", "sh", "-c", "ls /d /d/deep"];
    let listed = "/d:\ndeep\nonly\n\n/d/deep:\nonly\n";
    assert_eq!(place.orlop(&[&["run", "--rm"], &map[..], &list].concat()).ok().stdout, listed);
    for name in ["made:1", "made:2"] {
        place.orlop(&["image", "rm", name]).ok();
    }
    place.orlop(&["volume", "rm", "data"]).ok();
    place.keeps_nothing();
}

#[test]
fn each_container_gets_ids_that_no_other_has() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    // In a mount namespace of the test's own, where these are the ids that containers are given.
    fs::write(place.path("granted"), "containers:500000:30000\n").expect("a new file");
    let script = r#"set -e
        touch /etc/subuid /etc/subgid
        mount --bind "$3" /etc/subuid; mount --bind "$3" /etc/subgid
        orlop="$0 --root $1"
        for id in ot-ids-1 ot-ids-2 ot-ids-3; do
            $orlop run -d --name $id --userns auto:size=10000 "$2" sleep 1000 >/dev/null
            $orlop exec $id cat /proc/self/gid_map
        done
        ! $orlop run --rm --userns auto:size=10000 "$2" true
        $orlop delete --force ot-ids-2
        $orlop run --rm --userns auto:size=10000 "$2" cat /proc/self/uid_map
        $orlop delete --force ot-ids-1; $orlop delete --force ot-ids-3"#;
    let out = Invocation::new("unshare", &place.path("io"))
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(runtime::binary())
        .arg(place.path("state"))
        .arg(&place.image)
        .arg(place.path("granted"))
        .env("ORLOP_STORE", place.path("store"))
        .ok();
    let firsts: Vec<_> = out
        .lines()
        .iter()
        .map(|line| line.split_whitespace().nth(1).unwrap_or(""))
        .map(str::to_owned)
        .collect();
    assert_eq!(firsts, ["500000", "510000", "520000", "510000"], "{out}");
    assert!(out.stderr.contains("gives \"containers\" no 10000 ids"), "{out}");
    place.keeps_nothing();
}

#[test]
fn without_root_the_network_is_its_own_and_a_stopped_container_can_be_copied_from() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let user = Unprivileged::new(place.home.path());
    for directory in ["data", "run", "home"] {
        fs::create_dir(place.path(directory)).expect("a new directory");
        chown(place.path(directory), Some(USER), Some(USER)).expect("root may");
    }
    fs::set_permissions(place.home.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
    let orlop = |args: &[&str]| {
        Invocation::new(runtime::binary(), &place.path("io"))
            .arg("--root")
            .arg(place.path("run"))
            .args(args)
            .env("XDG_DATA_HOME", place.path("data"))
            .within(&user.wrapper())
    };
    let script = "ls /sys/class/net; echo kept >/srv/kept";
    assert_eq!(orlop(&["run", "--name", "ot-user", &place.image, "sh", "-c", script]).ok().stdout, "lo\n");
    let out = place.path("home/out");
    orlop(&["cp", "ot-user:/srv/kept", &out.display().to_string()]).ok();
    assert_eq!(fs::read_to_string(&out).expect("copied"), "kept\n");
    orlop(&["cp", &out.display().to_string(), "ot-user:/etc/motd"]).ok();
    assert!(orlop(&["diff", "ot-user"]).ok().stdout.contains("A /etc/motd"));
    orlop(&["delete", "ot-user"]).ok();
    orlop(&["run", "--rm", "--userns", "auto", &place.image]).output().fails_with("only root");
}
