//! A compiled program as a story for people.
//!
//! | file | what is in it |
//! |---|---|
//! | [`assume`] | facts about another machine than this one |
//! | `calls.rs` | a step as system calls |
//! | `host.rs` | what the host side does before and around the program |
//! | [`text`], [`html`], [`mermaid`] | a story for a terminal, a browser, a diagram; JSON is the story itself |
//! | [`diff`] | two stories compared |

pub mod assume;
mod calls;
pub mod diff;
mod host;
pub mod html;
pub mod mermaid;
pub mod text;

use orlop_compile::{Origin, Severity, in_words};
use orlop_program::{Step, Str};
use orlop_runtime::Planned;
use serde::Serialize;

/// All that happens until a container's program runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// The file of the config.
    pub config: String,
    /// The bundle's directory, which tells nothing about two containers.
    #[serde(skip)]
    pub bundle: String,
    /// What is not known of this machine, but assumed.
    pub assumed: Vec<String>,
    /// Chapters, in the order in which they begin.
    pub groups: Vec<Group>,
    /// What has no effect, and what is odd.
    pub warnings: Vec<String>,
}

/// Steps that have to do with one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// What they have to do with.
    pub title: &'static str,
    /// What that is good for, in one sentence.
    pub about: &'static str,
    /// The steps.
    pub steps: Vec<Entry>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its number in the program, which is also the order; none for what the host side does.
    pub step: Option<usize>,
    /// What it is about, so that the same of another program can be found.
    #[serde(skip)]
    pub subject: String,
    /// What it does.
    pub does: String,
    /// The system calls, in order.
    pub calls: Vec<String>,
    /// A place in the config (a JSON pointer), a clause of the specification or a rule of orlop.
    pub origin: String,
    /// Where in the config that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why, in one sentence.
    pub why: String,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// The chapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Cgroup,
    Namespaces,
    Root,
    Devices,
    Kernel,
    Hidden,
    Limits,
    Identity,
    Landlock,
    Filter,
    Hooks,
    Exec,
}

impl Topic {
    const ALL: [(Self, &'static str, &'static str); 12] = [
        (
            Self::Cgroup,
            "Control group",
            "What the container may use of the machine, and which devices. The process is born in it.",
        ),
        (
            Self::Namespaces,
            "Process and namespaces",
            "What the process has of its own instead of the host's.",
        ),
        (
            Self::Root,
            "Root and mounts",
            "The files that it sees: each mount is made detached and appears with all its attributes.",
        ),
        (
            Self::Devices,
            "Devices and terminal",
            "The few devices that every program expects, and where its input and output go.",
        ),
        (
            Self::Kernel,
            "Names and kernel parameters",
            "What belongs to its own namespaces and may be set for it alone.",
        ),
        (
            Self::Hidden,
            "Read-only and masked paths",
            "Parts of /proc and /sys that tell or change too much of the host.",
        ),
        (Self::Limits, "Limits and scheduling", "What the kernel lets this process use, beside its cgroup."),
        (
            Self::Identity,
            "Identity and privileges",
            "Who it is, and what is left of root's rights. Each step takes away what the next does not need.",
        ),
        (Self::Landlock, "Landlock", "What of files and ports its processes may reach, whoever they are."),
        (Self::Filter, "System call filter", "Which system calls reach the kernel at all."),
        (Self::Hooks, "Hooks", "Programs of others that are run on the way."),
        (Self::Exec, "Start and exec", "Waiting to be started, and becoming the container's program."),
    ];

