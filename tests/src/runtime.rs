//! The runtime under test.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root directory.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// The binary under test: `ORLOP` (a path, or a name to look up in `PATH`), else `bin/orlop`.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = std::env::var_os("ORLOP").map_or_else(|| workspace().join("bin/orlop"), PathBuf::from);
        // Relative to the workspace, whatever directory cargo runs a test in.
        let named = path.components().count() == 1;
        let found = if named { in_path(&path) } else { workspace().join(&path).canonicalize().ok() };
        found.unwrap_or_else(|| {
            panic!("no runtime at {}: run `make build` first, or set ORLOP", path.display())
        })
    })
}

/// Whether the binary under test is orlop, rather than a known-good runtime that proves the tests.
pub fn is_orlop() -> bool {
    version().contains("orlop")
}

/// The first line of `--version`.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let out = Command::new(binary()).arg("--version").output().expect("the runtime starts");
        String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned()
    })
}

/// Finds a program as a shell run by root would, `sbin` directories included.
pub fn in_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| file.is_file())
}
