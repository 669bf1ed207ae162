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
        Ok(Self { pid, pidfd, cpu: None })
    }

    /// Ends this child, which was to make another one, and whom it has made: how that one ended, or else this one.
    ///
    /// # Errors
    ///
    /// As [`wait::await_end`].
    pub fn end_with_issue(&self) -> Result<How> {
        // One that has ended already does not mind.
        process::pidfd_send_signal(self.pidfd.fd(), libc::SIGKILL).ok();
        let how = wait::await_end(self.pidfd.fd())?;
        let issue = wait::end_group(self.pid)?;
        // It was reaped with its group, unless it ended before it led one.
        wait::wait(self.pidfd.fd()).ok();
        Ok(issue.unwrap_or(how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sibling::go_on_as_sibling;

    /// A copy of this process that does this, and ends.
    fn child(does: fn() -> Result<()>) -> Child {
        match process::fork().unwrap() {
            Some(pid) => Child::adopt(pid).unwrap(),
            None => process::exit(i32::from(does().is_err())),
        }
    }

    #[test]
    fn whom_a_child_has_made_ends_with_its_group() {
        let maker = child(|| {
            process::block_signals()?;
            process::lead_group()?;
            go_on_as_sibling()?;
            loop {
                // For ever: nobody sends it any.
                process::next_signal(true)?;
            }
        });
        assert_eq!(wait::await_end(maker.pidfd.fd()), Ok(How::Exited(0)));
        assert_eq!(maker.end_with_issue(), Ok(How::Killed(libc::SIGKILL)));
        assert!(wait::wait(maker.pidfd.fd()).is_err_and(|e| e.is(libc::ECHILD)), "it was reaped");
    }

    #[test]
    fn who_led_no_group_and_made_nobody_is_told_of_itself() {
        let other = child(|| process::lead_group().and_then(|()| process::setsid()));
        wait::await_end(other.pidfd.fd()).unwrap();
        assert_eq!(other.end_with_issue(), Ok(How::Exited(1)), "a leader of a group cannot begin a session");
        let other = child(|| Ok(()));
        wait::await_end(other.pidfd.fd()).unwrap();
        assert_eq!(other.end_with_issue(), Ok(How::Exited(0)));
        assert!(wait::wait(other.pidfd.fd()).is_err_and(|e| e.is(libc::ECHILD)), "it was reaped");
    }
}
