//! Commands for several containers at once: by their ids, or by a pattern of them.

use clap::{Arg, ArgAction, ArgMatches};
use orlop_runtime::{ContainerId, Error, Result, Runtime};
use regex_lite::Regex;

use crate::flags;

/// The ids of one container or more.
pub(crate) fn ids() -> Arg {
    flags::id().action(ArgAction::Append).num_args(1..).help("The containers")
}

/// `--regex`.
pub(crate) fn regex() -> Arg {
    flags::switch("regex", "ID is a regular expression; all containers it matches are meant").short('r')
}

/// The containers that the arguments name, each by its id.
///
/// # Errors
///
/// A bad id.
pub(crate) fn given(arguments: &ArgMatches) -> Result<Vec<ContainerId>> {
    arguments.get_many::<String>("id").unwrap_or_default().map(|id| ContainerId::new(id)).collect()
}

/// The containers that the arguments name. A pattern that matches none names none.
///
/// # Errors
///
/// A bad id, or a bad pattern.
pub(crate) fn chosen(runtime: &Runtime, arguments: &ArgMatches) -> Result<Vec<ContainerId>> {
    if !arguments.get_flag("regex") {
        return given(arguments);
    }
    let pattern = |text: &String| {
        Regex::new(text).map_err(|e| Error::usage(format!("invalid regular expression {text:?}: {e}")))
    };
    let patterns = arguments.get_many("id").unwrap_or_default().map(pattern).collect::<Result<Vec<_>>>()?;
    let mut ids = runtime.ids()?;
    ids.retain(|id| patterns.iter().any(|pattern| pattern.is_match(id.as_str())));
    Ok(ids)
}

/// Does something to each container that the arguments name, as [`each`] does.
///
/// # Errors
///
/// A bad id, or what fails for one of them.
pub(crate) fn each_given(arguments: &ArgMatches, act: impl FnMut(&ContainerId) -> Result<()>) -> Result<u8> {
    each(&given(arguments)?, act)
}

/// Does something to each container, and to the others too where it fails for one; the exit status.
///
/// # Errors
///
/// Of several failures the last is returned, the others are logged.
pub(crate) fn each(ids: &[ContainerId], mut act: impl FnMut(&ContainerId) -> Result<()>) -> Result<u8> {
    let mut failure = None;
    for id in ids {
        if let Err(e) = act(id)
            && let Some(earlier) = failure.replace(e)
        {
            orlop_runtime::log::failure(&earlier);
        }
    }
    failure.map_or(Ok(0), Err)
}
