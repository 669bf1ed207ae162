//! Where a server listens.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::sha256;

/// Where sockets are if containerd does not say: a short path, as those of sockets have at most 107 bytes.
const DIRECTORY: &str = "/run/containerd/s";

/// The socket of the server for a group of containers: the same for all of them.
pub(crate) fn socket(directory: Option<&str>, containerd: &str, namespace: &str, group: &str) -> PathBuf {
    let directory = directory.filter(|path| !path.is_empty()).unwrap_or(DIRECTORY);
    let name: Vec<_> = [containerd, namespace, group].iter().map(|part| part.trim_matches('/')).collect();
    Path::new(directory).join(sha256::hex(format!("/{}", name.join("/")).as_bytes()))
}

/// The link in a bundle that says where sockets are, for those who clean up.
const LINK: &str = "s";

/// Writes down in the bundle where sockets are, if that is not the usual place.
///
/// # Errors
///
/// symlink(2) fails.
pub(crate) fn link_directory(directory: Option<&str>, bundle: &Path) -> io::Result<()> {
    let Some(directory) = directory.filter(|path| !path.is_empty()) else { return Ok(()) };
    let link = bundle.join(LINK);
    match fs::remove_file(&link) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => std::os::unix::fs::symlink(directory, link),
    }
}

/// Where the server of a bundle's container listened, as far as the bundle says: in a file, or by the link's place and the
/// container's name.
pub(crate) fn of_bundle(bundle: &Path, containerd: &str, namespace: &str, id: &str) -> PathBuf {
    let written = fs::read_to_string(bundle.join("address")).ok();
    if let Some(address) = written.as_deref().map(str::trim).filter(|address| !address.is_empty()) {
        return path(address).into();
    }
    let directory = fs::read_link(bundle.join(LINK)).ok();
    socket(directory.as_deref().and_then(Path::to_str), containerd, namespace, id)
}

/// The path of an address that may begin with `unix://`.
pub(crate) fn path(address: &str) -> &str {
    address.strip_prefix("unix://").unwrap_or(address)
}

/// A socket to listen at, or a server that does so already.
#[derive(Debug)]
pub(crate) enum Listening {
    Us(UnixListener),
    Another,
}

/// Listens at a path that nobody else listens at. What a dead server has left is taken away.
///
/// # Errors
///
/// The directory or the socket cannot be made.
pub(crate) fn listen(path: &Path) -> io::Result<Listening> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let listener = match UnixListener::bind(path) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Ok(Listening::Another);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(Listening::Us(listener))
}

/// Takes a socket away that nobody listens at any more.
pub(crate) fn remove_dead(path: &Path) {
    let refused = UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
    if refused && let Err(e) = fs::remove_file(path) {
        tracing::debug!("remove {}: {e}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_hash_that_all_shims_use() {
        let socket = socket(None, "/run/containerd/containerd.sock", "default", "web");
        let hash = sha256::hex(b"/run/containerd/containerd.sock/default/web");
        assert_eq!(socket, Path::new("/run/containerd/s").join(hash));
        assert!(socket.as_os_str().len() <= 106);
    }

    #[test]
    fn the_bundle_says_where_the_socket_was() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path();
        let usual = socket(None, "/c.sock", "ns", "web");
        link_directory(None, bundle).unwrap();
        assert_eq!(of_bundle(bundle, "/c.sock", "ns", "web"), usual);
        for place in ["/run/other", "/run/another"] {
            link_directory(Some(place), bundle).unwrap();
            let there = of_bundle(bundle, "/c.sock", "ns", "web");
            assert_eq!(there, Path::new(place).join(usual.file_name().unwrap()));
        }
        fs::write(bundle.join("address"), "unix:///run/a\n").unwrap();
        assert_eq!(of_bundle(bundle, "/c.sock", "ns", "web"), Path::new("/run/a"));
    }

    #[test]
    fn a_living_server_is_found_and_a_dead_ones_socket_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s/name");
        let Listening::Us(first) = listen(&path).unwrap() else { panic!("nobody was there") };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(listen(&path).unwrap(), Listening::Another));
        remove_dead(&path);
        assert!(path.exists(), "somebody listens");
        drop(first);
        assert!(matches!(listen(&path).unwrap(), Listening::Us(_)));
        remove_dead(&path);
        assert!(!path.exists());
    }
}
