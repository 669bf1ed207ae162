//! Children that another process has made for us (clone(2), `CLONE_PARENT`) before it ended.
//!
//! That one leads a process group, and whom it makes is in it until that starts a session of its own. So one that was killed
//! before it could say whom it had made leaves nobody that we do not know of: nobody else would wait for such a child, and its
//! PID namespace could not end.

use super::Child;
use crate::process;
use crate::raw::Result;
use crate::wait::{self, How};

impl Child {
    /// Takes hold of a child of ours that another one made; its number is its own until we wait for it. One that cannot be held
    /// is ended.
    ///
    /// # Errors
    ///
    /// As [`process::pidfd_open`].
    pub fn adopt(pid: i32) -> Result<Self> {
        let pidfd = process::pidfd_open(pid).inspect_err(|_| {
            process::kill_child(pid, libc::SIGKILL).ok();
            wait::reap(pid).ok();
        })?;
        Ok(Self { pid, pidfd })
    }

    /// Waits for this child, which was to make another one, and ends whom it has made: how that one ended, or else this one.
    ///
    /// # Errors
    ///
    /// As [`wait::await_end`].
    pub fn end_with_issue(&self) -> Result<How> {
        let how = wait::await_end(self.pidfd.fd())?;
        let issue = wait::end_group(self.pid)?;
        // It was reaped with its group, unless it ended before it led one.
        wait::wait(self.pidfd.fd()).ok();
        Ok(issue.unwrap_or(how))
    }
}
