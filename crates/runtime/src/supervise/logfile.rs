//! The log: what Docker's `json-file` driver writes, one object a line, rotated as it rotates.

use std::fs::File;
use std::io::Write as _;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::settings::Logging;
use crate::clock::now;
use crate::error::{Doing, Result};
use crate::store::StateDir;

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// What was written: a line with its end, or a part of a long one without.
    pub(super) log: String,
    /// `stdout` or `stderr`.
    pub(super) stream: String,
    /// When it arrived, RFC 3339.
    pub(super) time: String,
}

/// The name of the log of a container, in its state directory; `age` counts from 0, the one that is written.
pub(super) fn name(id: &str, age: u32) -> String {
    match age {
        0 => format!("{id}-json.log"),
        age => format!("{id}-json.log.{age}"),
    }
}

/// The log while it is written.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    size: u64,
    settings: Logging,
    line: Vec<u8>,
}

impl LogFile {
    /// Goes on with the log of a container, or begins it.
    pub(super) fn open(dir: &StateDir, id: &str, settings: &Logging) -> Result<Self> {
        let name = name(id, 0);
        let file = dir.open(&name, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND)?;
        let size = file.metadata().doing(|| format!("look at {name}"))?.len();
        Ok(Self { file, size, settings: settings.clone(), line: Vec::new() })
    }

    /// Writes what has arrived from a stream.
    pub(super) fn write(&mut self, dir: &StateDir, id: &str, stream: &str, bytes: &[u8]) -> Result<()> {
        let log = String::from_utf8_lossy(bytes).into_owned();
        let entry = Entry { log, stream: stream.to_owned(), time: now() };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &entry)
            .map_err(std::io::Error::from)
            .doing(|| "write a line of the log".to_owned())?;
        self.line.push(b'\n');
        let full = self
            .settings
            .max_size
            .is_some_and(|max| self.size > 0 && self.size + self.line.len() as u64 > max);
        if full {
            self.rotate(dir, id)?;
        }
        self.file.write_all(&self.line).doing(|| format!("write {}", name(id, 0)))?;
        self.size += self.line.len() as u64;
        Ok(())
    }

    /// Begins a new file. The old one is never cut off: who reads it comes to its end.
    fn rotate(&mut self, dir: &StateDir, id: &str) -> Result<()> {
        let oldest = self.settings.max_files.saturating_sub(1);
        for age in (0..oldest).rev() {
            dir.rename(&name(id, age), &name(id, age + 1))?;
        }
        if oldest == 0 {
            dir.remove_file(&name(id, 0))?;
        }
        let new = Self::open(dir, id, &self.settings)?;
        // The line stays: it is about to be written.
        (self.file, self.size) = (new.file, new.size);
        Ok(())
    }
}
