//! The document as a whole: its version, the container's id, and what cannot be done yet.

use crate::Code;
use crate::compiler::Compiler;
use orlop_spec::Pointer;

/// The minor version of the specification that this is written for.
const MINOR: u64 = 3;

impl Compiler<'_> {
    /// What can be said of a config before looking at how things fit together.
    pub(crate) fn document(&mut self) {
        self.version();
        self.container_id();
        if self.spec.vm.is_some() {
            self.not_yet(Pointer::new("/vm"), "running in a virtual machine");
        }
        match &self.spec.process {
            Some(process) => self.check_process_labels(process),
            None => self
                .error(Code::ProcessMissing, Pointer::new("/process"), "there is no process to run")
                .hint("a config without a process describes a container that cannot be started"),
        }
        self.check_mount_label();
    }

    fn version(&mut self) {
        let version = self.spec.oci_version.as_str();
        let pointer = Pointer::new("/ociVersion");
        if version.is_empty() {
            self.error(Code::OciVersion, pointer, "the version of the specification is missing")
                .hint("add \"ociVersion\": \"1.3.0\"");
            return;
        }
        match major_and_minor(version) {
            Some((1, minor)) if minor > MINOR => {
                let message = format!("version {version} is newer than 1.{MINOR}: what it added is ignored");
                self.warn(Code::OciVersion, pointer, message);
            }
            Some((1, _)) => {}
            Some(_) => {
                let message = format!("version {version} of the specification is not supported");
                self.error(Code::OciVersion, pointer, message).hint("orlop implements 1.0 to 1.3");
            }
            None => {
                let message = format!("{version:?} is not a version");
                self.error(Code::OciVersion, pointer, message).hint("write it as 1.3.0");
            }
        }
    }

    /// The id becomes a file name, and the name of a cgroup.
    pub(crate) fn container_id(&mut self) {
        let id = self.id;
        if id.is_empty() {
            self.error_of_command(Code::ContainerId, "the container's id is empty");
        } else if matches!(id, "." | "..") || !id.bytes().all(is_id_byte) {
            let message = format!("{id:?} cannot be a container's id");
            self.error_of_command(Code::ContainerId, message)
                .hint("ids consist of letters, digits, '_', '+', '-' and '.'");
        } else if id.len() > 255 {
            let message = format!("a container's id has at most 255 characters, this one {}", id.len());
            self.error_of_command(Code::ContainerId, message);
        }
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte)
}

/// The first two numbers of a version as semver.org has it.
fn major_and_minor(version: &str) -> Option<(u64, u64)> {
    let core = version.split(['-', '+']).next()?;
    let mut numbers =
        core.split('.').map(|n| n.bytes().all(|b| b.is_ascii_digit()).then(|| n.parse().ok())?);
    let (major, minor, _patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::major_and_minor;

    #[test]
    fn versions() {
        for good in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.3.0-rc.1+build"] {
            assert_eq!(major_and_minor(good).map(|v| v.0), Some(1), "{good}");
        }
        for bad in ["1", "1.0", "1.0.0.0", "v1.0.0", "1.x.0", "1.+1.0", "1..0", "one"] {
            assert_eq!(major_and_minor(bad), None, "{bad}");
        }
    }
}
