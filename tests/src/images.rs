//! Containers of images: a store of images, and what `orlop run IMAGE` leaves.
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::layout::Layout;
use crate::{Invocation, Output, ProcessHandle, ledger, runtime};

/// A store, a layout with one image, and a root for the state of containers.
#[derive(Debug)]
pub struct Place {
    /// Where all of it is.
    pub home: TempDir,
    /// The image's reference.
    pub image: String,
}

impl Place {
    /// With an image that says hello.
    pub fn new() -> Self {
        Self::of(&json!({"Env": ["PATH=/bin", "WHO=image"], "Cmd": ["echo", "hello"], "WorkingDir": "/srv"}))
    }

    /// With an image of this config.
    pub fn of(config: &Value) -> Self {
        let home = tempfile::Builder::new().prefix("ot-").tempdir().expect("a temporary directory");
        for directory in ["io", "state", "net.d"] {
            fs::create_dir(home.path().join(directory)).expect("a new directory");
        }
        let image = Layout::busybox(&home.path().join("image"), config);
        Self { home, image }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `orlop ARGS…`, with this store.
    pub fn orlop(&self, arguments: &[&str]) -> Invocation {
        Invocation::new(runtime::binary(), &self.path("io"))
            .arg("--root")
            .arg(self.path("state"))
            .args(arguments)
            .env("ORLOP_STORE", self.path("store"))
            .env("NETCONFPATH", self.path("net.d"))
    }

    /// `run OPTIONS IMAGE COMMAND`.
    #[track_caller]
    pub fn run(&self, options: &[&str], command: &[&str]) -> Output {
        self.orlop(&[&["run"], options, &[&self.image], command].concat()).output()
    }

    /// The same, of a script, in a container that is deleted.
    #[track_caller]
    pub fn prints(&self, options: &[&str], script: &str) -> String {
        self.run(&[&["--rm"], options].concat(), &["sh", "-c", script]).ok().stdout
    }

    /// The directories of containers.
    pub fn homes(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("store/containers")) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The process that looks after a container.
    #[track_caller]
    pub fn supervisor(&self, id: &str) -> ProcessHandle {
        let state: Value = serde_json::from_str(&self.orlop(&["state", id]).ok().stdout).expect("JSON");
        let pid = state["supervisor"]["pid"].as_i64().expect("a number") as i32;
        ProcessHandle::open(pid).expect("it is there")
    }

    /// Nothing is left of a container, nor of any other.
    #[track_caller]
    pub fn is_clean(&self, id: &str) {
        self.keeps_nothing();
        self.is_clean_of(id);
    }

    /// Neither directories of containers nor images for them.
    #[track_caller]
    pub fn keeps_nothing(&self) {
        assert_eq!(self.homes(), Vec::<String>::new());
        let pins = fs::read_dir(self.path("store/pins")).expect("the store is there");
        assert_eq!(pins.count(), 0, "images are kept for containers that are gone");
    }

    /// Nothing is left of a container.
    #[track_caller]
    pub fn is_clean_of(&self, id: &str) {
        assert_eq!(ledger::leaks(id, &self.path("state")), Vec::<String>::new());
    }
}

/// Containers that a test has left are deleted, so that it fails alone.
impl Drop for Place {
    fn drop(&mut self) {
        for id in self.homes() {
            self.orlop(&["delete", "--force", &id]).output();
        }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}
