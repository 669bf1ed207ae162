//! `orlop commit`

use clap::{Arg, ArgMatches};
use orlop_command::entry::{Entry, PLAIN, called};
use orlop_command::flags::{self, get};
use orlop_command::globals::Globals;
use orlop_command::output;
use orlop_image::ImportOptions;
use orlop_image::reference::Name;
use orlop_image::store::Authorship;
use orlop_runtime::clock::now;
use orlop_runtime::{ContainerId, Error, Result, Runtime};
use orlop_spec::Status;

use super::diff;
use crate::images::{self, Told as _};
use crate::progress::Bar;

pub(super) const ENTRY: Entry = Entry {
    name: "commit",
    about: "Make an image of a container of an image, with its changes as another layer",
    arguments: |command| {
        let name = Arg::new("name").value_name("NAME").required(true).value_parser(images::parse::<Name>);
        command.args([
            flags::id(),
            name.help("What the image is to be called"),
            flags::option("author", "AUTHOR", "Who has made it, for the image's history").short('a'),
            flags::option("message", "TEXT", "Why, for the image's history").short('m'),
            flags::switch(
                "no-pause",
                "Do not freeze the container meanwhile: what it writes may be half there",
            ),
            flags::switch("quiet", "Print no progress, and of the result its id only").short('q'),
            images::store_option(),
        ])
    },
    run,
    ..PLAIN
};

fn run(globals: &Globals, arguments: &ArgMatches) -> Result<u8> {
    let (runtime, id) = (globals.runtime()?, flags::get_id(arguments)?);
    let name: &Name = get(arguments, "name").ok_or_else(|| Error::usage("a name is needed"))?;
    let state = runtime.state(&id)?;
    let (upper, _) = diff::layers(&state)?;
    let store = images::store(arguments)?;
    let image = store.pinned(&state.bundle).told()?;
    let text = |name: &str| get::<String>(arguments, name).cloned().unwrap_or_default();
    let about = Authorship {
        created: now(),
        author: text("author"),
        comment: text("message"),
        created_by: format!("{} commit {id}", called()),
    };
    let bar = Bar::new(arguments.get_flag("quiet"));
    let pause = state.status == Status::Running && !arguments.get_flag("no-pause");
    let made = frozen(&runtime, &id, pause, || {
        store.commit((&image, &upper), name, &about, &ImportOptions::default(), &bar).told()
    });
    bar.clear();
    let made = made?;
    if arguments.get_flag("quiet") {
        output::lines([made.id.to_string().as_str()])?;
    } else {
        output::lines([format!("{name}: {}, {} layers", made.id, made.layers.len()).as_str()])?;
    }
    Ok(0)
}

/// Does something while a container is frozen, if it is to be.
fn frozen<T>(runtime: &Runtime, id: &ContainerId, pause: bool, act: impl FnOnce() -> Result<T>) -> Result<T> {
    if !pause {
        return act();
    }
    runtime.pause(id)?;
    let done = act();
    let resumed = runtime.resume(id);
    done.and_then(|done| resumed.map(|()| done))
}
