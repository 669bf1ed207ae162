//! `delete`: takes away what is left of a container whose server is dead.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use orlop_protobuf::Message as _;
use orlop_runtime::{ContainerId, Runtime};

use crate::address;
use crate::arguments::Arguments;
use crate::messages::Timestamp;
use crate::messages::task::DeleteResponse;
use crate::rootfs;
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
    let settings = TaskOptions::saved(&bundle).settings(&arguments.namespace);
    Runtime::new(settings)?.delete(&id, true)?;
    let root = bundle.join("rootfs");
    rootfs::unmount_all(&root).map_err(failed(format!("unmount {}", root.display())))?;
    if let Ok(socket) = std::fs::read_to_string(bundle.join("address")) {
        address::remove_dead(Path::new(address::path(socket.trim())));
    }
    let exited_at = Some(Timestamp::from(SystemTime::now()));
    Ok(DeleteResponse { pid: pid.trim().parse().unwrap_or(0), exit_status: 137, exited_at }.encode())
}

/// The container's bundle: as it is called, or beside the current directory, which is the bundle of a container that
/// shared the server.
fn bundle(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(bundle) = &arguments.bundle {
        return Ok(bundle.clone());
    }
    let here = std::env::current_dir().map_err(failed("find the current directory"))?;
    Ok(here.with_file_name(&arguments.id))
}
