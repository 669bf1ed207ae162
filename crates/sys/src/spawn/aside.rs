//! A thread that makes a network namespace, perhaps an IPC namespace, and nothing else.
//!
//! Neither the standard library nor the C library know of it. A thread of theirs has its own signal stack, guard pages and a stack
//! to be mapped, protected and given back: a dozen calls, of which some stop the other thread for a moment, for work of eight. So
//! it has no thread-local memory of its own, and may do nothing but call the kernel through this crate: it allocates nothing and
//! cannot panic.

use super::Stack;
use super::clone::{CloneArgs, clone3};
use crate::raw::{Result, call};
use crate::{Fd, OwnedFd, file, net, process, sched, socket};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What the thread uses.
#[derive(Debug)]
struct Thread {
    /// Somebody has it.
    held: AtomicBool,
    /// The thread's id until it has ended: the kernel writes 0 when the thread uses its memory no more.
    id: AtomicI32,
    /// One of the two has come first: the thread to make the namespace, or the holder to do without.
    taken: AtomicBool,
    /// The thread's end of the socket.
    socket: AtomicI32,
    /// It is to make an IPC namespace too.
    ipc: AtomicBool,
    /// Only touched by the thread.
    stack: UnsafeCell<Stack>,
}

// SAFETY: `stack` is used by one thread at a time: a new one is started by who has set `held`, and while `id` is 0.
unsafe impl Sync for Thread {}

static THREAD: Thread = Thread {
    held: AtomicBool::new(false),
    id: AtomicI32::new(0),
    taken: AtomicBool::new(false),
    socket: AtomicI32::new(-1),
    ipc: AtomicBool::new(false),
    stack: UnsafeCell::new(Stack::new()),
};