    const fn of(step: &Step<'_>) -> Self {
        match step {
            Step::NewSession {}
            | Step::SessionKeyring { .. }
            | Step::KeyLabel { .. }
            | Step::Unshare { .. }
            | Step::TimeNamespace { .. }
            | Step::Network {} => Self::Namespaces,
            Step::OpenDir { .. }
            | Step::AwaitBeside {}
            | Step::Device { .. }
            | Step::BindDevice { .. }
            | Step::Symlink { .. }
            | Step::Console { .. }
            | Step::OwnStdio { .. } => Self::Devices,
            Step::Hostname { .. } | Step::Domainname { .. } | Step::Sysctl { .. } | Step::PrivateProc {} => {
                Self::Kernel
            }
            Step::ReadonlyPath { .. } | Step::MaskPath { .. } | Step::MaskLabel { .. } => Self::Hidden,
            Step::OomScoreAdj { .. }
            | Step::Rlimit { .. }
            | Step::Affinity { .. }
            | Step::Scheduler { .. }
            | Step::IoPriority { .. }
            | Step::Personality { .. }
            | Step::MemoryPolicy { .. } => Self::Limits,
            Step::NoNewPrivileges {}
            | Step::BoundingSet { .. }
            | Step::DropGroups {}
            | Step::Identity { .. }
            | Step::Capabilities { .. }
            | Step::AppArmorProfile { .. }
            | Step::ExecLabel { .. } => Self::Identity,
            Step::Ruleset { .. } | Step::AllowPath { .. } | Step::AllowPort { .. } | Step::Restrict {} => {
                Self::Landlock
            }
            Step::Seccomp { .. } => Self::Filter,
            Step::Sync { .. }
            | Step::AwaitWord {}
            | Step::AwaitStart {}
            | Step::Cwd { .. }
            | Step::Home { .. }
            | Step::Locate { .. }
            | Step::CloseFrom { .. }
            | Step::Redirect { .. }
            | Step::Stay { .. }
            | Step::Exec { .. } => Self::Exec,
            _ => Self::Root,
        }
    }
}

/// A step with its chapter.
pub(crate) struct Told {
    pub(crate) topic: Topic,
    pub(crate) entry: Entry,
}

/// Tells the story of a bundle.
pub fn tell(planned: &Planned, assumed: Vec<String>) -> Story {
    let text = &planned.config.text;
    let mut told = host::before(planned);
    let program = &planned.compiled.program;
    let steps = program.steps().map_while(Result::ok).zip(program.infos());
    told.extend(steps.enumerate().map(|(number, (step, info))| Told {
        topic: Topic::of(&step),
        entry: Entry {
            step: Some(number),
            subject: subject(&step),
            does: in_words(&step),
            calls: calls::of(&step),
            origin: info.origin.to_string(),
            place: place(text, &info.origin),
            why: info.why.to_owned(),
        },
    }));
    told.extend(host::after(planned));
    let group = |(topic, title, about): (Topic, &'static str, &'static str)| {
        let of_topic = told.iter().filter(|told| told.topic == topic);
        let steps: Vec<Entry> = of_topic.map(|told| told.entry.clone()).collect();
        (!steps.is_empty()).then_some(Group { title, about, steps })
    };
    let warnings = planned.compiled.warnings.iter().filter(|found| found.severity != Severity::Error);
    Story {
        config: planned.file.display().to_string(),
        bundle: planned.bundle.display().to_string(),
        assumed,
        groups: Topic::ALL.into_iter().filter_map(group).collect(),
        warnings: warnings.map(ToString::to_string).collect(),
    }
}

/// Where in the config an origin is: the value itself or, where it is missing, what should hold it.
pub(crate) fn place(text: &str, origin: &Origin) -> Option<Place> {
    let pointer = origin.pointer()?.to_string();
    let found = orlop_spec::locate_nearest(text, &pointer)?;
    Some(Place { line: found.line, column: found.column })
}

/// What a step is about, without how it is done: by this, steps of two programs are matched.
fn subject(step: &Step<'_>) -> String {
    let of = |text: &Str<'_>| format!("{} {}", step.name(), String::from_utf8_lossy(text.bytes()));
    match step {
        Step::Mount { target, .. }
        | Step::Bind { target, .. }
        | Step::Propagation { target, .. }
        | Step::MountAttributes { target, .. }
        | Step::TakeOver { target, .. }
        | Step::FileLabel { target, .. }
        | Step::Unmount { target } => of(target),
        Step::OpenDir { path, .. }
        | Step::AllowPath { path, .. }
        | Step::MakeDir { path }
        | Step::OpenCovered { path, .. }
        | Step::Sysctl { path, .. }
        | Step::ReadonlyPath { path, .. }
        | Step::MaskPath { path, .. } => of(path),
        Step::Device { name, .. } | Step::BindDevice { name, .. } | Step::Symlink { name, .. } => of(name),
        Step::Rlimit { resource, .. } => format!("Rlimit {resource}"),
        Step::AllowPort { port, .. } => format!("AllowPort {port}"),
        Step::Sync { point } => format!("Sync {point}"),
        _ => step.name().to_owned(),
    }
}

impl Story {
    /// The story as JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// All steps, chapter by chapter.
    pub fn entries(&self) -> impl Iterator<Item = (&Group, &Entry)> {
        self.groups.iter().flat_map(|group| group.steps.iter().map(move |entry| (group, entry)))
    }
}
