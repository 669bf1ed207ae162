//! How errors read: pieces of a line that stay on it, and the block for people.

use std::fmt;

use nix::errno::Errno;
use orlop_spec::Location;

use super::Place;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON pointer such as `/mounts/3/options/1`; empty for the document as a whole.
    pub pointer: String,
    /// Line and column, from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What could help, or nothing.
    pub hint: String,
    /// What kind it is: `ORL-` and four digits, or nothing for a text that is not what it should be.
    pub code: String,
    /// The line of the document, where the position is known.
    pub excerpt: Option<Excerpt>,
}

/// A line of a document, and what of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without its end.
    pub line: String,
    /// How many characters are meant, from the column of the position on.
    pub length: usize,
    /// Some lines that follow, of a value that goes on there.
    pub more: Vec<String>,
}

/// No more of a line is shown.
const WIDEST: usize = 90;
/// No more lines of a value are shown after its first one.
const MOST_LINES: usize = 5;

impl Excerpt {
    /// Of what a location in a text is about.
    pub fn of(text: &str, location: &Location) -> Self {
        let line = location.line_of(text).to_owned();
        let rest = line.chars().count().saturating_sub(location.column - 1);
        let meant = text.get(location.offset..location.offset + location.len).unwrap_or_default();
        let length = meant.lines().next().unwrap_or_default().chars().count().clamp(1, rest.max(1));
        let more = meant.lines().skip(1).take(MOST_LINES).map(str::to_owned).collect();
        Self { line, length, more }
    }

    /// The line with its number, and carets below what is meant; of several lines each with its number.
    pub(super) fn show(&self, (number, column): (usize, usize)) -> String {
        if !self.more.is_empty() {
            let lines = std::iter::once(&self.line).chain(&self.more).enumerate();
            let shown = |(index, line): (usize, &String)| {
                let line: String = plain(line).take(WIDEST).collect();
                format!("\n    {:>4} > {}", number + index, line.trim_end())
            };
            return lines.map(shown).collect();
        }
        let chars: Vec<char> = plain(&self.line).collect();
        let at = (column - 1).min(chars.len());
        // Of a long line the part around what is meant.
        let from = at.saturating_sub(WIDEST / 2).min(chars.len().saturating_sub(WIDEST));
        let shown: String = chars.iter().skip(from).take(WIDEST).collect();
        let length = self.length.min(WIDEST.saturating_sub(at - from)).max(1);
        let gap = " ".repeat(at - from);
        format!("\n    {number:>4} | {}\n         | {gap}{}", shown.trim_end(), "^".repeat(length))
    }
}

fn plain(line: &str) -> impl Iterator<Item = char> {
    line.chars().map(|c| if c.is_control() { ' ' } else { c })
}

impl Problem {
    pub(super) fn block(problems: &[Self]) -> String {
        let mut out = String::new();
        for problem in problems {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str("  ");
            out.push_str(&problem.to_string());
            if !problem.code.is_empty() {
                out.push_str(" [");
                out.push_str(&problem.code);
                out.push(']');
            }
            if let Some((excerpt, position)) = problem.excerpt.as_ref().zip(problem.position) {
                out.push_str(&excerpt.show(position));
            }
            if !problem.hint.is_empty() {
                out.push_str("\n    hint: ");
                out.push_str(&problem.hint);
            }
        }
        if let Some(first) = problems.iter().find(|problem| !problem.code.is_empty()) {
            out.push_str("\n  `orlop help ");
            out.push_str(&first.code);
            out.push_str("` has more.");
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line} column {column}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", Line(&self.pointer))?;
        }
        write!(f, "{}", Line(&self.what))
    }
}

