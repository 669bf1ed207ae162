//! `linux.cgroupsPath` in the form of the systemd driver, `slice:prefix:name`.

use std::path::PathBuf;

/// The name of a scope unit, and the slice that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeName {
    /// The unit, `prefix-name.scope`.
    pub unit: String,
    /// The slice unit.
    pub slice: String,
}

/// Why such a `cgroupsPath` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// It has not three parts.
    #[error(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {0:?} instead"
    )]
    Form(String),
    /// The slice is none.
    #[error(
        "invalid slice name: {0:?} does not name a slice unit such as \"machine.slice\" or \"a-b.slice\""
    )]
    Slice(String),
    /// The unit's name cannot be one.
    #[error("invalid unit name: {0:?} {1}")]
    Unit(String, &'static str),
}

impl ScopeName {
    /// Reads a `cgroupsPath`. If it is empty, the scope is `orlop-ID.scope`; if its slice is, `default_slice` is meant.
    ///
    /// # Errors
    /// A [`NameProblem`] that quotes what is wrong.
    pub fn new(cgroups_path: &str, id: &str, default_slice: &str) -> Result<Self, NameProblem> {
        let parts: Vec<&str> = match cgroups_path {
            "" => vec!["", "orlop", id],
            path => path.split(':').collect(),
        };
        let [slice, prefix, name] = parts[..] else {
            return Err(NameProblem::Form(cgroups_path.to_owned()));
        };
        if name.strip_suffix(".slice").is_some() {
            let why = "is a slice, and a slice has no processes";
            return Err(NameProblem::Unit(name.to_owned(), why));
        }
        let unit = format!("{prefix}-{name}.scope");
        if let Some(why) = objection(&unit) {
            return Err(NameProblem::Unit(unit, why));
        }
        let slice = if slice.is_empty() { default_slice } else { slice };
        let name = Self { unit, slice: slice.to_owned() };
        if name.slice_directory().is_none() || objection(slice).is_some() {
            return Err(NameProblem::Slice(slice.to_owned()));
        }
        Ok(name)
    }

    /// Where the scope's cgroup is below that of systemd itself: `a-b.slice` is in `a.slice`.
    pub fn directory(&self) -> PathBuf {
        self.slice_directory().unwrap_or_default().join(&self.unit)
    }

    fn slice_directory(&self) -> Option<PathBuf> {
        let name = self.slice.strip_suffix(".slice")?;
        if name == "-" {
            return Some(PathBuf::new());
        }
        let mut directory = PathBuf::new();
        for (end, _) in name.match_indices('-').chain([(name.len(), "")]) {
            let prefix = &name[..end];
            if prefix.is_empty() || prefix.ends_with('-') {
                return None;
            }
            directory.push(format!("{prefix}.slice"));
        }
        Some(directory)
    }
}

/// What keeps this from being a unit's name (systemd.unit(5)).
fn objection(unit: &str) -> Option<&'static str> {
    if unit.len() > 255 {
        return Some("is longer than 255 characters");
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    (!unit.bytes().all(legal)).then_some("has characters other than letters, digits and : - _ . \\ @")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_engines_expect_them() {
        for (path, unit, directory) in [
            ("", "orlop-c1.scope", "system.slice/orlop-c1.scope"),
            (":docker:abc", "docker-abc.scope", "system.slice/docker-abc.scope"),
            ("machine.slice:libpod:abc", "libpod-abc.scope", "machine.slice/libpod-abc.scope"),
            ("-.slice:a:b", "a-b.scope", "a-b.scope"),
            (
                "kubepods-besteffort-pod1.slice:cri-containerd:x",
                "cri-containerd-x.scope",
                "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-x.scope",
            ),
            ("system.slice::x", "-x.scope", "system.slice/-x.scope"),
        ] {
            let name = ScopeName::new(path, "c1", "system.slice").unwrap();
            assert_eq!(
                (name.unit.as_str(), name.directory().to_str().unwrap()),
                (unit, directory),
                "{path:?}"
            );
        }
        assert_eq!(ScopeName::new("", "c1", "user.slice").unwrap().slice, "user.slice");
    }

    #[test]
    fn what_no_unit_can_be_called_is_refused() {
        type Want = fn(&NameProblem) -> bool;
        let (form, slice, unit): (Want, Want, Want) = (
            |p| matches!(p, NameProblem::Form(_)),
            |p| matches!(p, NameProblem::Slice(_)),
            |p| matches!(p, NameProblem::Unit(..)),
        );
        let long = format!(":a:{}", "x".repeat(255));
        for (path, want) in [
            ("/a/b", form),
            ("a:b", form),
            ("a.slice:b:c:d", form),
            ("a:b:c", slice),
            (".slice:b:c", slice),
            ("a--b.slice:b:c", slice),
            ("-a.slice:b:c", slice),
            ("a-.slice:b:c", slice),
            ("a/b.slice:b:c", slice),
            ("a\n.slice:b:c", slice),
            (":b:../c", unit),
            (":b:c d", unit),
            (":b:c.slice", unit),
            (&long, unit),
        ] {
            let problem = ScopeName::new(path, "c1", "system.slice").unwrap_err();
            assert!(want(&problem), "{path:?} gave {problem:?}");
        }
    }
}
