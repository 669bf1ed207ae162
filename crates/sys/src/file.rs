//! Files, relative to a directory descriptor.

use crate::raw::{Error, Result, call};
use crate::{Fd, OwnedFd};
use core::ffi::CStr;

/// How openat2(2) resolves a path: the flags and mode of open(2), and `RESOLVE_…`.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// `O_…`; `O_CLOEXEC` is always added.
    pub flags: i32,
    /// Permission bits of a file that is made.
    pub mode: u32,
    /// `libc::RESOLVE_…`.
    pub resolve: u64,
}

/// Inside the directory as if it were the root, following symbolic links but no magic ones: for every path that a
/// container chose.
pub const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;

/// [openat2(2)](https://man7.org/linux/man-pages/man2/openat2.2.html), Linux 5.6. `EXDEV`: the path leaves what
/// `resolve` allows. `EAGAIN`: something was renamed meanwhile; a bounded number of retries is made here.
pub fn openat2(dir: Fd, path: &CStr, how: How) -> Result<OwnedFd> {
    // `struct open_how`, as the kernel reads it.
    let how = [(how.flags | libc::O_CLOEXEC) as u64, u64::from(how.mode), how.resolve];
    let mut tries = 0;
    loop {
        let args = [dir.raw() as usize, path.as_ptr() as usize, how.as_ptr() as usize, size_of_val(&how)];
        // SAFETY: path and `how` outlive the call, which only reads them.
        match unsafe { call(libc::SYS_openat2, args) } {
            Ok(fd) => return Ok(OwnedFd::made(fd)),
            Err(e) if e.is(libc::EAGAIN) && tries < 128 => tries += 1,
            Err(e) => return Err(e),
        }
    }
}

/// An `O_PATH` descriptor for a path inside `root`, found as chroot(2) would find it.
pub fn open_path_in_root(root: Fd, path: &CStr) -> Result<OwnedFd> {
    openat2(root, path, How { flags: libc::O_PATH, mode: 0, resolve: IN_ROOT })
}

/// [openat(2)](https://man7.org/linux/man-pages/man2/openat.2.html), with `O_CLOEXEC`: for paths the host chose.
pub fn openat(dir: Fd, path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    let args =
        [dir.raw() as usize, path.as_ptr() as usize, (flags | libc::O_CLOEXEC) as usize, mode as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_openat, args) }.map(OwnedFd::made)
}

/// [mkdirat(2)](https://man7.org/linux/man-pages/man2/mkdirat.2.html).
pub fn mkdirat(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, mode as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_mkdirat, args) }.map(drop)
}

/// [mknodat(2)](https://man7.org/linux/man-pages/man2/mknodat.2.html). `mode` carries the file type. `EPERM`: device
/// nodes cannot be made in a user namespace.
pub fn mknodat(dir: Fd, path: &CStr, mode: u32, dev: u64) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, mode as usize, dev as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_mknodat, args) }.map(drop)
}

/// [symlinkat(2)](https://man7.org/linux/man-pages/man2/symlinkat.2.html).
pub fn symlinkat(target: &CStr, dir: Fd, path: &CStr) -> Result<()> {
    let args = [target.as_ptr() as usize, dir.raw() as usize, path.as_ptr() as usize];
    // SAFETY: both strings outlive the call, which only reads them.
    unsafe { call(libc::SYS_symlinkat, args) }.map(drop)
}

/// [unlinkat(2)](https://man7.org/linux/man-pages/man2/unlinkat.2.html). `flags`: 0 or `AT_REMOVEDIR`.
pub fn unlinkat(dir: Fd, path: &CStr, flags: i32) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, flags as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_unlinkat, args) }.map(drop)
}

/// Lets two files change names: [renameat2(2)](https://man7.org/linux/man-pages/man2/renameat2.2.html) with
/// `RENAME_EXCHANGE`. `EINVAL`: the file system does not know how.
pub fn exchange(dir: Fd, one: &CStr, other: &CStr) -> Result<()> {
    rename(dir, one, other, libc::RENAME_EXCHANGE)
}

/// Gives a file a name that no other has (renameat2(2), `RENAME_NOREPLACE`). `EEXIST`: one has it. `EINVAL`: the file system does
/// not know how.
pub fn rename_new(dir: Fd, from: &CStr, to: &CStr) -> Result<()> {
    rename(dir, from, to, libc::RENAME_NOREPLACE)
}

fn rename(dir: Fd, from: &CStr, to: &CStr, flags: libc::c_uint) -> Result<()> {
    let dir = dir.raw() as usize;
    let args = [dir, from.as_ptr() as usize, dir, to.as_ptr() as usize, flags as usize];
    // SAFETY: both paths outlive the call, which only reads them.
    unsafe { call(libc::SYS_renameat2, args) }.map(drop)
}

