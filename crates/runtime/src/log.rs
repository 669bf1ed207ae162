//! Logs as engines read them: lines like those of runc, as text or JSON, into a file, to standard error, or to a service
//! of the host (`log/target.rs`).
//!
//! This is a small subscriber for `tracing`: events become lines, spans nothing. What is below the level costs one
//! comparison where it is written. Errors are returned, not logged, and `main` writes the last one here, once.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use orlop_compile::{Diagnostic, Severity};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::clock::rfc3339;
use crate::error::{Error, Problem, Result};

mod target;

pub use target::Destination;
use target::Target;

/// How lines look (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time="…" level=error msg="…"`
    #[default]
    Text,
    /// `{"level":"error","msg":"…","time":"…"}`
    Json,
}

/// Which lines are written (`--log-level`): these and graver ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only what made a command fail.
    Error,
    /// What has no effect, too.
    #[default]
    Warning,
    /// What is done.
    Debug,
}

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    target: Target,
    format: Format,
    level: Level,
}

impl Log {
    /// Opens the log: a file, which is made if need be and appended to, a service, or standard error.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: the file cannot be opened, or the service is not there.
    pub fn open(destination: Option<&Destination>, format: Format, verbosity: Verbosity) -> Result<Self> {
        let level = match verbosity {
            Verbosity::Error => Level::ERROR,
            Verbosity::Warning => Level::WARN,
            Verbosity::Debug => Level::DEBUG,
        };
        Ok(Self { target: Target::open(destination)?, format, level })
    }

    /// A log that goes to an open file, which may be one that does not wait: what it does not take is lost.
    pub const fn to(file: File, format: Format, debug: bool) -> Self {
        let level = if debug { Level::DEBUG } else { Level::WARN };
        Self { target: Target::File(file), format, level }
    }

    /// Sends the events of this process here from now on. The first log that does so stays the one.
    pub fn install(&'static self) {
        tracing::subscriber::set_global_default(Sink(self)).ok();
    }

    /// Whether lines go to standard error.
    pub const fn is_stderr(&self) -> bool {
        matches!(self.target, Target::Stderr)
    }

    /// How lines look.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Writes the error that ends this process, with its code.
    pub fn error(&self, error: &Error) {
        let mut fields = vec![("code", Value::from(error.code()))];
        if !error.problems().is_empty() {
            fields.push(("problems", error.problems().iter().map(as_json).collect()));
        }
        self.write(Level::ERROR, &error.to_string(), &fields);
    }

    fn write(&self, level: Level, message: &str, fields: &[(&str, Value)]) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = line(self.format, &rfc3339(since.as_secs(), 0), word(level), message, fields);
        self.target.write(level, &line);
    }
}

/// The names of runc's levels.
const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// Logs a failure that is not the one that ends this process.
pub fn failure(error: &Error) {
    tracing::error!(code = error.code(), "{error}");
}

/// Logs what was found in a config that is good enough: warnings, and notes, which are for whoever is debugging.
pub(crate) fn findings(found: &[Diagnostic]) {
    for Diagnostic { severity, code, pointer, message, hint } in found {
        let place = pointer.as_ref().map(|pointer| format!("{pointer}: ")).unwrap_or_default();
        let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        if *severity == Severity::Note {
            tracing::debug!(%code, "{place}{message}{hint}");
        } else {
            tracing::warn!(%code, "{place}{message}{hint}");
        }
    }
}

/// A problem of a config, for programs.
fn as_json(problem: &Problem) -> Value {
    let (line, column) = problem.position.unzip();
    serde_json::json!({
        "code": problem.code, "pointer": problem.pointer, "line": line, "column": column, "msg": problem.what,
    })
}

fn line(format: Format, time: &str, level: &str, message: &str, fields: &[(&str, Value)]) -> String {
    let mut line = String::new();
    // Writing to a string does not fail.
    let mut put = |arguments: fmt::Arguments<'_>| line.write_fmt(arguments).unwrap_or_default();
    match format {
        Format::Text => {
            put(format_args!("time={time:?} level={level} msg={}", Value::from(message)));
            for (name, value) in fields {
                put(format_args!(" {name}={value}"));
            }
        }
        Format::Json => {
            put(format_args!("{{\"level\":\"{level}\",\"msg\":{}", Value::from(message)));
            put(format_args!(",\"time\":{time:?}"));
            for (name, value) in fields {
                put(format_args!(",\"{name}\":{value}"));
            }
            put(format_args!("}}"));
        }
    }
    line.push('\n');
    line
}

struct Sink(&'static Log);

impl Subscriber for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.0.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.0.level))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.write(*event.metadata().level(), &fields.message, &fields.others);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.others.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_compile::Code;
    use orlop_spec::Pointer;

    #[test]
    fn lines_are_as_runc_writes_them() {
        let fields = [("pid", Value::from(7))];
        assert_eq!(
            line(Format::Text, "2026-01-01T00:00:00Z", "error", "a \"b\"\nc", &fields),
            "time=\"2026-01-01T00:00:00Z\" level=error msg=\"a \\\"b\\\"\\nc\" pid=7\n"
        );
        assert_eq!(
            line(Format::Json, "2026-01-01T00:00:00Z", "error", "a \"b\"\nc", &fields),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"2026-01-01T00:00:00Z\",\"pid\":7}\n"
        );
    }

    #[test]
    fn errors_carry_their_code_and_events_their_fields() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("log");
        let file = Destination::File(path.clone());
        let open = || Log::open(Some(&file), Format::Json, Verbosity::default()).unwrap();
        let log: &'static Log = Box::leak(Box::new(open()));
        let web = "web";
        tracing::subscriber::with_default(Sink(log), || {
            tracing::debug!("not written");
            tracing::warn!(index = 3, id = web, how = ?web, "careful {}", 1);
            findings(&[Diagnostic {
                severity: Severity::Warning,
                code: Code::MountType,
                pointer: Some(Pointer::new("/mounts/{}/type").at(3)),
                message: "odd".into(),
                hint: Some("leave it out".into()),
            }]);
        });
        let error = Error::NotExist { id: web.into() };
        open().error(&error);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["level"], "warning");
        assert_eq!(lines[0]["msg"], "careful 1");
        assert_eq!(
            (&lines[0]["index"], &lines[0]["id"], &lines[0]["how"]),
            (&3.into(), &web.into(), &"\"web\"".into())
        );
        assert_eq!((&lines[1]["level"], &lines[1]["code"]), (&"warning".into(), &"ORL-0302".into()));
        assert_eq!(lines[1]["msg"], "/mounts/3/type: odd (hint: leave it out)");
        assert_eq!((&lines[2]["level"], &lines[2]["code"]), (&"error".into(), &error.code().into()));
        assert_eq!(lines[2]["msg"], "container \"web\" does not exist");
    }
}
