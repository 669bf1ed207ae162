//! Being the container's first process while its program is the second: what `--init` asks for.
//!
//! It never executes anything, so it stays what init is: nobody may look into it, its file is the sealed one in memory, and
//! no capability is left but the one to signal its child, whoever that has become.

use crate::Machine;
use crate::machine::Outcome;
use orlop_sys::cred::{self, CapabilitySets};
use orlop_sys::wait::reap_any;
use orlop_sys::{Error, Fd, file, process, terminal};

/// `CAP_KILL`, as a set.
const KILL: u64 = 1 << 5;

/// Goes on as a child; the parent never returns.
pub fn stay(machine: &mut Machine<'_>, has_terminal: bool, subreaper: bool) -> Outcome {
    // Nothing that comes from here on is lost.
    process::block_signals()?;
    check()?;
    if subreaper {
        cred::set_child_subreaper(true)?;
    }
    let Some(child) = process::fork()? else {
        // What a terminal or kill(2) sends to the program's group is not for the parent, which would hand it on once more.
        process::lead_group()?;
        if has_terminal {
            terminal::set_foreground(Fd::from_raw(0), process::id())?;
        }
        return Ok(process::unblock_signals()?);
    };
    machine.let_go();
    let quiet = file::close_unknown(3, &core::iter::empty()).and_then(|()| drop_rights());
    if quiet.is_err() {
        // The container must not run with a first process that has more rights than it should.
        process::kill_child(child, libc::SIGKILL).ok();
        process::exit(1);
    }
    serve(child)
}

/// Whether the container's filter, which is in force, allows what is needed later, when nobody can be told any more.
fn check() -> orlop_sys::Result<()> {
    cred::capset(cred::capget()?)?;
    match process::next_signal(false) {
        Err(e) if !e.is(libc::EAGAIN) => return Err(e),
        _ => {}
    }
    match reap_any() {
        Err(e) if !e.is(libc::ECHILD) => Err(e),
        _ => Ok(()),
    }
}

fn drop_rights() -> orlop_sys::Result<()> {
    let kept = cred::capget()?.permitted & KILL;
    cred::capset(CapabilitySets { effective: kept, permitted: kept, inheritable: 0 })
}

fn serve(child: i32) -> ! {
    loop {
        match process::next_signal(true) {
            Ok(libc::SIGCHLD) => reap(child),
            // It may have ended, or be somebody else's now.
            Ok(signal) => drop(process::kill_child(child, signal)),
            // A signal that was taken by a tracer, or a stop.
            Err(e) if interrupted(e) => {}
            Err(_) => process::exit(1),
        }
    }
}

fn interrupted(e: Error) -> bool {
    e.is(libc::EINTR) || e.is(libc::EAGAIN)
}

/// Waits for all that have ended, as several ends make one signal; with the child, everything ends.
fn reap(child: i32) {
    while let Ok(Some((ended, how))) = reap_any() {
        if ended == child {
            process::exit(how.status());
        }
    }
}
