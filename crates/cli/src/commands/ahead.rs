//! What `run` and `create` begin before their arguments are understood.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Begins, if these seem to be the arguments of a command that launches a container.
pub(super) fn begin(arguments: &[OsString]) {
    if !arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        let bundle = value(arguments, &["bundle", "b"]).unwrap_or(OsStr::new("."));
        orlop_runtime::ahead::begin(Path::new(bundle), value(arguments, &["config"]).map(Path::new));
    }
}

/// What seems to be the value of the option with one of these names: the last one counts.
fn value<'a>(arguments: &'a [OsString], names: &[&str]) -> Option<&'a OsStr> {
    let (mut found, mut is_next) = (None, false);
    for argument in arguments {
        if std::mem::take(&mut is_next) {
            found = Some(argument.as_os_str());
            continue;
        }
        let Some(name) = argument.as_bytes().strip_prefix(b"-") else { continue };
        let name = name.strip_prefix(b"-").unwrap_or(name);
        let mut parts = name.splitn(2, |byte| *byte == b'=');
        let is_it = parts.next().is_some_and(|name| names.iter().any(|it| it.as_bytes() == name));
        match parts.next() {
            Some(value) if is_it => found = Some(OsStr::from_bytes(value)),
            _ => is_next = is_it,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::value;
    use std::ffi::{OsStr, OsString};

    #[test]
    fn an_option_is_found_in_every_form() {
        let of = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            value(&arguments, &["bundle", "b"]).map(OsStr::to_owned)
        };
        for line in ["-b x id", "--bundle x", "-bundle x", "id --bundle=x", "-bundle=x", "-b y --bundle x"] {
            assert_eq!(of(line), Some("x".into()), "{line}");
        }
        assert_eq!(of("--bundle --config"), Some("--config".into()));
        for line in ["id", "--bundles x", "--", "bundle x", "--bundle"] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
