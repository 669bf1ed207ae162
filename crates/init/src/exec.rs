//! The end: find the file, wait to be started, become it.

use crate::Machine;
use crate::machine::{Outcome, wait_for_word};
use crate::report::{self, Fault};
use orlop_program::message::Message;
use orlop_program::{List, Slot, Str};
use orlop_sys::{Error, Fd, file, memory, process, socket};

/// Finds the file to execute as execvp(3) does: what cannot be executed is passed over, and blamed if nothing else is
/// found.
pub fn locate<'a>(machine: &mut Machine<'a>, candidates: List<'a, Str<'a>>) -> Outcome {
    let mut blame = Error::of(libc::SYS_execve, libc::ENOENT);
    for candidate in candidates.iter() {
        match executable(candidate) {
            Ok(()) => {
                machine.executable = Some(candidate.c_str());
                return Ok(());
            }
            Err(e) if e.is(libc::ENOENT) || e.is(libc::ENOTDIR) => {}
            Err(e) => blame = e,
        }
    }
    Err(blame.into())
}

/// Whether a path can be executed, as far as can be known before. A filter of whoever runs us may deny the calls that tell:
/// then exec decides.
fn executable(path: Str<'_>) -> orlop_sys::Result<()> {
    match file::check_executable(Fd::CWD, path.c_str()).and_then(|()| not_a_directory(path)) {
        Err(e) if e.is(libc::EPERM) || e.is(libc::ENOSYS) => exists(path),
        known => known,
    }
}

fn exists(path: Str<'_>) -> orlop_sys::Result<()> {
    match file::openat(Fd::CWD, path.c_str(), libc::O_PATH, 0) {
        Err(e) if !(e.is(libc::EPERM) || e.is(libc::ENOSYS)) => Err(e),
        _ => Ok(()),
    }
}

/// A directory is searchable, which access(2) calls executable.
fn not_a_directory(path: Str<'_>) -> orlop_sys::Result<()> {
    let found = file::openat(Fd::CWD, path.c_str(), libc::O_PATH, 0)?;
    if file::fstat(found.fd())?.is(libc::S_IFDIR) {
        Err(Error::of(libc::SYS_execve, libc::EACCES))
    } else {
        Ok(())
    }
}

/// What would end the program is to end what waits in its place: the first process of a PID namespace ignores what it has
/// no handler for. Done before anybody is told that there is a container to send signals to.
pub fn end_by_signals() -> orlop_sys::Result<()> {
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM]
        .into_iter()
        .try_for_each(process::exit_on_signal)
}

/// Waits until `orlop start` connects and says so. From then on it is who hears of success and failure.
pub fn await_start(machine: &mut Machine<'_>) -> Outcome {
    let connection = {
        let listener = machine.take(Slot::START).ok_or(Error::of(libc::SYS_accept4, libc::EBADF))?;
        // The host side has gone away or will; it must not take our end of the socket for a sign of life.
        drop(machine.take(Slot::HOST));
        socket::accept(listener.fd())?
    };
    let word = wait_for_word(connection.fd());
    machine.keep(Slot::HOST, connection);
    word
}

/// An address in the same two megabytes as the machine (`link.ld`), which one page table maps.
const BESIDE_THE_MACHINE: usize = 0x30_0000;

/// Becomes the container's process. Success shows as end of file: our end of the socket is close-on-exec.
pub fn exec<'a>(machine: &Machine<'a>, args: List<'a, Str<'a>>, env: List<'a, Str<'a>>) -> Outcome {
    let executable = machine.executable.ok_or(Error::of(libc::SYS_execve, libc::ENOENT))?;
    // Two arrays of pointers, each ended by a null pointer.
    let words = memory::words(args.len() + env.len() + 3, BESIDE_THE_MACHINE)?;
    let home = machine.home.variable().map(|home| home.as_ptr() as usize);
    let pointer = |text: Str<'a>| text.c_str().as_ptr() as usize;
    let all = args.iter().map(pointer).chain([0]).chain(env.iter().map(pointer)).chain(home).chain([0]);
    for (to, from) in words.iter_mut().zip(all) {
        *to = from;
    }
    report::send(machine.slot(Slot::HOST), &Message::Executing, None)?;
    Err(Fault::from(process::exec_words(executable, words, args.len() + 1)))
}