/// [readlinkat(2)](https://man7.org/linux/man-pages/man2/readlinkat.2.html) into `buf`; how much of it was filled.
pub fn readlinkat(dir: Fd, path: &CStr, buf: &mut [u8]) -> Result<usize> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, buf.as_mut_ptr() as usize, buf.len()];
    // SAFETY: path is only read; `buf` is written for at most its length.
    unsafe { call(libc::SYS_readlinkat, args) }
}

/// [fchmod(2)](https://man7.org/linux/man-pages/man2/fchmodat.2.html) by name, not following a symbolic link's parent:
/// `dir` is the verified parent.
pub fn fchmodat(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, mode as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_fchmodat, args) }.map(drop)
}

/// [fchownat(2)](https://man7.org/linux/man-pages/man2/fchownat.2.html). An empty path with `AT_EMPTY_PATH` means `dir`.
pub fn fchownat(dir: Fd, path: &CStr, uid: u32, gid: u32, flags: i32) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, uid as usize, gid as usize, flags as usize];
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_fchownat, args) }.map(drop)
}

/// What a file is: the parts of `struct stat` that orlop checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Type and permission bits.
    pub mode: u32,
    /// For device nodes: which device.
    pub rdev: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes, for regular files.
    pub size: u64,
    /// The file system it is on.
    pub dev: u64,
    /// Its inode there.
    pub ino: u64,
}

impl Status {
    /// Whether its type is this one (`S_IFDIR`, …).
    pub const fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }
}

/// [fstat(2)](https://man7.org/linux/man-pages/man2/fstat.2.html); works on `O_PATH` descriptors.
pub fn fstat(fd: Fd) -> Result<Status> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call writes one `struct stat` to the pointer.
    unsafe { call(libc::SYS_fstat, [fd.raw() as usize, stat.as_mut_ptr() as usize]) }?;
    // SAFETY: the call succeeded, so it was filled.
    let stat = unsafe { stat.assume_init() };
    Ok(Status {
        mode: stat.st_mode,
        rdev: stat.st_rdev,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u64,
        dev: stat.st_dev,
        ino: stat.st_ino,
    })
}

/// Sets an extended attribute of an open file
/// ([fsetxattr(2)](https://man7.org/linux/man-pages/man2/setxattr.2.html)). `EOPNOTSUPP`: its file system has none of this kind.
pub fn set_attribute(fd: Fd, name: &CStr, value: &[u8]) -> Result<()> {
    let args = [fd.raw() as usize, name.as_ptr() as usize, value.as_ptr() as usize, value.len(), 0];
    // SAFETY: name and value outlive the call, which only reads them.
    unsafe { call(libc::SYS_fsetxattr, args) }.map(drop)
}

/// The same, only if there is none of this name yet. `EEXIST`: there is.
pub fn add_attribute(fd: Fd, name: &CStr, value: &[u8]) -> Result<()> {
    let flags = libc::XATTR_CREATE as usize;
    let args = [fd.raw() as usize, name.as_ptr() as usize, value.as_ptr() as usize, value.len(), flags];
    // SAFETY: name and value outlive the call, which only reads them.
    unsafe { call(libc::SYS_fsetxattr, args) }.map(drop)
}

/// Reads an extended attribute of an open file into `buf`; its length
/// ([fgetxattr(2)](https://man7.org/linux/man-pages/man2/getxattr.2.html)). `ENODATA`: there is none of this name. `ERANGE`:
/// it is longer than `buf`.
pub fn attribute(fd: Fd, name: &CStr, buf: &mut [u8]) -> Result<usize> {
    let args = [fd.raw() as usize, name.as_ptr() as usize, buf.as_mut_ptr() as usize, buf.len()];
    // SAFETY: name is only read; `buf` is written for at most its length.
    unsafe { call(libc::SYS_fgetxattr, args) }
}

/// `struct statfs` of 64-bit Linux: the C libraries keep a part of it to themselves.
#[repr(C)]
struct StatFs {
    kind: i64,
    /// Block sizes and counts, and the file system's id.
    _sizes: [u64; 7],
    /// The longest name and the size of fragments.
    _names: [i64; 2],
    flags: u64,
    _spare: [u64; 4],
}

/// The magic number of the file system a descriptor is on
/// ([fstatfs(2)](https://man7.org/linux/man-pages/man2/fstatfs.2.html)).
pub fn fstatfs_type(fd: Fd) -> Result<i64> {
    fstatfs(fd).map(|stat| stat.kind)
}

/// The flags of the mount a descriptor is on, `ST_RDONLY` and the like
/// ([statvfs(3)](https://man7.org/linux/man-pages/man3/statvfs.3.html)).
pub fn mount_flags(fd: Fd) -> Result<u64> {
    fstatfs(fd).map(|stat| stat.flags)
}

