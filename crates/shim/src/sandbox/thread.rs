//! A pod's namespaces without a process: a thread of the shim is in them. `/proc/NUMBER/ns/…` leads to them by the thread's
//! number, as it does by a process's.

use std::convert::Infallible;
use std::fs::File;
use std::sync::mpsc::{Sender, channel};

use orlop_sys::Fd;
use orlop_sys::process::{sethostname, setns, unshare};

use super::wanted::Wanted;
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// The thread does nothing, so little is enough, in bytes.
const STACK: usize = 64 << 10;

/// Namespaces that are there as long as this value, and as containers are in them.
#[derive(Debug)]
pub(super) struct Namespaces {
    pub(super) thread: i32,
    /// The thread ends when this is dropped.
    _end: Sender<Infallible>,
}

impl Namespaces {
    /// Makes or enters them.
    ///
    /// # Errors
    ///
    /// The network's is not there, or the kernel refuses.
    pub(super) fn new(wanted: Wanted) -> Result<Self> {
        let (tell, told) = channel();
        let (end, wait) = channel();
        let doing = "start a thread for the pod's namespaces";
        let work = move || {
            let entered = enter(&wanted).map(|()| nix::unistd::gettid().as_raw());
            let stay = entered.is_ok();
            if tell.send(entered).is_ok() && stay {
                // Nothing is ever sent: this ends with the other end.
                wait.recv().ok();
            }
        };
        std::thread::Builder::new()
            .name("pod".into())
            .stack_size(STACK)
            .spawn(work)
            .map_err(failed(doing))?;
        let gone = |_| Failure::new(Code::Unknown, format!("{doing}: it has ended"));
        Ok(Self { thread: told.recv().map_err(gone)??, _end: end })
    }
}

fn enter(wanted: &Wanted) -> Result<()> {
    if let Some(path) = &wanted.network {
        let doing = || format!("enter the network namespace {}", path.display());
        let file = File::open(path).map_err(failed(doing()))?;
        setns(Fd::of(&file), libc::CLONE_NEWNET).map_err(failed(doing()))?;
    }
    for (name, value) in wanted.usual_sysctls() {
        // The file is that of the network namespace that this thread is in.
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        if let Err(e) = std::fs::write(&path, value) {
            tracing::warn!("the pod has not the usual {name}: write {path}: {e}");
        }
    }
    let kinds = [(wanted.own_ipc, libc::CLONE_NEWIPC), (wanted.own_uts, libc::CLONE_NEWUTS)];
    let kinds = kinds.into_iter().filter_map(|(own, kind)| own.then_some(kind)).fold(0, |all, one| all | one);
    unshare(kinds).map_err(failed("make the pod's namespaces"))?;
    if wanted.own_uts && !wanted.hostname.is_empty() {
        sethostname(wanted.hostname.as_bytes())
            .map_err(failed(format!("set the host name {:?}", wanted.hostname)))?;
    }
    Ok(())
}
