//! Annotations that engines rely on, with the meaning that crun gave them. Those of hooks (`run.oci.hooks.stdout` and
//! `.stderr`) and `run.oci.pidfd_receiver` are the host side's.

use crate::Code;
use crate::compiler::Compiler;
use orlop_spec::Pointer;

const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
const FAIL_UNKNOWN_SYSCALL: &str = "run.oci.seccomp_fail_unknown_syscall";
const BPF_DATA: &str = "run.oci.seccomp_bpf_data";
/// A cgroup below the container's own, which its process gets for itself.
pub const DELEGATE_CGROUP: &str = "run.oci.delegate-cgroup";

/// What has its effect here or on the host side.
const KNOWN: [&str; 7] = [
    KEEP_GROUPS,
    FAIL_UNKNOWN_SYSCALL,
    BPF_DATA,
    DELEGATE_CGROUP,
    "run.oci.hooks.stdout",
    "run.oci.hooks.stderr",
    "run.oci.pidfd_receiver",
];

/// What asks for another kind of container than orlop makes: to ignore it would surprise.
const REFUSED: [&str; 3] = ["run.oci.handler", "run.oci.seccomp.receiver", "run.oci.seccomp.plugins"];

impl<'a> Compiler<'a> {
    /// Refuses and warns of annotations that have no effect though their name is that of an order to a runtime.
    pub(crate) fn annotations(&mut self) {
        for key in self.spec.annotations.keys() {
            let pointer = Pointer::new("/annotations/{}").key(key.as_str());
            if REFUSED.contains(&key.as_str()) {
                self.not_yet(pointer, &format!("the annotation {key}"));
            } else if key.starts_with("run.oci.")
                && !key.starts_with("run.oci.systemd.")
                && !KNOWN.contains(&key.as_str())
            {
                let message = format!("the annotation {key} has no meaning for orlop; ignored");
                self.warn(Code::AnnotationIgnored, pointer, message);
            }
        }
        self.delegated_cgroup();
    }

    pub(crate) fn annotation(&self, key: &'static str) -> Option<(&'a str, Pointer)> {
        let value = self.spec.annotations.get(key)?;
        Some((value, Pointer::new("/annotations/{}").key(key)))
    }

    /// The process keeps the caller's supplementary groups; in rootless containers, which may not have them mapped, there is
    /// no other way to files that only a group may read.
    pub(crate) fn keeps_groups(&self) -> Option<Pointer> {
        self.annotation(KEEP_GROUPS).map(|(_, pointer)| pointer)
    }

    /// Names of system calls that nobody knows are errors.
    pub(crate) fn fails_on_unknown_syscalls(&self) -> bool {
        self.annotation(FAIL_UNKNOWN_SYSCALL).is_some()
    }

    /// A filter as instructions of the kernel, in base64; it takes the place of `linux.seccomp`.
    pub(crate) fn raw_filter(&mut self) -> Option<Vec<u8>> {
        let (text, pointer) = self.annotation(BPF_DATA)?;
        let program = base64(text).filter(|program| !program.is_empty() && program.len().is_multiple_of(8));
        if program.is_none() {
            let message = "not the base64 of BPF instructions, which are of eight bytes each";
            self.error(Code::Annotation, pointer, message);
        }
        program
    }

    fn delegated_cgroup(&mut self) {
        let Some((path, pointer)) = self.annotation(DELEGATE_CGROUP) else { return };
        let down = path.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255);
        if !down || path.contains(['\0', '\n']) {
            let message = format!("{path:?} is not a path below the container's cgroup, such as \"payload\"");
            self.error(Code::Annotation, pointer, message);
            return;
        }
        self.launch.delegate = Some((path.to_owned(), pointer));
    }
}

/// Decodes base64 (RFC 4648, section 4), with its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_as_the_rfc_has_it() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYmFy", b"foobar"),
            ("//79", b"\xff\xfe\xfd"),
        ] {
            assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
        }
        for wrong in ["Zg", "Zg=", "Z===", "Zm9v!", "Zm 9v", "====", "Zm9v\n"] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }
}
