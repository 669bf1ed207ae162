//! What goes wrong with CRIU.

use std::path::{Path, PathBuf};

use crate::error::{Error, Line};

/// How many lines of the log are shown.
const EXCERPT: usize = 10;

/// Why CRIU could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CriuError {
    /// It is not installed.
    #[error("exec: \"criu\": executable file not found in $PATH")]
    Missing,
    /// Its version is too old for what is asked for.
    #[error("{} needs CRIU {least}, this is {version}", Line(what))]
    TooOld {
        /// What is asked for.
        what: String,
        /// The version that has it.
        least: String,
        /// The version that is installed.
        version: String,
    },
    /// It cannot do something at all, or not on this kernel.
    #[error("{}", Line(what))]
    Unable {
        /// What, and why not.
        what: String,
    },
    /// A directory of images cannot be used.
    #[error("{}: {}", Line(&path.to_string_lossy()), Line(why))]
    Images {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It failed.
    #[error("criu failed: {}{}", Line(lines.first().unwrap_or(why)), Log(log.as_deref()))]
    Failed {
        /// What it said itself.
        why: String,
        /// Its log, once it has one.
        log: Option<PathBuf>,
        /// The lines of the log that tell of errors, or the last of them.
        lines: Vec<String>,
    },
}

struct Log<'a>(Option<&'a Path>);

impl std::fmt::Display for Log<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " (log file: {})", Line(&path.to_string_lossy())))
    }
}

impl CriuError {
    pub(super) const fn failed(why: String) -> Self {
        Self::Failed { why, log: None, lines: Vec::new() }
    }

    /// The stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "ORL-1501",
            Self::TooOld { .. } => "ORL-1502",
            Self::Unable { .. } => "ORL-1503",
            Self::Images { .. } => "ORL-1504",
            Self::Failed { .. } => "ORL-1505",
        }
    }

    /// The block for people.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Missing => Some(
                "hint: checkpoint and restore are CRIU's work; install the package criu (3.16 or newer)"
                    .to_owned(),
            ),
            Self::Failed { log: Some(log), lines, .. } if !lines.is_empty() => {
                let shown: Vec<_> = lines.iter().map(|line| format!("  {}", Line(line))).collect();
                let path = log.to_string_lossy();
                Some(format!("the errors in {}:\n{}", Line(&path), shown.join("\n")))
            }
            Self::TooOld { .. } | Self::Unable { .. } | Self::Images { .. } | Self::Failed { .. } => None,
        }
    }
}

/// Adds the lines of CRIU's log that tell of errors to an error of CRIU's.
pub(crate) fn with_log(error: Error, path: PathBuf) -> Error {
    match error {
        Error::Criu(CriuError::Failed { why, log: None, .. }) => {
            // One that failed before it had a log has said why.
            let text = std::fs::read(&path).unwrap_or_default();
            let lines = excerpt(&String::from_utf8_lossy(&text));
            let log = (!text.is_empty()).then_some(path);
            CriuError::Failed { why, log, lines }.into()
        }
        other => other,
    }
}

/// The last lines that tell of errors, without CRIU's time stamps. That it may not raise its own limit of descriptors is
/// none: it goes on with the one it has.
fn excerpt(log: &str) -> Vec<String> {
    let told = log.lines().filter(|line| line.contains("Error (") && !line.contains("rlimit: Can't setup"));
    let mut lines: Vec<String> =
        told.map(|line| line.split_once(") ").map_or(line, |(_, rest)| rest).trim().to_owned()).collect();
    lines.drain(..lines.len().saturating_sub(EXCERPT));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_quoted_where_it_tells_of_errors() {
        let log = "\
(00.000001) Version: 4.2.1
(00.000002) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
(00.000003)      1: Error (criu/mount.c:2955): mnt: Can't create a temporary directory: Read-only file system
(00.000004) Error (criu/cr-restore.c:2331): Restoring FAILED.
";
        let lines = excerpt(log);
        assert_eq!(
            lines,
            [
                "1: Error (criu/mount.c:2955): mnt: Can't create a temporary directory: Read-only file system",
                "Error (criu/cr-restore.c:2331): Restoring FAILED."
            ]
        );
        let error = CriuError::Failed { why: "it gave up".into(), log: Some("/w/restore.log".into()), lines };
        assert!(error.to_string().contains("(log file: /w/restore.log)"), "{error}");
        assert!(error.help().unwrap().contains("mnt: Can't create a temporary directory"));
        assert_eq!(CriuError::failed("it ended".into()).to_string(), "criu failed: it ended");
    }
}