fn fstatfs(fd: Fd) -> Result<StatFs> {
    const { assert!(size_of::<StatFs>() == size_of::<libc::statfs>(), "the kernel's structure") };
    let mut stat = core::mem::MaybeUninit::<StatFs>::uninit();
    // SAFETY: the call writes one `struct statfs` to the pointer.
    unsafe { call(libc::SYS_fstatfs, [fd.raw() as usize, stat.as_mut_ptr() as usize]) }?;
    // SAFETY: the call succeeded, so it was filled.
    Ok(unsafe { stat.assume_init() })
}

/// [read(2)](https://man7.org/linux/man-pages/man2/read.2.html), again after a signal.
pub fn read(fd: Fd, buf: &mut [u8]) -> Result<usize> {
    retry(|| {
        // SAFETY: `buf` is written for at most its length.
        unsafe { call(libc::SYS_read, [fd.raw() as usize, buf.as_mut_ptr() as usize, buf.len()]) }
    })
}

/// [write(2)](https://man7.org/linux/man-pages/man2/write.2.html), again after a signal.
pub fn write(fd: Fd, buf: &[u8]) -> Result<usize> {
    retry(|| {
        // SAFETY: `buf` is only read.
        unsafe { call(libc::SYS_write, [fd.raw() as usize, buf.as_ptr() as usize, buf.len()]) }
    })
}

/// Writes one piece after the other ([writev(2)](https://man7.org/linux/man-pages/man2/writev.2.html)); how many bytes, which
/// are fewer than all where room ends.
pub fn writev<const N: usize>(fd: Fd, pieces: [&[u8]; N]) -> Result<usize> {
    let pieces =
        pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    // SAFETY: the kernel reads N pieces, which are only read.
    retry(|| unsafe { call(libc::SYS_writev, [fd.raw() as usize, pieces.as_ptr() as usize, N]) })
}

/// Moves up to `count` bytes from one file, at its offset, to another; how many, 0 at the end
/// ([sendfile(2)](https://man7.org/linux/man-pages/man2/sendfile.2.html)).
pub fn sendfile(to: Fd, from: Fd, count: usize) -> Result<usize> {
    // SAFETY: numbers only; the null pointer means the file's own offset.
    retry(|| unsafe { call(libc::SYS_sendfile, [to.raw() as usize, from.raw() as usize, 0, count]) })
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut f: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match f() {
            Err(e) if e.is(libc::EINTR) => {}
            done => return done,
        }
    }
}

/// Puts a descriptor at another number
/// ([dup3(2)](https://man7.org/linux/man-pages/man2/dup.2.html)), not close-on-exec.
///
/// Meant for standard input, output and error: whatever was there is closed.
pub fn dup_to_standard(fd: Fd, number: i32) -> Result<()> {
    if !(0..=2).contains(&number) {
        return Err(Error::of(libc::SYS_dup3, libc::EBADF));
    }
    // SAFETY: only the standard descriptors are replaced, which no owned descriptor of ours uses.
    unsafe { call(libc::SYS_dup3, [fd.raw() as usize, number as usize, 0]) }.map(drop)
}

/// A copy with the lowest free number from `least` on, close-on-exec
/// ([F_DUPFD_CLOEXEC(2const)](https://man7.org/linux/man-pages/man2/F_DUPFD_CLOEXEC.2const.html)).
#[cfg(feature = "std")]
pub(crate) fn dup_from(fd: Fd, least: i32) -> Result<OwnedFd> {
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_fcntl, [fd.raw() as usize, libc::F_DUPFD_CLOEXEC as usize, least as usize]) }
        .map(OwnedFd::made)
}

/// Puts a descriptor at any other number (dup3(2)), not close-on-exec: between fork and exec, when no code is left that
/// owns what is there.
#[cfg(feature = "std")]
pub(crate) fn dup_over(fd: Fd, number: i32) -> Result<()> {
    // SAFETY: numbers only; the caller's contract.
    unsafe { call(libc::SYS_dup3, [fd.raw() as usize, number as usize, 0]) }.map(drop)
}

/// Makes every descriptor from `first` on close-on-exec
/// ([close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html), the flag since Linux 5.11).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    let args = [first as usize, u32::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize];
    // SAFETY: nothing is closed now; exec closes them, when no code of this program is left to use them.
    unsafe { call(libc::SYS_close_range, args) }.map(drop)
}

