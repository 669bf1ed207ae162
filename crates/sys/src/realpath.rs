//! Absolute paths without symbolic links.

use std::ffi::{CString, OsString};
use std::io::{Error, Result};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The same file's absolute path with no symbolic link in it
/// ([realpath(3)](https://man7.org/linux/man-pages/man3/realpath.3.html)).
///
/// As the standard library's `canonicalize`, which has the C library allocate the result: of the one-shot command's memory,
/// that would be all that is not of the arena, and its allocator's first five system calls.
pub fn realpath(path: &Path) -> Result<PathBuf> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut buffer = [0; libc::PATH_MAX as usize];
    // SAFETY: the path ends with a NUL, and the buffer is as long as realpath(3) asks for.
    let found = unsafe { libc::realpath(path.as_ptr(), buffer.as_mut_ptr().cast()) };
    if found.is_null() {
        return Err(Error::last_os_error());
    }
    let length = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    Ok(OsString::from_vec(buffer[..length].to_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::realpath;
    use std::path::Path;

    #[test]
    fn it_is_the_standard_librarys() {
        for path in [".", "/", "/proc/self/cwd", "/usr/../usr/bin", "/proc/self/exe/x", "/no/such/path", ""] {
            let (ours, theirs) = (realpath(Path::new(path)), Path::new(path).canonicalize());
            assert_eq!(ours.map_err(|e| e.raw_os_error()), theirs.map_err(|e| e.raw_os_error()), "{path}");
        }
        assert!(realpath(Path::new("a\0b")).is_err());
    }
}