/// Namespaces that are being made, or will be.
#[derive(Debug)]
pub struct NamespacesAside(&'static Thread);

impl NamespacesAside {
    /// Begins to make a network namespace, and then an IPC namespace if that is wanted. Each is sent through the socket with a
    /// byte that says how many follow, or the byte alone if there is none to be had; then the loopback interface is brought up.
    /// `None`: the thread is busy, or could not be started.
    pub fn begin(socket: OwnedFd, ipc: bool) -> Option<Self> {
        if THREAD.held.swap(true, Ordering::AcqRel) {
            return None;
        }
        let held = Self(&THREAD);
        if THREAD.id.load(Ordering::Acquire) != 0 {
            return None;
        }
        THREAD.taken.store(false, Ordering::Relaxed);
        THREAD.socket.store(socket.fd().raw(), Ordering::Relaxed);
        THREAD.ipc.store(ipc, Ordering::Relaxed);
        start().ok()?;
        // The thread has it now.
        core::mem::forget(socket);
        Some(held)
    }

    /// Whether there will be any: the thread has begun with them. If not, it will not.
    pub fn take(self) -> bool {
        self.0.taken.swap(true, Ordering::AcqRel)
    }
}

impl Drop for NamespacesAside {
    fn drop(&mut self) {
        // One that has not begun need not.
        self.0.taken.store(true, Ordering::Release);
        self.0.held.store(false, Ordering::Release);
    }
}

/// Starts the thread, with all signals blocked: they are for whoever waits for the container, and would end this process.
fn start() -> Result<()> {
    const FLAGS: i32 = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID;
    let args = CloneArgs {
        flags: FLAGS as u64,
        parent_tid: THREAD.id.as_ptr() as u64,
        child_tid: THREAD.id.as_ptr() as u64,
        stack: THREAD.stack.get() as u64,
        stack_size: size_of::<Stack>() as u64,
        ..CloneArgs::default()
    };
    let before = mask(u64::MAX)?;
    // SAFETY: the stack is that of this thread alone, which has ended if there was one before; `work` never returns; what it
    // touches is never freed.
    let started = unsafe { clone3(&args, work, ptr::null()) };
    if let Ok(id) = started {
        // Where it cannot be, it runs when this one waits, or not at all.
        sched::set_apart(id as i32).ok();
    }
    mask(before).and(started.map(drop))
}

/// Sets the mask of this thread's blocked signals; the one before
/// ([rt_sigprocmask(2)](https://man7.org/linux/man-pages/man2/sigprocmask.2.html)).
fn mask(new: u64) -> Result<u64> {
    let mut before = 0_u64;
    let args = [
        libc::SIG_SETMASK as usize,
        ptr::from_ref(&new) as usize,
        ptr::from_mut(&mut before) as usize,
        size_of::<u64>(),
    ];
    // SAFETY: the kernel's signal sets are 64 bits long; one is read, the other written.
    unsafe { call(libc::SYS_rt_sigprocmask, args) }?;
    Ok(before)
}

/// The thread.
///
/// # Safety
///
/// It is the one that [`start`] has started.
unsafe extern "C" fn work(_: *const ()) -> ! {
    // SAFETY: whoever started it has left the descriptor to it.
    let socket = unsafe { OwnedFd::from_raw(THREAD.socket.load(Ordering::Relaxed)) };
    make_and_send(socket.fd(), THREAD.ipc.load(Ordering::Relaxed));
    drop(socket);
    process::exit_thread()
}

fn make_and_send(socket: Fd, ipc: bool) {
    if THREAD.taken.swap(true, Ordering::AcqRel) {
        return;
    }
    let network = make_network();
    // Whoever would have received it is gone if this fails. A word alone: init makes one itself, or says why that cannot be.
    socket::send(socket, &[u8::from(ipc)], network.as_ref().map(|(_, namespace)| namespace.fd())).ok();
    if ipc {
        let ipc = make_ipc();
        socket::send(socket, &[0], ipc.as_ref().map(OwnedFd::fd)).ok();
    }
    if let Some((inside, _)) = &network {
        // Where this fails init will fail too, and say why.
        net::bring_loopback_up(inside.fd()).ok();
    }
}

/// Puts this thread into a new network namespace: a socket in it, and a descriptor for it.
fn make_network() -> Option<(OwnedFd, OwnedFd)> {
    process::unshare(libc::CLONE_NEWNET).ok()?;
    let socket = net::socket().ok()?;
    let namespace = net::namespace_of(socket.fd()).ok()?;
    Some((socket, namespace))
}

/// Puts this thread into a new IPC namespace: a descriptor for it. No call asks for one but by the file in procfs.
fn make_ipc() -> Option<OwnedFd> {
    process::unshare(libc::CLONE_NEWIPC).ok()?;
    file::openat(Fd::CWD, c"/proc/thread-self/ns/ipc", libc::O_RDONLY, 0).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{NamespacesAside, THREAD};
    use crate::{net, socket};
    use core::sync::atomic::Ordering;
    use std::os::fd::IntoRawFd as _;
    use std::os::unix::net::UnixStream;

    fn pair() -> (crate::OwnedFd, crate::OwnedFd) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        // SAFETY: each has let go of its descriptor.
        [ours, theirs].map(|end| unsafe { crate::OwnedFd::from_raw(end.into_raw_fd()) }).into()
    }

    /// Which namespace this is.
    fn ino(namespace: &crate::OwnedFd) -> u64 {
        crate::file::fstat(namespace.fd()).unwrap().ino
    }

    #[test]
    fn there_are_other_namespaces_and_one_thread_at_a_time() {
        for round in 0..50 {
            let wants_ipc = round % 2 == 0;
            let (ours, theirs) = pair();
            let first = NamespacesAside::begin(theirs, wants_ipc).expect("nobody else has the thread");
            assert!(NamespacesAside::begin(pair().1, false).is_none());
            if first.take() {
                let mut more = [9];
                let (_, made) = socket::receive_with_fd(ours.fd(), &mut more).unwrap();
                assert_eq!(more, [u8::from(wants_ipc)]);
                // Without the right to it there is none.
                if let Some(made) = made {
                    let mine = net::socket().and_then(|socket| net::namespace_of(socket.fd())).unwrap();
                    assert_ne!(ino(&made), ino(&mine));
                }
                if wants_ipc {
                    let (_, made) = socket::receive_with_fd(ours.fd(), &mut more).unwrap();
                    assert_eq!(more, [0]);
                    let mine = super::file::openat(crate::Fd::CWD, c"/proc/self/ns/ipc", libc::O_RDONLY, 0);
                    assert!(made.is_none_or(|made| ino(&made) != ino(&mine.unwrap())));
                }
            }
            // Its end is closed when it is done, or has seen that it need not begin.
            assert_eq!(socket::receive(ours.fd(), &mut [0], 0).unwrap_or(0), 0);
            while THREAD.id.load(Ordering::Acquire) != 0 {
                std::thread::yield_now();
            }
        }
    }
}
