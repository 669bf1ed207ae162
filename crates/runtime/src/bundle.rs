//! Bundles: a directory with a `config.json` and usually a root file system (`bundle.md`).

use std::path::{Path, PathBuf};

use orlop_compile::Diagnostics;
use orlop_spec::{Document, ParseError, ParseErrors, Spec};
use orlop_sys::realpath::realpath;

use crate::error::{Doing, Error, Excerpt, Problem, Result};
use crate::options::CreateOptions;

/// A bundle whose config was read and understood.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The directory, absolute, without symbolic links.
    pub(crate) path: PathBuf,
    /// The file that the config was read from.
    pub(crate) file: PathBuf,
    /// The config.
    pub(crate) config: Document,
}

impl Bundle {
    /// Reads a bundle, whose config's `text` may be at hand. If not, `ahead` sees it before anybody has understood it.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: no such directory or file. [`Error::Config`]: every problem of the config's form, together with
    /// what `compile` finds in the rest of it.
    pub(crate) fn load(
        options: &CreateOptions,
        text: Option<Vec<u8>>,
        ahead: impl FnOnce(&[u8]),
        compile: impl FnOnce(&Spec, &Path) -> Option<Diagnostics>,
    ) -> Result<Self> {
        let given = if options.bundle.as_os_str().is_empty() { Path::new(".") } else { &options.bundle };
        let path = realpath(given).doing(|| format!("find the bundle {}", given.display()))?;
        let file = options.config.clone().unwrap_or_else(|| path.join("config.json"));
        let text = match text {
            Some(text) => text,
            None => read(&file).inspect(|text| ahead(text))?,
        };
        match Document::parse(text) {
            Ok(config) => Ok(Self { path, file, config }),
            Err(errors) => Err(malformed(&file, &errors, compile(&errors.document.spec, &path).as_ref())),
        }
    }

    /// The root file system's directory, absolute.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.config.spec.root.as_ref().map_or_else(PathBuf::new, |root| self.path.join(&root.path))
    }

    /// What the compiler found, with lines and columns.
    pub(crate) fn refused(&self, found: &Diagnostics) -> Error {
        refused(&self.file, &self.config.text, found)
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).doing(|| format!("read {}", file.display())).map_err(|e| {
        e.with_hint("a bundle is a directory with a config.json; `orlop spec` writes one to start from")
    })
}

/// The compiler's findings, as an error that names the places in a file.
pub(crate) fn refused(file: &Path, text: &str, found: &Diagnostics) -> Error {
    let problems = found.errors().map(|d| problem(text, d)).collect();
    Error::Config { path: file.to_owned(), problems }
}

fn problem(text: &str, found: &orlop_compile::Diagnostic) -> Problem {
    let pointer = found.pointer.as_ref().map(ToString::to_string).unwrap_or_default();
    let location = if pointer.is_empty() { None } else { orlop_spec::locate_nearest(text, &pointer) };
    Problem {
        position: location.map(|l| (l.line, l.column)),
        pointer,
        what: found.message.clone(),
        hint: found.hint.clone().unwrap_or_default(),
        code: found.code.to_string(),
        excerpt: location.map(|l| Excerpt::of(text, &l)),
    }
}

/// A document other than a config that cannot be understood.
pub(crate) fn unreadable<T>(file: &Path, errors: &ParseErrors<T>) -> Error {
    Error::Config { path: file.to_owned(), problems: problems(errors) }
}

fn problems<T>(errors: &ParseErrors<T>) -> Vec<Problem> {
    let problem = |e: &ParseError| Problem {
        excerpt: e.location.map(|l| Excerpt::of(&errors.document.text, &l)),
        pointer: e.pointer.clone(),
        position: e.location.map(|l| (l.line, l.column)),
        what: e.message.clone(),
        ..Problem::default()
    };
    errors.errors.iter().map(problem).collect()
}

/// What the parser found; and what the compiler found elsewhere.
fn malformed(file: &Path, errors: &ParseErrors, found: Option<&Diagnostics>) -> Error {
    let mut problems = problems(errors);
    let more = found.into_iter().flat_map(Diagnostics::errors);
    // A value that could not be read counts as absent; that this is wrong too is no news.
    let news = more.filter(|d| d.pointer.as_ref().is_some_and(|p| !errors.covers(&p.to_string())));
    let is_json = errors.errors.iter().any(|e| !e.pointer.is_empty());
    problems.extend(news.filter(|_| is_json).map(|d| problem(&errors.document.text, d)));
    Error::Config { path: file.to_owned(), problems }
}
