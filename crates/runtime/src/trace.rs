//! Traces: when each step of a launch began and ended, on the host's side and in init. Init writes into memory that it shares
//! with us, by a counter of the processor's, so that what is measured is hardly disturbed.
//!
//! What is written is the *Trace Event Format* of Chrome's tracing, which Perfetto and `orlop`'s own page read as well.

use std::cell::{OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use orlop_compile::{Compiled, in_words};
use orlop_program::Steps;
use orlop_sys::{memory, ticks};
use serde::Serialize;

use crate::error::{Doing, Error, Result};

/// Where time goes, while it goes.
#[derive(Debug)]
pub(crate) struct Trace {
    file: PathBuf,
    begun: (u64, Instant),
    /// What the host's side has begun, and when.
    phases: RefCell<Vec<(&'static str, u64)>>,
    /// When init began its steps.
    steps: OnceCell<&'static [AtomicU64]>,
}

/// One thing that took time.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    cat: &'static str,
    /// A complete event: one with a begin and a duration.
    ph: &'static str,
    /// Begin and duration, in microseconds.
    ts: f64,
    dur: f64,
    pid: u32,
    /// The host's side is 1, init is 2.
    tid: u32,
    args: Arguments,
}

#[derive(Debug, Default, Serialize)]
struct Arguments {
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    origin: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'static str,
    /// `ok`, or what went wrong.
    result: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    trace_events: Vec<Event>,
    display_time_unit: &'static str,
}

impl Trace {
    /// Begins a trace that will be written to a file, with the host side's first phase.
    pub(crate) fn begin(file: &Path, phase: &'static str) -> Self {
        let begun = (ticks::now(), Instant::now());
        let phases = RefCell::new(vec![(phase, begun.0)]);
        Self { file: file.to_owned(), begun, phases, steps: OnceCell::new() }
    }

    /// The host's side begins something else.
    pub(crate) fn phase(&self, name: &'static str) {
        self.phases.borrow_mut().push((name, ticks::now()));
    }

    /// Memory for init to write in, for so many steps. There is none for a second attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn memory(&self, steps: usize) -> Result<Option<OwnedFd>> {
        if self.steps.get().is_some() {
            return Ok(None);
        }
        let (memory, words) =
            memory::share(c"orlop-trace", steps).doing(|| "make memory for a trace".to_owned())?;
        self.steps.get_or_init(|| words);
        Ok(Some(memory.into()))
    }

    /// Writes what took how long, until now.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: the file cannot be written.
    pub(crate) fn write(&self, compiled: Option<&Compiled>, failure: Option<&Error>) -> Result<()> {
        let (end, elapsed) = (ticks::now(), self.begun.1.elapsed());
        let ticks = short(end.saturating_sub(self.begun.0).max(1));
        let scale = Scale { begin: self.begun.0, microseconds: elapsed.as_secs_f64() * 1e6 / ticks };
        let mut trace_events = self.host_side(&scale, end, failure);
        trace_events
            .extend(compiled.into_iter().flat_map(|compiled| self.init(&scale, end, compiled, failure)));
        let document = Document { trace_events, display_time_unit: "ms" };
        let text = serde_json::to_vec_pretty(&document)
            .map_err(|e| Error::State { path: self.file.clone(), why: e.to_string() })?;
        std::fs::write(&self.file, text).doing(|| format!("write the trace {}", self.file.display()))
    }

    fn host_side(&self, scale: &Scale, end: u64, failure: Option<&Error>) -> Vec<Event> {
        let phases = self.phases.borrow();
        let ends = phases.iter().skip(1).map(|(_, begin)| *begin).chain([end]);
        let mut events: Vec<Event> = phases
            .iter()
            .zip(ends)
            .map(|((name, begin), end)| scale.event((*name).to_owned(), (*begin, end), 1, Arguments::ok()))
            .collect();
        if let (Some(last), Some(failure)) = (events.last_mut(), failure) {
            last.args.result = failure.to_string();
        }
        events
    }

    /// What init did, as far as it came.
    fn init(&self, scale: &Scale, end: u64, compiled: &Compiled, failure: Option<&Error>) -> Vec<Event> {
        let words = self.steps.get().copied().unwrap_or_default();
        let begun: Vec<u64> =
            words.iter().map(|word| word.load(Ordering::Relaxed)).take_while(|n| *n > 0).collect();
        let ends = begun.iter().skip(1).copied().chain([end]);
        let steps: Steps<'_> = compiled.program.steps();
        let parts = steps.filter_map(std::result::Result::ok).zip(compiled.program.infos());
        let mut events: Vec<Event> = parts
            .zip(begun.iter().zip(ends))
            .enumerate()
            .map(|(index, ((step, info), (begin, end)))| {
                let arguments = Arguments {
                    step: Some(index),
                    origin: info.origin.to_string(),
                    why: info.why,
                    ..Arguments::ok()
                };
                scale.event(in_words(&step), (*begin, end), 2, arguments)
            })
            .collect();
        if let (Some(last), Some(failure)) = (events.last_mut(), failure) {
            last.args.result = failure.to_string();
        }
        events
    }
}

impl Arguments {
    fn ok() -> Self {
        Self { result: "ok".to_owned(), ..Self::default() }
    }
}

/// A number of ticks. Nothing that is traced takes days.
#[allow(clippy::cast_precision_loss)]
const fn short(ticks: u64) -> f64 {
    ticks as f64
}

/// From the counter to microseconds.
struct Scale {
    begin: u64,
    microseconds: f64,
}

impl Scale {
    fn event(&self, name: String, (begin, end): (u64, u64), tid: u32, args: Arguments) -> Event {
        let at = |ticks: u64| {
            let nanoseconds = short(ticks.saturating_sub(self.begin)) * self.microseconds * 1000.0;
            nanoseconds.round() / 1000.0
        };
        let (ts, cat) = (at(begin), if tid == 1 { "host" } else { "init" });
        Event { name, cat, ph: "X", ts, dur: at(end) - ts, pid: 1, tid, args }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_one_another_and_a_failure_is_that_of_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace.json");
        let trace = Trace::begin(&file, "one");
        trace.phase("other");
        trace.write(None, Some(&Error::usage("went wrong"))).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let events = text["traceEvents"].as_array().unwrap();
        assert_eq!((&events[0]["name"], &events[1]["name"]), (&"one".into(), &"other".into()));
        let end = events[0]["ts"].as_f64().unwrap() + events[0]["dur"].as_f64().unwrap();
        assert!((end - events[1]["ts"].as_f64().unwrap()).abs() < 0.01);
        assert_eq!(
            (&events[0]["args"]["result"], &events[1]["args"]["result"]),
            (&"ok".into(), &"went wrong".into())
        );
    }
}
