//! How far an import is: a bar on a terminal, nothing elsewhere. Warnings go to standard error in any case.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orlop_image::Progress;
use orlop_image::progress::Part;

use crate::images::size;

/// As often as eyes can follow.
const EVERY: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;

/// Shows how far an import is.
pub(crate) struct Bar {
    shown: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: u64,
    read: u64,
    layers: usize,
    done: usize,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar on standard error, if that is a terminal and nobody wants quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { shown: !quiet && std::io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if self.with(|state| state.drawn.take()).is_some() {
            write("\r\x1b[K");
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn draw(&self, state: &mut State) {
        if !self.shown || state.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return;
        }
        state.drawn = Some(Instant::now());
        let filled = (state.read * WIDTH).checked_div(state.total).unwrap_or(WIDTH).min(WIDTH) as usize;
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH as usize - filled));
        let State { read, total, done, layers, .. } = *state;
        write(&format!("\r[{bar}] {} of {}, {done} of {layers} layers\x1b[K", size(read), size(total)));
    }
}

impl Progress for Bar {
    fn begin(&self, parts: &[Part]) {
        let missing = || parts.iter().filter(|part| !part.present);
        self.with(|state| {
            state.total = missing().filter_map(|part| part.size).sum();
            state.layers = missing().count();
        });
    }

    fn advance(&self, _part: usize, bytes: u64) {
        self.with(|state| {
            state.read += bytes;
            self.draw(state);
        });
    }

    fn done(&self, _part: usize) {
        self.with(|state| state.done += 1);
    }

    fn warn(&self, text: &str) {
        self.clear();
        write(&format!("orlop: warning: {text}\n"));
    }
}

/// Where standard error is closed nobody wants to know.
fn write(text: &str) {
    std::io::stderr().lock().write_all(text.as_bytes()).ok();
}
