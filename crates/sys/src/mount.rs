//! The new mount API (Linux 5.2; attributes 5.12), and the few old calls that have no new form.

use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};
use core::ffi::CStr;

/// What [`mount_setattr`] changes: attributes to set and to clear (`MOUNT_ATTR_…`), propagation (`MS_SHARED`, …, or 0),
/// and the user namespace of an id-mapped mount (`MOUNT_ATTR_IDMAP`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Attributes {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear; cleared before set.
    pub clear: u64,
    /// One of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0 for no change.
    pub propagation: u64,
    /// Descriptor of a user namespace, with `MOUNT_ATTR_IDMAP`.
    pub userns: u64,
}

/// [fsopen(2)](https://man7.org/linux/man-pages/man2/fsopen.2.html), Linux 5.2. `ENODEV`: the kernel has no such file system.
pub fn fsopen(fstype: &CStr) -> Result<OwnedFd> {
    const FSOPEN_CLOEXEC: usize = 1;
    // SAFETY: the name outlives the call, which only reads it.
    unsafe { call(libc::SYS_fsopen, [fstype.as_ptr() as usize, FSOPEN_CLOEXEC]) }.map(OwnedFd::made)
}

/// Sets a flag, or a key to a string ([fsconfig(2)](https://man7.org/linux/man-pages/man2/fsconfig.2.html)). `EINVAL`: the
/// file system does not know it; [`crate::file::read`] of the context then gives the kernel's message.
pub fn fsconfig(fs: Fd, key: &CStr, value: Option<&CStr>) -> Result<()> {
    const FSCONFIG_SET_FLAG: usize = 0;
    const FSCONFIG_SET_STRING: usize = 1;
    let (command, value) =
        value.map_or((FSCONFIG_SET_FLAG, 0), |v| (FSCONFIG_SET_STRING, v.as_ptr() as usize));
    // SAFETY: both strings outlive the call, which only reads them.
    unsafe { call(libc::SYS_fsconfig, [fs.raw() as usize, command, key.as_ptr() as usize, value, 0]) }
        .map(drop)
}

/// Makes the superblock (fsconfig(2), `FSCONFIG_CMD_CREATE`).
pub fn fsconfig_create(fs: Fd) -> Result<()> {
    const FSCONFIG_CMD_CREATE: usize = 6;
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_fsconfig, [fs.raw() as usize, FSCONFIG_CMD_CREATE, 0, 0, 0]) }.map(drop)
}

/// A detached mount of the superblock, with `MOUNT_ATTR_…`
/// ([fsmount(2)](https://man7.org/linux/man-pages/man2/fsmount.2.html)).
pub fn fsmount(fs: Fd, attributes: u64) -> Result<OwnedFd> {
    const FSMOUNT_CLOEXEC: usize = 1;
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_fsmount, [fs.raw() as usize, FSMOUNT_CLOEXEC, attributes as usize]) }
        .map(OwnedFd::made)
}

/// A detached copy of the mount at a path: what a bind mount is made of
/// ([open_tree(2)](https://man7.org/linux/man-pages/man2/open_tree.2.html), `OPEN_TREE_CLONE`). An empty path means `dir`
/// itself. `EINVAL`: `dir`'s mount is in another mount namespace, or is unbindable.
pub fn clone_tree(dir: Fd, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    // SAFETY: the path outlives the call, which only reads it.
    unsafe { call(libc::SYS_open_tree, [dir.raw() as usize, path.as_ptr() as usize, flags as usize]) }
        .map(OwnedFd::made)
}

/// A new mount namespace with a copy of this mount, and of all below, as its root
/// (`OPEN_TREE_NAMESPACE`, Linux 7.0, of [open_tree(2)](https://man7.org/linux/man-pages/man2/open_tree.2.html)). `EINVAL`: the
/// kernel does not know it, or the mount is neither of the caller's namespace nor a detached one that was made in it.
pub fn tree_namespace(tree: Fd) -> Result<OwnedFd> {
    const OPEN_TREE_NAMESPACE: u32 = 2;
    let flags = OPEN_TREE_NAMESPACE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH as u32
        | libc::AT_RECURSIVE as u32;
    // SAFETY: the empty string is static.
    unsafe { call(libc::SYS_open_tree, [tree.raw() as usize, c"".as_ptr() as usize, flags as usize]) }
        .map(OwnedFd::made)
}

/// Attaches a detached mount, or moves an attached one, onto what `target` refers to
/// ([move_mount(2)](https://man7.org/linux/man-pages/man2/move_mount.2.html)).
pub fn move_mount(tree: Fd, target: Fd) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    let empty = c"".as_ptr() as usize;
    // SAFETY: the empty strings are static.
    unsafe {
        call(libc::SYS_move_mount, [tree.raw() as usize, empty, target.raw() as usize, empty, flags as usize])
    }
    .map(drop)
}

/// Changes a mount's attributes ([mount_setattr(2)](https://man7.org/linux/man-pages/man2/mount_setattr.2.html), Linux 5.12).
/// An empty path means `dir` itself. `EPERM`: an attribute is locked, because a more privileged user namespace set it.
pub fn mount_setattr(dir: Fd, path: &CStr, recursive: bool, attributes: &Attributes) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let args = [
        dir.raw() as usize,
        path.as_ptr() as usize,
        flags as usize,
        core::ptr::from_ref(attributes) as usize,
        size_of::<Attributes>(),
    ];
    // SAFETY: `Attributes` is laid out as `struct mount_attr`; it and the path are only read.
    unsafe { call(libc::SYS_mount_setattr, args) }.map(drop)
}

/// [pivot_root(2)](https://man7.org/linux/man-pages/man2/pivot_root.2.html). `EINVAL`: the new root is not a mount point,
/// or a mount involved is shared.
pub fn pivot_root(new_root: &CStr, put_old: &CStr) -> Result<()> {
    // SAFETY: both strings outlive the call, which only reads them.
    unsafe { call(libc::SYS_pivot_root, [new_root.as_ptr() as usize, put_old.as_ptr() as usize]) }.map(drop)
}

/// [umount2(2)](https://man7.org/linux/man-pages/man2/umount.2.html).
pub fn umount2(path: &CStr, flags: i32) -> Result<()> {
    // SAFETY: the path outlives the call, which only reads it.
    unsafe { call(libc::SYS_umount2, [path.as_ptr() as usize, flags as usize]) }.map(drop)
}
