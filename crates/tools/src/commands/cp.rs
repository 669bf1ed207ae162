//! `orlop cp`

use std::os::fd::OwnedFd;
use std::path::Path;

use clap::Arg;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::{self, get};
use orlop_image::copy::{Owner, Place, copy, copy_in, copy_out};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerId, Error, Result, Runtime};

use crate::images::{self, Told as _};
use crate::stopped;

pub(super) const ENTRY: Entry = Entry {
    name: "cp",
    about: "Copy files into a container, or out of it",
    arguments: |command| {
        let path = |name, help| Arg::new(name).required(true).allow_hyphen_values(true).help(help);
        command
            .args([
                path("from", "What to copy: PATH, ID:PATH in a container, or - for an archive on standard input; /. at its end is what is in a directory"),
                path("to", "Where to: the same; into a directory that is there, else under this name; - is an archive on standard output"),
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
        let (from, to) = (End::of(&runtime, text("from"))?, End::of(&runtime, text("to"))?);
        let same = arguments.get_flag("archive");
        match (from, to) {
            (End::Container(from), End::Host(path)) => {
                let owner = if same { Owner::Same } else { Owner::Caller };
                copy(&from.place(), &Side::of_host(&path)?.place(), owner).told()?;
            }
            (End::Host(path), End::Container(to)) => {
                copy(&Side::of_host(&path)?.place(), &to.place(), to.owner(same)).told()?;
            }
            (End::Container(from), End::Archive) => {
                let mut out = images::output(None)?;
                copy_out(&from.place(), &mut out).told()?;
            }
            (End::Archive, End::Container(to)) => {
                copy_in(std::io::stdin().lock(), &to.place(), to.owner(same)).told()?;
            }
            _ => {
                return Err(Error::usage("one of the two is in a container, ID:PATH, and the other is not"));
            }
        }
        Ok(0)
    },
    ..PLAIN
};

/// One of the two ends.
enum End {
    Container(Side),
    Host(String),
    Archive,
}

impl End {
    fn of(runtime: &Runtime, text: &str) -> Result<Self> {
        match text.split_once(':') {
            _ if text == "-" => Ok(Self::Archive),
            Some((id, path)) if !text.starts_with(['/', '.']) && !id.contains('/') => {
                Side::of_container(runtime, &ContainerId::new(id)?, path).map(Self::Container)
            }
            _ => Ok(Self::Host(text.to_owned())),
        }
    }
}

/// A root, and a path in it.
struct Side {
    root: OwnedFd,
    path: String,
    /// Whom a container's root is for us.
    ids: (u32, u32),
}

impl Side {
    fn of_host(text: &str) -> Result<Self> {
        let path = std::path::absolute(text).doing(|| format!("find {text}"))?;
        // A dot at the end says something, and an absolute path has none any more.
        let end = if text.ends_with("/.") || text == "." { "/." } else { "" };
        Ok(Self {
            root: stopped::open(Path::new("/"))?,
            path: format!("{}{end}", path.display()),
            ids: (0, 0),
        })
    }

    fn of_container(runtime: &Runtime, id: &ContainerId, path: &str) -> Result<Self> {
        let path = path.to_owned();
        let Some(first) = runtime.first_process_of(id)? else {
            let state = runtime.state(id)?;
            let (root, ids) = stopped::root(&state, &path)?;
            return Ok(Self { root, path, ids });
        };
        let root = stopped::open(Path::new(&format!("/proc/{}/root", first.pid)))?;
        let ids = root_of(first.pid)?;
        // The process was there after its root had been opened, so it was its own.
        first.open()?.ok_or_else(|| Error::usage(format!("container {id} has just ended")))?;
        Ok(Self { root, path, ids })
    }

    fn place(&self) -> Place<'_> {
        Place { root: &self.root, path: &self.path }
    }

    fn owner(&self, same: bool) -> Owner {
        if same { Owner::Same } else { Owner::Ids(self.ids.0, self.ids.1) }
    }
}

/// Who is root in a process's user namespace, by the numbers that we have for it.
fn root_of(pid: i32) -> Result<(u32, u32)> {
    let id = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        let text = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
        let outside = text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("0")).then(|| words.next()?.parse().ok()).flatten()
        });
        outside.ok_or_else(|| Error::usage(format!("the container's root is not mapped in {path}")))
    };
    Ok((id("uid_map")?, id("gid_map")?))
}