/// Closes every descriptor from `first` on that is not among `keep`
/// ([close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html), Linux 5.9): those that nobody here knows of,
/// since whoever started us leaked them.
pub fn close_unknown(first: u32, keep: &(impl Iterator<Item = Fd> + Clone)) -> Result<()> {
    let mut from = first;
    loop {
        let next = keep.clone().filter_map(|fd| u32::try_from(fd.raw()).ok()).filter(|fd| *fd >= from).min();
        let to = next.map_or(u32::MAX, |fd| fd.saturating_sub(1));
        if next != Some(from) {
            // SAFETY: closing a descriptor touches no memory, and none that is in use is closed.
            unsafe { call(libc::SYS_close_range, [from as usize, to as usize, 0]) }?;
        }
        match next {
            Some(fd) => from = fd + 1,
            None => return Ok(()),
        }
    }
}

/// Sets or clears close-on-exec on one descriptor
/// ([fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html), `F_SETFD`).
pub fn set_close_on_exec(fd: Fd, on: bool) -> Result<()> {
    let args = [fd.raw() as usize, libc::F_SETFD as usize, usize::from(on) * libc::FD_CLOEXEC as usize];
    // SAFETY: changes a flag only.
    unsafe { call(libc::SYS_fcntl, args) }.map(drop)
}

/// Whether the effective user may execute a file
/// ([faccessat2(2)](https://man7.org/linux/man-pages/man2/faccessat2.2.html), Linux 5.8, `X_OK`, `AT_EACCESS`). Where a
/// seccomp filter that is older than this call denies it, faccessat(2), which asks for the real user.
pub fn check_executable(dir: Fd, path: &CStr) -> Result<()> {
    let args = [dir.raw() as usize, path.as_ptr() as usize, libc::X_OK as usize, libc::AT_EACCESS as usize];
    // SAFETY: path outlives the call, which only reads it.
    match unsafe { call(libc::SYS_faccessat2, args) } {
        Err(e) if e.is(libc::ENOSYS) || e.is(libc::EPERM) => {
            // SAFETY: as above.
            unsafe { call(libc::SYS_faccessat, [args[0], args[1], args[2]]) }.map(drop)
        }
        checked => checked.map(drop),
    }
}

/// [fchdir(2)](https://man7.org/linux/man-pages/man2/chdir.2.html).
pub fn fchdir(fd: Fd) -> Result<()> {
    // SAFETY: changes the current directory only.
    unsafe { call(libc::SYS_fchdir, [fd.raw() as usize]) }.map(drop)
}

/// [chdir(2)](https://man7.org/linux/man-pages/man2/chdir.2.html).
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_chdir, [path.as_ptr() as usize]) }.map(drop)
}

/// [chroot(2)](https://man7.org/linux/man-pages/man2/chroot.2.html).
pub fn chroot(path: &CStr) -> Result<()> {
    // SAFETY: path outlives the call, which only reads it.
    unsafe { call(libc::SYS_chroot, [path.as_ptr() as usize]) }.map(drop)
}

/// Whether the current directory is inside the root ([getcwd(2)](https://man7.org/linux/man-pages/man2/getcwd.2.html)): the path
/// of one that is not starts with `(unreachable)`.
pub fn cwd_is_in_root() -> Result<bool> {
    let mut path = core::mem::MaybeUninit::<[u8; libc::PATH_MAX as usize]>::uninit();
    // SAFETY: the path is written, for at most its length.
    unsafe { call(libc::SYS_getcwd, [path.as_mut_ptr() as usize, size_of_val(&path)]) }?;
    // SAFETY: the call succeeded, so there is a path, and it has a first byte.
    Ok(unsafe { path.as_ptr().cast::<u8>().read() } == b'/')
}

/// [umask(2)](https://man7.org/linux/man-pages/man2/umask.2.html); the old mask.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: changes the mask only; cannot fail.
    unsafe { call(libc::SYS_umask, [mask as usize]) }.map_or(0, |old| old as u32)
}

/// A sealed, executable file in memory
/// ([memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html); `MFD_EXEC` since Linux 6.3, tried
/// first, because `vm.memfd_noexec` may demand that it be asked for).
pub fn memfd(name: &CStr) -> Result<OwnedFd> {
    const MFD_EXEC: u32 = 0x10;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name outlives the call, which only reads it.
    let make = |flags: u32| unsafe { call(libc::SYS_memfd_create, [name.as_ptr() as usize, flags as usize]) };
    match make(flags | MFD_EXEC) {
        Err(e) if e.is(libc::EINVAL) => make(flags),
        other => other,
    }
    .map(OwnedFd::made)
}

/// Forbids every later change of a memfd (fcntl(2), `F_ADD_SEALS`).
pub fn seal(fd: Fd) -> Result<()> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: changes the file's seals only.
    unsafe { call(libc::SYS_fcntl, [fd.raw() as usize, libc::F_ADD_SEALS as usize, seals as usize]) }
        .map(drop)
}
