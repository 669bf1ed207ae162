//! `orlop run IMAGE`: a container of an image. `orlop run ID`, of a bundle, is the runtime's own command.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ArgMatches;
use orlop_command::companion;
use orlop_command::entry::{Entry, PLAIN, called, status};
use orlop_command::flags::{self, get};
use orlop_command::globals::Globals;
use orlop_command::output;
use orlop_image::Reference;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerId, CreateOptions, Error, Result, RunOptions, Runtime};

use crate::images::{self, Told as _};
use crate::progress::Bar;
use crate::run::args::{self, Wishes};
use crate::run::config::Making;
use crate::run::home::{CHANGES, Home};
use crate::run::userns::Ids;

pub(super) const ENTRY: Entry = Entry {
    name: "run",
    about: "Run a program in a new container made of an image",
    tail: Some(1),
    arguments: |command| {
        command
            .override_usage("orlop run [OPTIONS] IMAGE [COMMAND]...")
            .disable_help_flag(true)
            .arg(clap::Arg::new("help").long("help").action(clap::ArgAction::Help).help("Print help"))
            .args(args::all())
    },
    run,
    ..PLAIN
};

fn run(globals: &Globals, arguments: &ArgMatches) -> Result<u8> {
    let supervision = flags::supervise::get(arguments)?;
    let (detach, remove) = (arguments.get_flag("detach"), arguments.get_flag("rm"));
    if supervision.is_some() && !detach {
        return Err(Error::usage(flags::supervise::NEEDS_DETACH));
    }
    if detach && arguments.get_flag("interactive") {
        return Err(Error::usage("--interactive and --detach: in the background, nobody can be listened to"));
    }
    let wishes = Wishes::read(arguments)?;
    let runtime = globals.runtime()?;
    let store = images::store(arguments)?;
    let reference: &Reference = get(arguments, "image").ok_or_else(|| Error::usage("an image is needed"))?;
    let bar = Bar::new(arguments.get_flag("quiet"));
    let image = store.ensure(reference, &images::get_import_options(arguments), &bar);
    bar.clear();
    let image = image.told()?;
    let named = reference.to_string();
    let id = match get::<String>(arguments, "name") {
        Some(name) => ContainerId::new(name)?,
        None => made_up(&named)?,
    };
    let home = Home::make(store.path(), &id)?;
    let making = Making {
        runtime: &runtime,
        id: &id,
        images: &store,
        home: &home,
        image: &image,
        wishes: &wishes,
        state: runtime.root(),
    };
    let (spec, claim) = making.config()?;
    store.pin(home.path(), &image).told()?;
    // Directories that overlayfs would show otherwise than the image has them.
    let upper = home.directory(&format!("{CHANGES}/upper"), 0o755)?;
    let upper = std::fs::File::open(&upper).doing(|| format!("open {}", upper.display()))?;
    store.prepare_upper(&image, &upper.into(), wishes.ids != Ids::Host).told()?;
    let text =
        orlop_spec::default::to_text(&spec).map_err(|e| Error::usage(format!("write the config: {e}")))?;
    home.file("config.json", &text)?;
    drop(claim);
    let bundle = CreateOptions { bundle: home.path().to_owned(), ..CreateOptions::default() };
    flags::strict::check(arguments, &bundle)?;
    if detach {
        background(globals, arguments, home, &id)
    } else {
        foreground(&runtime, arguments, home, &id, remove)
    }
}

/// Waits for it, in the place of its caller.
fn foreground(
    runtime: &Runtime,
    arguments: &ArgMatches,
    home: Home,
    id: &ContainerId,
    remove: bool,
) -> Result<u8> {
    if !arguments.get_flag("interactive") && !arguments.get_flag("tty") {
        let nothing = std::fs::File::open("/dev/null").doing(|| "open /dev/null".to_owned())?;
        nix::unistd::dup2_stdin(nothing.as_fd()).doing(|| "make /dev/null standard input".to_owned())?;
    }
    let create = CreateOptions {
        bundle: home.path().to_owned(),
        pid_file: get(arguments, "pid-file").cloned(),
        init: arguments.get_flag("init"),
        ..CreateOptions::default()
    };
    let ended = runtime.run(id, &create, &RunOptions { keep: !remove, ..RunOptions::default() });
    // If it was made, its directory goes with it, by its hook.
    if ended.is_ok() || runtime.state(id).is_ok() {
        home.keep();
    }
    ended.map(status)
}

/// Hands it to a supervisor, which is the runtime's own program, and prints its id.
fn background(globals: &Globals, arguments: &ArgMatches, home: Home, id: &ContainerId) -> Result<u8> {
    let mut command = Command::new(companion::runtime()?);
    command.args(&globals.given).args(["run", "--detach", "--supervise", "--bundle"]).arg(home.path());
    for name in flags::supervise::WITH_VALUES {
        let raw = arguments.get_raw(name).into_iter().flatten();
        command.args(raw.map(|value| format!("--{name}={}", value.to_string_lossy())));
    }
    if let Some(file) = get::<std::path::PathBuf>(arguments, "pid-file") {
        command.arg("--pid-file").arg(file);
    }
    for name in ["init", "rm"] {
        if arguments.get_flag(name) {
            command.arg(format!("--{name}"));
        }
    }
    let started = command.arg("--").arg(id.as_str()).stdin(Stdio::null()).status();
    let started = started.doing(|| format!("start {}", called()))?;
    if !started.success() {
        // It has said why.
        return Ok(started.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
    }
    home.keep();
    output::lines([id.as_str()])?;
    Ok(0)
}

/// An id that says what is in the container, and is nobody else's.
fn made_up(image: &str) -> Result<ContainerId> {
    let last = image.rsplit('/').next().unwrap_or(image);
    let name: String =
        last.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    let name = if name.starts_with(|c: char| c.is_ascii_alphanumeric()) { name } else { "image".to_owned() };
    let mut random = [0; 4];
    std::fs::File::open(Path::new("/dev/urandom"))
        .and_then(|mut file| file.read_exact(&mut random))
        .doing(|| "read /dev/urandom".to_owned())?;
    ContainerId::new(&format!("{name}-{:08x}", u32::from_ne_bytes(random)))
}
