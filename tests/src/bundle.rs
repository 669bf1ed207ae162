//! A bundle: a directory with `config.json` and `rootfs`.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Fifo, busybox, spec};

/// A bundle whose configuration a test edits before it is used.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    /// The configuration; written to `config.json` by [`Bundle::save`].
    pub config: Value,
}

impl Bundle {
    /// A bundle with the default configuration and a busybox root file system, in a new directory.
    pub fn make(path: &Path) -> Self {
        let bundle = Self::without_rootfs(path);
        fs::create_dir(bundle.rootfs()).expect("a new directory");
        busybox::install(&bundle.rootfs());
        bundle
    }

    /// A bundle with the default configuration and nothing else.
    pub fn without_rootfs(path: &Path) -> Self {
        fs::create_dir(path).expect("a new directory");
        // Mapped users must be able to reach the root file system.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own directory");
        Self { path: path.to_owned(), config: spec::default() }
    }

    /// The bundle's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root file system's directory.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Sets the value at a JSON pointer; objects on the way are made, `-` appends to an array.
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        *slot(&mut self.config, pointer) = value.into();
        self
    }

    /// Appends to the array at a JSON pointer, which is made if it is not there.
    #[track_caller]
    pub fn push(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        let array = slot(&mut self.config, pointer);
        if array.is_null() {
            *array = Value::Array(vec![]);
        }
        array.as_array_mut().unwrap_or_else(|| panic!("{pointer} is no array")).push(value.into());
        self
    }

    /// Removes what is at a JSON pointer.
    #[track_caller]
    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        match self.config.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
            Value::Object(object) => drop(object.remove(name)),
            Value::Array(array) => drop(array.remove(name.parse().expect("an index"))),
            _ => panic!("{parent} has no members"),
        }
        self
    }

    /// Removes the namespaces of a type.
    pub fn remove_namespace(&mut self, kind: &str) -> &mut Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("a list of namespaces");
        list.retain(|namespace| namespace["type"] != kind);
        self
    }

    /// Writes `config.json`.
    pub fn save(&self) {
        let text = serde_json::to_vec_pretty(&self.config).expect("a JSON value");
        fs::write(self.path.join("config.json"), text).expect("the configuration is written");
    }

    /// Makes a fifo that the container sees at `/NAME`: it works even where the root is read-only.
    pub fn fifo(&self, name: &str) -> Fifo {
        Fifo::make(&self.rootfs().join(name))
    }
}

/// The place a JSON pointer names, made if it is not there.
#[track_caller]
fn slot<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Value {
    let mut words = pointer.split('/');
    assert_eq!(words.next(), Some(""), "a pointer begins with a slash");
    words.fold(root, |value, word| {
        let Value::Array(array) = value else { return &mut value[word] };
        if word == "-" {
            array.push(Value::Null);
            return array.last_mut().expect("just pushed");
        }
        let index: usize = word.parse().unwrap_or_else(|_| panic!("{pointer}: {word} is no index"));
        array.get_mut(index).unwrap_or_else(|| panic!("{pointer}: no element {index}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn set_makes_objects_on_the_way_and_push_makes_arrays() {
        let mut bundle = Bundle { path: PathBuf::new(), config: json!({"a": [1]}) };
        bundle.set("/a/0", 2).set("/b/c", "d").set("/a/-", 3).push("/e", 4).push("/e", 5);
        assert_eq!(bundle.config, json!({"a": [2, 3], "b": {"c": "d"}, "e": [4, 5]}));
        bundle.remove("/a/0").remove("/b");
        assert_eq!(bundle.config, json!({"a": [3], "e": [4, 5]}));
    }
}
