//! The one error of this crate: what was being done, to what, what the kernel said, which line of the config asked
//! for it, and what could help.
//!
//! [`Display`](fmt::Display) is one line, for logs and for engines, some of which look for words in it: the words that
//! they look for are tested below. [`Error::help`] is the block that a person reads. [`Error::code`] never changes its
//! meaning.

use std::borrow::Cow;
use std::path::PathBuf;

use orlop_spec::Status;

use crate::criu::CriuError;

mod action;
mod answer;
mod place;
mod text;

pub use action::Action;
pub use answer::{Answer, Doing};
pub use place::Place;
use text::{At, Detail, HookName, Problems, advice, exec_hint, likely, not_executable, systemd_hint, words};
pub use text::{Excerpt, Line, Problem};

/// The result of everything that this crate does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Options that contradict each other or make no sense.
    #[error("{}", Line(what))]
    Usage {
        /// What is wrong with them.
        what: String,
    },
    /// Something of the spec or of runc's options that is not built yet. Refused, never ignored.
    #[error("{} is not supported yet{}", Line(what), At(pointer))]
    Unsupported {
        /// The thing.
        what: String,
        /// Where `config.json` asks for it.
        pointer: Option<Place>,
    },
    /// A container id that cannot be one.
    #[error("invalid container id {id:?}: {why}")]
    InvalidId {
        /// The id, as given.
        id: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// No container has this id.
    #[error("container {id:?} does not exist")]
    NotExist {
        /// The id.
        id: String,
    },
    /// A container has this id already.
    #[error("container with given ID already exists: {id:?}")]
    Exists {
        /// The id.
        id: String,
    },
    /// The container is not in a state in which this can be done.
    #[error("{}", action.refusal(id, status))]
    WrongState {
        /// The container's id.
        id: String,
        /// What it was asked to do.
        action: Action,
        /// The state it is in.
        status: Status,
    },
    /// The saved state of a container cannot be understood.
    #[error("{}: {}", Line(&path.to_string_lossy()), Line(why))]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A setting of this machine forbids user namespaces.
    #[error("no user namespace can be used here, by the sysctl {setting}: {}: {answer}", Line(doing))]
    NoUserNamespace {
        /// The kernel parameter and its value: "user.max_user_namespaces = 0".
        setting: String,
        /// What failed because of it.
        doing: String,
        /// What the kernel answered.
        answer: Answer,
    },
    /// Ids that the user may not map.
    #[error("{file} does not grant {missing}{}{}", At(pointer), Detail(detail))]
    NotGranted {
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// Who asks, and for what: "user ann (1000) the ids 100000-165535".
        missing: String,
        /// Where `config.json` asks for the ids.
        pointer: Option<Place>,
        /// What is granted, and the words of the helper that refused.
        detail: String,
    },
    /// `config.json` (or a process document) cannot be used; every problem of it.
    #[error("invalid configuration {}: {}", Line(&path.to_string_lossy()), Problems(problems))]
    Config {
        /// The file.
        path: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// Something failed on the host's side.
    #[error("{}{}: {answer}", Line(doing), At(pointer))]
    Kernel {
        /// What was being done, and to what: "make the state directory /run/orlop/web".
        doing: String,
        /// What the kernel answered.
        answer: Answer,
        /// Where `config.json` asks for it.
        pointer: Option<Place>,
        /// What could help.
        hint: Option<Cow<'static, str>>,
    },
    /// A step failed inside the container.
    #[error("{}{}: {answer}{}", Line(step), At(pointer), Detail(detail))]
    Step {
        /// The step, and its object: "mount proc at /proc".
        step: String,
        /// What the kernel answered.
        answer: Answer,
        /// Where `config.json` asks for it.
        pointer: Option<Place>,
        /// What the kernel said beyond the answer (a file system's own words), or nothing.
        detail: String,
        /// What could help.
        hint: Option<Cow<'static, str>>,
    },
    /// The container's program cannot be found, or not be executed by this user.
    #[error("exec: {program:?}: {}{}", not_executable(program, *errno), At(pointer))]
    NotFound {
        /// The program, as the config names it.
        program: String,
        /// Why not, as errno(3).
        errno: i32,
        /// Where `config.json` names it.
        pointer: Option<Place>,
    },
    /// The container's program was found, but not executed: runc's words, which it says as the container's process.
    #[error("exec {}: {}", Line(program), words(*errno))]
    Exec {
        /// The program, as the config names it.
        program: String,
        /// Why not, as errno(3).
        errno: i32,
        /// Where `config.json` names it.
        pointer: Option<Place>,
    },
    /// A hook failed.
    #[error(
        "error running {}: {}: {}{} ({pointer})",
        HookName(pointer.pointer()),
        Line(path),
        Line(why),
        Detail(stderr)
    )]
    Hook {
        /// Where `config.json` has it: `/hooks/createRuntime/0`.
        pointer: Place,
        /// The program.
        path: String,
        /// How it failed: "exit status 3", "killed by SIGTERM", "not done within 5 s".
        why: String,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// A container process ended before it could execute its program, without saying why.
    #[error("{} ended while it was being set up: {}", Line(what), Line(how))]
    Died {
        /// Which process: "the container process".
        what: String,
        /// How it ended, as far as known: "killed by SIGKILL", or the memory limit that it ran into.
        how: String,
    },
    /// CRIU could not do it.
    #[error(transparent)]
    Criu(#[from] CriuError),
    /// The cgroups crate's own error.
    #[error("cgroup: {}", Line(what))]
    Cgroup {
        /// Its text.
        what: String,
        /// What could help.
        hint: Option<Cow<'static, str>>,
    },
    /// The image crate's own error, of the companion's commands.
    #[error("{}", Line(what))]
    Image {
        /// Its text.
        what: String,
        /// What could help.
        hint: Option<Cow<'static, str>>,
    },
    /// `--strict` does not want such a container.
    #[error("refused by --strict: {}", Line(what))]
    Strict {
        /// What was found, and where.
        what: String,
    },
    /// systemd, asked for a unit, did not do it.
    #[error("systemd: {}", Line(&.0.to_string()))]
    Systemd(#[from] orlop_systemd::Error),
}

impl Error {
    /// The stable code of this kind of error, for programs: `ORL-` and four digits.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "ORL-1001",
            Self::Unsupported { .. } => "ORL-1002",
            Self::InvalidId { .. } => "ORL-1101",
            Self::NotExist { .. } => "ORL-1102",
            Self::Exists { .. } => "ORL-1103",
            Self::WrongState { .. } => "ORL-1104",
            Self::State { .. } => "ORL-1105",
            Self::NoUserNamespace { .. } => "ORL-1120",
            Self::NotGranted { .. } => "ORL-1121",
            Self::Config { .. } => "ORL-1201",
            Self::Strict { .. } => "ORL-1202",
            Self::Kernel { .. } => "ORL-1301",
            Self::Step { .. } => "ORL-1302",
            Self::NotFound { .. } | Self::Exec { .. } => "ORL-1303",
            Self::Hook { .. } => "ORL-1304",
            Self::Died { .. } => "ORL-1305",
            Self::Cgroup { .. } => "ORL-1401",
            Self::Image { .. } => "ORL-1601",
            Self::Systemd(orlop_systemd::Error::Unreachable { .. }) => "ORL-1410",
            Self::Systemd(orlop_systemd::Error::Silent { .. }) => "ORL-1411",
            Self::Systemd(orlop_systemd::Error::Refused { .. }) => "ORL-1412",
            Self::Systemd(orlop_systemd::Error::Job { .. }) => "ORL-1413",
            Self::Systemd(orlop_systemd::Error::Garbled { .. }) => "ORL-1414",
            Self::Systemd(orlop_systemd::Error::Lost { .. }) => "ORL-1415",
            Self::Criu(e) => e.code(),
        }
    }

    /// The block for people: what the line does not say, a few lines long, without a final newline; `None` when the
    /// line says everything.
    pub fn help(&self) -> Option<String> {
        let code = || format!("`orlop help {}` has more.", self.code());
        match self {
            // How the command is called follows.
            Self::Usage { .. } => None,
            // Each problem has a code of its own.
            Self::Config { .. } => self.hints(),
            _ => Some(self.hints().map_or_else(code, |hints| format!("{hints}\n{}", code()))),
        }
    }

    /// The part of it that depends on what it is.
    fn hints(&self) -> Option<String> {
        match self {
            Self::Config { problems, .. } => Some(Problem::block(problems)),
            Self::NotExist { .. } => {
                Some("hint: `orlop list` shows the containers of this --root".to_owned())
            }
            Self::Exists { id } => {
                Some(format!("hint: `orlop state {id}` shows it, `orlop delete --force {id}` removes it"))
            }
            Self::InvalidId { .. } => Some("hint: ids are made of A-Z a-z 0-9 _ + - .".to_owned()),
            Self::Unsupported { .. } => Some(
                "hint: orlop refuses what it cannot honour; `orlop features` lists what works".to_owned(),
            ),
            Self::Kernel { hint, pointer, answer, .. } => {
                advice(pointer.as_ref(), hint.as_deref().or_else(|| likely(answer.errno)))
            }
            Self::Step { hint, pointer, answer, detail, .. } => {
                // The kernel's own words say it better.
                let likely = || if detail.is_empty() { likely(answer.errno) } else { None };
                advice(pointer.as_ref(), hint.as_deref().or_else(likely))
            }
            Self::NotFound { pointer, errno, .. } | Self::Exec { pointer, errno, .. } => {
                advice(pointer.as_ref(), exec_hint(*errno))
            }
            Self::NoUserNamespace { setting, .. } => {
                let name = setting.split(' ').next().unwrap_or_default();
                Some(format!("hint: the host's root can allow it: `sysctl {name}` shows it"))
            }
            Self::NotGranted { file, pointer, .. } => {
                let hint = format!("the host's root can grant them by a line USER:FIRST:COUNT in {file}");
                advice(pointer.as_ref(), Some(&hint))
            }
            Self::Hook { pointer, .. } => advice(Some(pointer), None),
            Self::Strict { .. } => Some(
                "hint: `orlop audit` says what would take them away; `--accept RULE` accepts one".to_owned(),
            ),
            Self::Cgroup { hint, .. } | Self::Image { hint, .. } => advice(None, hint.as_deref()),
            Self::Systemd(e) => advice(None, systemd_hint(e)),
            Self::Criu(e) => e.help(),
            Self::Usage { .. } | Self::WrongState { .. } | Self::State { .. } | Self::Died { .. } => None,
        }
    }

    /// Adds what could help, where a hint has a place and there is none yet.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        if let Self::Kernel { hint, .. } | Self::Step { hint, .. } | Self::Cgroup { hint, .. } = &mut self {
            hint.get_or_insert(text.into());
        }
        self
    }

    /// Adds where `config.json` asks for what failed, where a pointer has a place and there is none yet.
    #[must_use]
    pub fn at(mut self, place: impl Into<Place>) -> Self {
        if let Self::Kernel { pointer, .. }
        | Self::Step { pointer, .. }
        | Self::NotFound { pointer, .. }
        | Self::Exec { pointer, .. }
        | Self::Unsupported { pointer, .. } = &mut self
        {
            pointer.get_or_insert(place.into());
        }
        self
    }

    /// Places as seen from `base`, where a part of a config is a document of its own.
    #[must_use]
    pub fn within(mut self, base: &str) -> Self {
        match &mut self {
            Self::Config { problems, .. } => {
                for problem in problems {
                    place::strip(&mut problem.pointer, base);
                }
            }
            Self::Kernel { pointer: Some(pointer), .. } | Self::Step { pointer: Some(pointer), .. } => {
                pointer.within(base);
            }
            _ => {}
        }
        self
    }

    /// Adds line and column to the place in the config that asked for what failed.
    #[must_use]
    pub fn located_in(mut self, text: &str) -> Self {
        if let Self::Kernel { pointer: Some(pointer), .. }
        | Self::Step { pointer: Some(pointer), .. }
        | Self::NotFound { pointer: Some(pointer), .. }
        | Self::Exec { pointer: Some(pointer), .. }
        | Self::NotGranted { pointer: Some(pointer), .. }
        | Self::Hook { pointer, .. } = &mut self
        {
            pointer.locate(text);
        }
        if let Self::Config { problems, .. } = &mut self {
            for problem in problems.iter_mut().filter(|problem| problem.position.is_none()) {
                let at = orlop_spec::locate_nearest(text, &problem.pointer);
                problem.position = at.map(|at| (at.line, at.column));
            }
        }
        self
    }

    /// The line for a terminal, where [`Error::help`] follows: without what the help repeats.
    pub fn headline(&self) -> String {
        match self {
            Self::Config { path, .. } => format!("{} cannot be used:", Line(&path.to_string_lossy())),
            other => other.to_string(),
        }
    }

    /// Whether this is what the container's own process says, rather than orlop: nobody else puts a name before it.
    pub const fn is_the_containers(&self) -> bool {
        matches!(self, Self::Exec { .. })
    }

    /// Every problem of a config; none for other errors.
    pub fn problems(&self) -> &[Problem] {
        if let Self::Config { problems, .. } = self { problems } else { &[] }
    }

    /// What the kernel answered, as errno(3), where it was asked.
    pub const fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { answer, .. }
            | Self::Step { answer, .. }
            | Self::NoUserNamespace { answer, .. } => Some(answer.errno),
            Self::NotFound { errno, .. } | Self::Exec { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Options that make no sense.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into() }
    }

    /// Something that is not built yet.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), pointer: None }
    }
}

#[cfg(test)]
mod tests;