/// Text that stays on its line: control characters are shown as escapes.
pub struct Line<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(char::is_control) {
            f.write_str(&rest[..at])?;
            let mut chars = rest[at..].chars();
            if let Some(c) = chars.next() {
                write!(f, "{}", c.escape_default())?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

pub(super) struct At<'a>(pub(super) &'a Option<Place>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// A hook by its pointer, in runc's words: `createRuntime hook #1`.
pub(super) struct HookName<'a>(pub(super) &'a str);

impl fmt::Display for HookName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `/hooks/KIND/INDEX`
        let mut parts = self.0.split('/').skip(2);
        write!(f, "{} hook #{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }
}

pub(super) struct Detail<'a>(pub(super) &'a str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim();
        if text.is_empty() { Ok(()) } else { write!(f, ": {}", Line(text)) }
    }
}

pub(super) struct Problems<'a>(pub(super) &'a [Problem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// The words of an errno as the C library writes them, beginning in lower case: engines look for them so.
pub(super) fn words(errno: i32) -> String {
    let text = Errno::from_raw(errno).desc();
    let mut chars = text.chars();
    match chars.next() {
        // "I/O error" and the like stay as they are.
        Some(first) if chars.as_str().starts_with(char::is_lowercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// Why a program cannot be executed, in runc's words: Docker and Podman derive the exit statuses 126 and 127 from them.
pub(super) fn not_executable(program: &str, errno: i32) -> String {
    match errno {
        libc::ENOENT if !program.contains('/') => "executable file not found in $PATH".to_owned(),
        _ => words(errno),
    }
}

pub(super) fn exec_hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::ENOENT => "the file, or the interpreter that it names, is not inside the container",
        libc::EACCES => "the file is not executable for this user, or its mount is noexec",
        libc::ENOEXEC => {
            "the file is neither an ELF program of this architecture nor a script with a #! line"
        }
        _ => return None,
    })
}

/// The line that asked for it, or at least its place, and what could help.
pub(super) fn advice(place: Option<&Place>, hint: Option<&str>) -> Option<String> {
    let asked = |place: &Place| format!("asked for by {place} in config.json");
    let origin = place.map(|place| place.excerpt().unwrap_or_else(|| asked(place)));
    let hint = hint.map(|h| format!("hint: {h}"));
    match (origin, hint) {
        (Some(origin), Some(hint)) => Some(format!("{origin}\n{hint}")),
        (one, other) => one.or(other),
    }
}

/// What the kernel usually means by an answer, where nobody knows more about what it was asked.
pub(super) const fn likely(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => "this takes a right that the caller, or its user namespace, does not have",
        libc::EACCES => "permissions of the path or one above it, or a security module's rules, forbid it",
        libc::ENOENT => "the path, or a directory above it, is not there",
        libc::ENOTDIR => "a part of the path is a file",
        libc::ELOOP => "a symbolic link is where none is followed, or they lead in a circle",
        libc::EROFS => "the file system is mounted read-only",
        libc::EBUSY => "something is mounted there, or still uses it",
        libc::ENOSPC => "the file system is full, or a limit of the kernel's is reached",
        libc::EMFILE | libc::ENFILE => "too many files are open: `ulimit -n`, or the sysctl fs.file-max",
        libc::ENOMEM => "memory is short: the host's, or that of the cgroup that orlop is in",
        libc::EAGAIN => "a limit of processes is reached: `ulimit -u`, or pids.max of a cgroup",
        libc::ENOSYS | libc::EOPNOTSUPP => {
            "this kernel, or this file system, does not have it: `orlop doctor` shows more"
        }
        libc::EINVAL => {
            "the kernel does not know a value, or not in this place; its log (dmesg) may say more"
        }
        _ => return None,
    })
}

/// What could help against what systemd did not do.
pub(super) fn systemd_hint(error: &orlop_systemd::Error) -> Option<&'static str> {
    match error {
        orlop_systemd::Error::Unreachable { .. } => {
            Some("is systemd running here? Without it, leave out --systemd-cgroup")
        }
        orlop_systemd::Error::Silent { .. } => Some(
            "ORLOP_DBUS_TIMEOUT sets how many seconds it may take; `systemctl list-jobs` shows what it is at",
        ),
        e if e.is_refusal("UnitExists") => Some("choose another linux.cgroupsPath, or stop the unit"),
        _ => None,
    }
}
