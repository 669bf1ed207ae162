//! `delete`: takes away what is left of a container whose server is dead.

use std::path::PathBuf;
use std::time::SystemTime;

use orlop_protobuf::Message as _;
use orlop_runtime::{ContainerId, Runtime};

use crate::address;
use crate::arguments::Arguments;
use crate::messages::Timestamp;
use crate::messages::task::DeleteResponse;
use crate::rootfs;
use crate::sandbox::files;
use crate::settings::TaskOptions;
use crate::stdio::failed;
use crate::ttrpc::Result;

/// Ends and deletes the container; the answer says that it was killed.
///
/// # Errors
///
/// Something of it cannot be taken away.
pub(crate) fn delete(arguments: &Arguments) -> Result<Vec<u8>> {
    let id = ContainerId::new(&arguments.id)?;
    let bundle = bundle(arguments)?;
    let pid = std::fs::read_to_string(bundle.join("init.pid")).unwrap_or_default();
    // What goes wrong with one of them is no reason to leave the others.
    let settings = TaskOptions::saved(&bundle).settings(&arguments.namespace);
    let deleted = Runtime::new(settings).and_then(|runtime| runtime.delete(&id, true));
    let root = bundle.join("rootfs");
    let unmounted = rootfs::unmount_all(&root).map_err(failed(format!("unmount {}", root.display())));
    files::remove(&bundle);
    let socket = address::of_bundle(&bundle, &arguments.address, &arguments.namespace, &arguments.id);
    address::remove_dead(&socket);
    deleted?;
    unmounted?;
    let exited_at = Some(Timestamp::from(SystemTime::now()));
    Ok(DeleteResponse { pid: pid.trim().parse().unwrap_or(0), exit_status: 137, exited_at }.encode())
}

/// The container's bundle: that of its name beside the one that is named, or where we are, which is another's if both
/// shared the server.
fn bundle(arguments: &Arguments) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(failed("find the current directory"))?;
    let named = arguments.bundle.as_ref().map_or(here.clone(), |bundle| here.join(bundle));
    let own = named.with_file_name(&arguments.id);
    Ok(if own.is_dir() || arguments.bundle.is_none() { own } else { named })
}
