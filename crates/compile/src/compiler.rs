//! The compiler's state: what it reads, and what it has written so far.

use crate::namespaces::Namespaces;
use crate::{
    Code, Compiled, Diagnostic, Diagnostics, Fill, FillWith, Filter, Host, Launch, MountIdMap, Origin,
    Severity,
};
use orlop_program::source::Source;
use orlop_program::{Builder, Slot, Step};
use orlop_spec::{Linux, NamespaceKind, Pointer, Spec};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Everything that one compilation has. Each mechanism is an `impl` of it, in its own file.
pub(crate) struct Compiler<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) linux: &'a Linux,
    pub(crate) host: &'a Host,
    pub(crate) id: &'a str,
    /// Where relative paths of the config start.
    pub(crate) bundle: &'a Path,
    pub(crate) namespaces: Namespaces<'a>,
    pub(crate) launch: Launch,
    /// The filter, where it was compiled before.
    pub(crate) kept_filter: Option<&'a Filter>,
    /// The program runs in a container that is there already: init cannot reach the host's paths.
    pub(crate) joined: bool,
    /// The root is put together before there is a mount namespace.
    pub(crate) detached: bool,
    /// A procfs is in [`Slot::PROC`].
    pub(crate) has_proc: bool,
    /// The step that enters the new network namespace is there.
    pub(crate) in_new_network: bool,
    /// It is the one that the container sees at `/proc`.
    pub(crate) proc_in_place: bool,
    /// Where mounts are, and whether the host side makes them.
    pub(crate) places: Vec<(String, bool)>,
    /// The step that mounts what the host side could fill as `/dev`, as nothing was mounted over it.
    pub(crate) dev_beside: Option<usize>,
    /// Mounts that become read-only once they are filled: index and destination.
    pub(crate) read_only_later: Vec<(usize, String)>,
    program: Builder<Origin>,
    found: Vec<Diagnostic>,
    next_slot: u8,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        spec: &'a Spec,
        linux: &'a Linux,
        host: &'a Host,
        id: &'a str,
        bundle: &'a Path,
    ) -> Self {
        Self {
            spec,
            linux,
            host,
            id,
            bundle,
            namespaces: Namespaces::default(),
            launch: Launch::default(),
            kept_filter: None,
            joined: false,
            detached: false,
            has_proc: false,
            in_new_network: false,
            proc_in_place: false,
            places: Vec::new(),
            dev_beside: None,
            read_only_later: Vec::new(),
            program: Builder::default(),
            found: Vec::new(),
            next_slot: Slot::FREE.0,
        }
    }

    /// The index that the next step will have.
    pub(crate) const fn next_index(&self) -> usize {
        self.program.next_index()
    }

    /// Adds a step.
    pub(crate) fn step(&mut self, step: Step<'_>, origin: impl Into<Origin>, why: &'static str) {
        self.step_of_parts(step, origin, why, Vec::new());
    }

    /// Adds a step of which parts can fail by themselves.
    pub(crate) fn step_of_parts(
        &mut self,
        step: Step<'_>,
        origin: impl Into<Origin>,
        why: &'static str,
        parts: Vec<Origin>,
    ) {
        self.launch.beside.steps += usize::from(step.is_beside());
        self.program.push_with_parts(step, origin.into(), why, parts);
    }

    fn find(
        &mut self,
        severity: Severity,
        code: Code,
        pointer: Option<Pointer>,
        message: String,
    ) -> &mut Diagnostic {
        self.found.push(Diagnostic { severity, code, pointer, message, hint: None });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// There will be no program.
    pub(crate) fn error(
        &mut self,
        code: Code,
        pointer: Pointer,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.find(Severity::Error, code, Some(pointer), message.into())
    }

    /// An error that no place of the config is to blame for.
    pub(crate) fn error_of_command(&mut self, code: Code, message: impl Into<String>) -> &mut Diagnostic {
        self.find(Severity::Error, code, None, message.into())
    }

    /// Something has no effect.
    pub(crate) fn warn(
        &mut self,
        code: Code,
        pointer: Pointer,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.find(Severity::Warning, code, Some(pointer), message.into())
    }

    /// Something has no effect, and engines know it.
    pub(crate) fn note(&mut self, code: Code, pointer: Pointer, message: impl Into<String>) {
        self.find(Severity::Note, code, Some(pointer), message.into());
    }

    /// Something of the spec that orlop cannot do yet.
    pub(crate) fn not_yet(&mut self, pointer: Pointer, what: &str) {
        self.error(Code::NotBuiltYet, pointer, format!("{what} is not supported yet by orlop"));
    }

    /// A slot of the program's own.
    pub(crate) fn slot(&mut self, asks: &Pointer) -> Slot {
        let slot = Slot(self.next_slot);
        if let Some(next) = self.next_slot.checked_add(1) {
            self.next_slot = next;
        } else {
            let message = "too many directories of devices and bind mounts: a container can have about 240";
            self.error(Code::NotBuiltYet, asks.clone(), message);
        }
        slot
    }

    /// Whether the container has a namespace of this kind of its own, new or joined.
    pub(crate) fn has(&self, kind: &NamespaceKind) -> bool {
        self.namespaces.has(kind)
    }

    /// Whether init runs in another user namespace than the caller.
    pub(crate) fn in_user_namespace(&self) -> bool {
        self.has(&NamespaceKind::User)
    }

    /// A bind mount's source: by its path where init may reach it, else as a tree that the host side takes hold of. In
    /// another user namespace, init is nobody to the host's directories.
    pub(crate) fn source<'p>(&mut self, path: &'p Path, recursive: bool, asks: &Pointer) -> Source<'p> {
        if !(self.joined || self.host.privileged && self.in_user_namespace()) {
            return Source::Path(bytes(path).into());
        }
        self.tree(path, recursive, None, asks)
    }

    /// A bind mount's source as a tree that the host side takes hold of.
    pub(crate) fn tree<'p>(
        &mut self,
        path: &Path,
        recursive: bool,
        id_map: Option<MountIdMap>,
        asks: &Pointer,
    ) -> Source<'p> {
        self.no_nul(bytes(path), asks);
        let slot = self.slot(asks);
        let what = FillWith::DetachedTree { path: path.to_owned(), recursive, id_map, locked: None };
        self.launch.fills.push(Fill { slot, what, origin: asks.clone().into() });
        Source::Tree(slot)
    }

    /// Refuses a string that the host side hands to the kernel; those in steps are checked when they are written.
    pub(crate) fn no_nul(&mut self, text: &[u8], asks: &Pointer) {
        if text.contains(&0) {
            self.nul(Some(asks.clone()));
        }
    }

    fn nul(&mut self, pointer: Option<Pointer>) {
        let message = "contains a NUL character, where the kernel would see the end of the string";
        self.find(Severity::Error, Code::NulByte, pointer, message.into());
    }

    /// What was found where there is no program to make: warnings, or what is wrong.
    pub(crate) fn found(self) -> Result<Vec<Diagnostic>, Diagnostics> {
        Diagnostics::of(self.found)
    }

    /// The result.
    pub(crate) fn finish(mut self) -> Result<Compiled, Diagnostics> {
        match std::mem::take(&mut self.program).finish() {
            Ok(program) => {
                let warnings = Diagnostics::of(self.found)?;
                Ok(Compiled { program, launch: self.launch, warnings })
            }
            Err(origins) => {
                for origin in origins {
                    let pointer = origin.pointer().cloned();
                    if !self.found.iter().any(|known| known.is_nul_within(pointer.as_ref())) {
                        self.nul(pointer);
                    }
                }
                Err(Diagnostics::all_of(self.found))
            }
        }
    }
}

/// A path as the kernel takes it.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A path of the config: absolute, or relative to the bundle.
pub(crate) fn on_host(bundle: &Path, path: &str) -> PathBuf {
    bundle.join(OsStr::new(path))
}
