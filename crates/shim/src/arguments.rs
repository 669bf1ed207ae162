//! How containerd calls a shim: options as Go's `flag` package takes them, and an action.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::ttrpc::{Code, Failure, Result};

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Find or start a server.
    Start,
    /// Clean up after one.
    Delete,
    /// Say what this is.
    Info,
    /// Say which one this is.
    Version,
    /// Be the server.
    #[default]
    Serve,
}

/// The arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) namespace: String,
    /// Of the container, or of the pod where several share a server.
    pub(crate) id: String,
    /// Where containerd listens (gRPC).
    pub(crate) address: String,
    pub(crate) bundle: Option<PathBuf>,
    /// The server's own socket.
    pub(crate) socket: PathBuf,
    pub(crate) debug: bool,
}

impl Arguments {
    /// Reads arguments, the program's name not among them.
    ///
    /// # Errors
    ///
    /// An option or an action that is not known.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let wrong = |why: String| Failure::new(Code::InvalidArgument, why);
        let mut read = Self::default();
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let argument = argument.to_string_lossy().into_owned();
            let Some(option) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
                read.action = match argument.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    other => return Err(wrong(format!("there is no action {other:?}"))),
                };
                continue;
            };
            let (name, given) =
                option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let mut value = || {
                let next = || rest.next().map(|value| value.to_string_lossy().into_owned());
                given
                    .map(str::to_owned)
                    .or_else(next)
                    .ok_or_else(|| wrong(format!("option -{name} lacks a value")))
            };
            match name {
                "namespace" => read.namespace = value()?,
                "id" => read.id = value()?,
                "address" => read.address = value()?,
                "bundle" => read.bundle = Some(value()?.into()),
                "socket" => read.socket = value()?.into(),
                // Events go to containerd's socket, and nobody looks into a shim of ours by a socket.
                "publish-binary" | "debug-socket" => drop(value()?),
                "debug" => read.debug = given != Some("false"),
                "v" | "version" => read.action = Action::Version,
                "info" => read.action = Action::Info,
                _ => return Err(wrong(format!("there is no option -{name}"))),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments> {
        Arguments::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn as_containerd_calls_it() {
        let line = "-namespace k8s.io -address /run/containerd/containerd.sock -publish-binary /usr/bin/containerd \
            -id abc -bundle /b -debug delete";
        let expected = Arguments {
            action: Action::Delete,
            namespace: "k8s.io".into(),
            id: "abc".into(),
            address: "/run/containerd/containerd.sock".into(),
            bundle: Some("/b".into()),
            socket: PathBuf::new(),
            debug: true,
        };
        assert_eq!(read(line), Ok(expected));
    }

    #[test]
    fn both_ways_of_writing_options() {
        assert_eq!(read("--id=x -debug=false start"), read("-id x start"));
        assert_eq!(read("-info").unwrap().action, Action::Info);
        assert_eq!(read("--version").unwrap().action, Action::Version);
        assert_eq!(read("-id x").unwrap().action, Action::Serve);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(read("-wrong start").unwrap_err().message.contains("-wrong"));
        assert!(read("dance").unwrap_err().message.contains("dance"));
        assert!(read("-id").unwrap_err().message.contains("lacks a value"));
    }
}
