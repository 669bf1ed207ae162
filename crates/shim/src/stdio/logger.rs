//! Programs that take the output of a container: `binary:///program?word=value`.
//!
//! The program inherits three descriptors: 3 and 4 are the ends of pipes that standard output and error come out of, and 5
//! is closed by it when it is ready. What its address has after the `?` are its arguments.

use std::fs;
use std::io::{PipeReader, Read as _, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orlop_sys::Fd;
use orlop_sys::command::{with_descriptors_from_3, with_no_signal_blocked};
use orlop_sys::process::{pidfd_open, pidfd_send_signal};

use super::failed;
use crate::ttrpc::{Code, Failure, Result};

/// How long a program may take to be ready.
const READY: Duration = Duration::from_secs(10);
/// How long a program may take to end when its input has, before it is asked to, and then before it is killed.
const PATIENCE: [(Duration, i32); 2] =
    [(Duration::from_secs(1), libc::SIGTERM), (Duration::from_secs(12), libc::SIGKILL)];

/// A program, as an address names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
    /// It has to say that it is ready (`binary-v2`): that it ends is not enough.
    pub(super) says_so: bool,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Logger(Child);

/// What a program is to take: the other ends of its pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Program {
    /// Reads what comes after `binary://`.
    pub(super) fn parse(rest: &str, says_so: bool) -> Self {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let words = query.split('&').filter(|pair| !pair.is_empty());
        let args =
            words.flat_map(|pair| pair.split_once('=').map_or(vec![pair], |(word, value)| vec![word, value]));
        Self { path: decoded(path).into(), args: args.map(decoded).collect(), says_so }
    }

    /// Starts the program, and waits until it is ready. It runs with our rights, so nobody else may be able to change it.
    pub(super) fn start(&self, container: &str, namespace: &str) -> Result<(Pipes, Logger)> {
        trusted(&self.path)?;
        let doing = || format!("start {}", self.path.display());
        let (out, stdout) = pipe().map_err(failed(doing()))?;
        let (err, stderr) = pipe().map_err(failed(doing()))?;
        let (mut ready, says) = pipe().map_err(failed(doing()))?;
        let theirs = vec![out.into(), err.into(), says.into()];
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear();
        command.env("CONTAINER_ID", container).env("CONTAINER_NAMESPACE", namespace);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        with_no_signal_blocked(with_descriptors_from_3(&mut command, theirs));
        let logger = Logger(command.spawn().map_err(failed(doing()))?);
        // The command holds the program's ends.
        drop(command);
        if let Err(why) = wait_until_ready(&mut ready, self.says_so) {
            logger.end(&[(Duration::ZERO, libc::SIGKILL)]);
            return Err(Failure::new(Code::Unknown, format!("{} {why}", self.path.display())));
        }
        Ok((Pipes { stdout: stdout.into(), stderr: stderr.into() }, logger))
    }
}

impl Logger {
    /// Sees to its end, when its input has ended.
    pub(crate) fn finish(self) {
        self.end(&PATIENCE);
    }

    fn end(mut self, steps: &[(Duration, i32)]) {
        // Nobody has waited for it, so the number is still its own.
        if let Ok(pidfd) = pidfd_open(self.0.id() as i32).map(OwnedFd::from) {
            for (patience, signal) in steps {
                if readable(&pidfd, *patience) {
                    break;
                }
                // It may have ended just now; then this has no effect.
                pidfd_send_signal(Fd::of(&pidfd), *signal).ok();
            }
        }
        if let Err(e) = self.0.wait() {
            tracing::warn!("wait for a logging program: {e}");
        }
    }
}

/// Only root, or who we are, may have written the program.
fn trusted(path: &Path) -> Result<()> {
    let refused = |why: &str| Failure::new(Code::InvalidArgument, format!("{}: {why}", path.display()));
    let found = fs::metadata(path).map_err(failed(format!("look at {}", path.display())))?;
    if !found.is_file() {
        Err(refused("no program"))
    } else if found.uid() != 0 && found.uid() != nix::unistd::geteuid().as_raw() {
        Err(refused("it belongs to another user, and would run with our rights"))
    } else if found.mode() & 0o022 != 0 {
        Err(refused("others may write to it, and it would run with our rights"))
    } else {
        Ok(())
    }
}

fn wait_until_ready(ready: &mut PipeReader, says_so: bool) -> std::result::Result<(), &'static str> {
    if !readable(ready, READY) {
        return Err("was not ready within 10 s");
    }
    match ready.read(&mut [0]) {
        Ok(0) if says_so => Err("ended, or closed descriptor 5, without a word"),
        Ok(_) => Ok(()),
        Err(_) => Err("cannot be listened to"),
    }
}

fn readable(fd: &impl AsFd, patience: Duration) -> bool {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
}

/// Without the escapes of an address: `%20`, and `+` for a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        // Digits only: Rust takes a sign, too.
        let two = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let hex = two.and_then(|two| std::str::from_utf8(two).ok());
        let escaped = hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        bytes.push(match (first, escaped) {
            (_, Some(byte)) => byte,
            (b'+', None) => b' ',
            (byte, None) => *byte,
        });
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_arguments() {
        let program = Program::parse("/bin/log%20ger?_NERDCTL=1&data=%2fvar%2Flib+x&alone", false);
        assert_eq!(program.path, Path::new("/bin/log ger"));
        assert_eq!(program.args, ["_NERDCTL", "1", "data", "/var/lib x", "alone"]);
        assert_eq!(decoded("100%&%zz%4%-a"), "100%&%zz%4%-a");
        assert_eq!(decoded("%+f"), "% f");
    }

    #[test]
    fn what_others_may_write_to_is_not_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logger");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o757)).unwrap();
        assert!(trusted(&path).unwrap_err().message.contains("others may write"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        trusted(&path).unwrap();
        assert!(trusted(dir.path()).unwrap_err().message.contains("no program"));
    }
}
