//! `orlop cp`

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;

use clap::Arg;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::{self, get};
use orlop_image::copy::{Owner, Place, copy};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerId, Error, Result, Runtime};

use crate::images::Told as _;

pub(super) const ENTRY: Entry = Entry {
    name: "cp",
    about: "Copy files into a running container, or out of it",
    arguments: |command| {
        let path = |name, help| Arg::new(name).required(true).help(help);
        command
            .args([
                path("from", "What to copy: PATH, or ID:PATH in a container; /. at its end is what is in a directory"),
                path("to", "Where to: the same; into a directory that is there, else under this name"),
                flags::switch("archive", "Keep owners, by number").short('a'),
            ])
            .after_help(
                "What is copied into a container is its root's, what is copied out of it is yours. A path on the host with a \
                 colon in it begins with / or a dot.",
            )
    },
    run: |globals, arguments| {
        let text = |name: &str| get::<String>(arguments, name).map_or("", String::as_str);
        let runtime = globals.runtime()?;
        let (from, to) = (Side::of(&runtime, text("from"))?, Side::of(&runtime, text("to"))?);
        let owner = match (&from.container, &to.container) {
            (None, None) | (Some(_), Some(_)) => {
                return Err(Error::usage("one of the two is in a container, ID:PATH, and the other is not"));
            }
            _ if arguments.get_flag("archive") => Owner::Same,
            (None, Some(pid)) => root_of(*pid)?,
            (Some(_), None) => Owner::Caller,
        };
        let (from, to) =
            (Place { root: &from.root, path: &from.path }, Place { root: &to.root, path: &to.path });
        copy(&from, &to, owner).told().map(|()| 0)
    },
    ..PLAIN
};

/// One of the two ends.
struct Side {
    root: OwnedFd,
    path: String,
    /// The first process of the container that it is in.
    container: Option<i32>,
}

impl Side {
    fn of(runtime: &Runtime, text: &str) -> Result<Self> {
        let root = |path: &str| {
            let opened = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
            opened.map(OwnedFd::from).doing(|| format!("open {path}"))
        };
        let (id, path) = match text.split_once(':') {
            Some((id, path)) if !text.starts_with(['/', '.']) && !id.contains('/') => {
                (ContainerId::new(id)?, path)
            }
            _ => {
                let path = std::path::absolute(text).doing(|| format!("find {text}"))?;
                // A dot at the end says something, and an absolute path has none any more.
                let end = if text.ends_with("/.") || text == "." { "/." } else { "" };
                let path = format!("{}{end}", path.display());
                return Ok(Self { root: root("/")?, path, container: None });
            }
        };
        let gone = || Error::usage(format!("container {id}: it does not run, so its root is nowhere"));
        let first = runtime.first_process_of(&id)?.ok_or_else(gone)?;
        let root = root(&format!("/proc/{}/root", first.pid))?;
        // The process was there after its root had been opened, so it was its own.
        first.open()?.ok_or_else(gone)?;
        Ok(Self { root, path: path.to_owned(), container: Some(first.pid) })
    }
}

/// Who is root in a process's user namespace, by the numbers that we have for it.
fn root_of(pid: i32) -> Result<Owner> {
    let id = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        let text = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
        let outside = text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("0")).then(|| words.next()?.parse().ok()).flatten()
        });
        outside.ok_or_else(|| Error::usage(format!("the container's root is not mapped in {path}")))
    };
    Ok(Owner::Ids(id("uid_map")?, id("gid_map")?))
}
