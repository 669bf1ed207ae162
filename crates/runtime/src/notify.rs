//! A container that tells when it is ready ([sd_notify(3)](https://man7.org/linux/man-pages/man3/sd_notify.3.html)), as
//! with runc: where the caller has a `NOTIFY_SOCKET`, the container gets one of its own, in its state directory and at
//! `/run/notify`. What comes through it goes on to the caller's: that it is ready, and which process is the main one.

use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orlop_spec::{Mount, Spec};
use orlop_sys::Fd;

use crate::error::{Doing, Result};
use crate::store::{NOTIFY, StateDir};

/// Where the container finds it.
const INSIDE: &str = "/run/notify";
const SOCKET: &str = "notify.sock";
/// How long the host may take to hear us out, in milliseconds: as long as runc waits.
const BARRIER: u16 = 30_000;

/// The caller's own socket, a path or an abstract name with `@` in front; `None` if it has none.
pub(crate) fn of_caller() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|socket| !socket.is_empty())
}

/// Gives the container's process a socket, which will be in this state directory.
pub(crate) fn add_to(spec: &mut Spec, state: &Path) {
    let Some(process) = &mut spec.process else { return };
    process.env.push(format!("NOTIFY_SOCKET={INSIDE}/{SOCKET}"));
    spec.mounts.push(Mount {
        destination: INSIDE.to_owned(),
        source: state.join(NOTIFY).to_string_lossy().into_owned(),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec(),
        ..Mount::default()
    });
}

/// The container's socket, and that of the caller.
#[derive(Debug)]
pub(crate) struct Relay {
    inside: UnixDatagram,
    outside: UnixDatagram,
}

impl Relay {
    /// Listens for a container that has a socket, if the caller has one.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel): a socket cannot be made, or nobody listens at the caller's.
    pub(crate) fn listen(dir: &StateDir) -> Result<Option<Self>> {
        let Some(caller) = of_caller().filter(|_| dir.has_notify()) else { return Ok(None) };
        let doing = || format!("connect to NOTIFY_SOCKET {caller}");
        let outside = UnixDatagram::unbound().doing(doing)?;
        let address = match caller.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&caller),
        };
        address.and_then(|address| outside.connect_addr(&address)).doing(doing)?;
        Ok(Some(Self { inside: dir.listen_notify(SOCKET)?, outside }))
    }

    /// Waits until the container is ready, or its process, whose pidfd this is, has ended; then tells the caller that
    /// `main` is the main process.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub(crate) fn run(&self, process: &OwnedFd, main: i32) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let [message, ended] = wait([self.inside.as_fd(), process.as_fd()], PollTimeout::NONE)?;
            if message {
                let n = self.inside.recv(&mut buffer).doing(|| "hear from the container".to_owned())?;
                if buffer[..n].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
                    return self.tell(main);
                }
            } else if ended {
                return Ok(());
            }
        }
    }

    /// The same beside other work, with this process, which lives as long as the container's, as the main one.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel): no thread can be had.
    pub(crate) fn run_aside(self, process: &OwnedFd) -> Result<()> {
        let doing = || "listen to the container".to_owned();
        let process = process.try_clone().doing(doing)?;
        let listen = move || {
            if let Err(e) = self.run(&process, std::process::id() as i32) {
                tracing::warn!("{e}");
            }
        };
        std::thread::Builder::new().name("notify".to_owned()).spawn(listen).doing(doing).map(drop)
    }

    /// Tells the caller, and waits until it has heard: the kernel says who sent a message only while the sender lives
    /// (sd_notify_barrier(3)).
    fn tell(&self, main: i32) -> Result<()> {
        let doing = || "tell NOTIFY_SOCKET that the container is ready".to_owned();
        self.outside.send(format!("READY=1\nMAINPID={main}\n").as_bytes()).doing(doing)?;
        let (heard, barrier) = pipe().doing(doing)?;
        orlop_sys::socket::send(Fd::of(&self.outside), b"BARRIER=1", Some(Fd::of(&barrier))).doing(doing)?;
        drop(barrier);
        let [heard] = wait([heard.as_fd()], PollTimeout::from(BARRIER))?;
        if !heard {
            tracing::warn!("nobody at NOTIFY_SOCKET has heard within 30 s that the container is ready");
        }
        Ok(())
    }
}

/// Waits for descriptors; which of them can be read, or have ended.
fn wait<const N: usize>(fds: [std::os::fd::BorrowedFd<'_>; N], timeout: PollTimeout) -> Result<[bool; N]> {
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    loop {
        match poll(&mut fds, timeout) {
            Ok(_) => return Ok(fds.map(|fd| fd.any() == Some(true))),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e).doing(|| "wait for the container to be ready".to_owned()),
        }
    }
}
