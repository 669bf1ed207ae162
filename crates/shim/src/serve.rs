//! Being the server, which `start` has started.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::unistd::dup2_stdin;
use orlop_runtime::log::{Format, Log};

use crate::address;
use crate::arguments::Arguments;
use crate::server::{Server, Signals};
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// Serves until containerd, or a signal, says that it is enough. (Rust's runtime ignores SIGPIPE.)
///
/// # Errors
///
/// It was not started by `start`, or the kernel refuses what every server needs.
pub(crate) fn serve(arguments: &Arguments) -> Result<Vec<u8>> {
    let doing = "take over the listening socket";
    let listener =
        std::io::stdin().as_fd().try_clone_to_owned().map(UnixListener::from).map_err(failed(doing))?;
    if arguments.socket.as_os_str().is_empty() || listener.local_addr().is_err() {
        let why = "this is containerd's shim for the runtime io.containerd.orlop.v2, and starts itself";
        return Err(Failure::new(Code::InvalidArgument, why));
    }
    // What is inherited as standard input has to be nothing.
    let null = orlop_runtime::streams::null()?;
    dup2_stdin(null).map_err(failed("let go of standard input"))?;
    if let Some(file) = open_log() {
        Box::leak(Box::new(Log::to(file, Format::Text, arguments.debug))).install();
        // Standard error goes nowhere.
        std::panic::set_hook(Box::new(|why| tracing::error!("{why}")));
    }
    // Started by way of /proc/self/exe, it would be called `exe` by ps(1).
    nix::sys::prctl::set_name(c"containerd-shim").map_err(failed("set the name"))?;
    let signals = Signals::collect().map_err(failed("collect signals"))?;
    // The bundle may be taken away while we live.
    std::env::set_current_dir("/").map_err(failed("leave the bundle"))?;
    let events = std::env::var("TTRPC_ADDRESS").ok().filter(|address| !address.is_empty());
    let events = events.map(|address| PathBuf::from(address::path(&address)));
    Server::new(listener, signals, arguments.socket.clone(), arguments.namespace.clone(), events)
        .and_then(Server::run)
        .map_err(failed("serve"))?;
    Ok(Vec::new())
}

/// The FIFO in the bundle that containerd copies to its own log. It is opened for reading too: then it has a reader
/// whatever becomes of containerd.
fn open_log() -> Option<File> {
    let is_fifo = std::fs::metadata("log").ok()?.file_type().is_fifo();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    is_fifo.then(|| options.open("log").ok()).flatten()
}
