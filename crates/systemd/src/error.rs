//! What can go wrong while asking systemd.

use std::time::Duration;

/// The result of asking systemd.
pub type Result<T> = std::result::Result<T, Error>;

/// Why systemd did not do what it was asked. Every text names what that was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens where systemd should.
    #[error("cannot reach {who}: {tried}")]
    Unreachable {
        /// Which manager, in words.
        who: &'static str,
        /// Each place and what came of it.
        tried: String,
    },
    /// There was no answer before the deadline.
    #[error("unable to {asked}: no answer from systemd within {} s", waited.as_secs_f64())]
    Silent {
        /// What was asked.
        asked: String,
        /// How long it was waited.
        waited: Duration,
    },
    /// The answer was an error.
    #[error("unable to {asked}: {text} ({name})")]
    Refused {
        /// What was asked.
        asked: String,
        /// The name of the error, such as `org.freedesktop.systemd1.UnitExists`.
        name: String,
        /// Its text.
        text: String,
    },
    /// systemd began, and did not succeed.
    #[error("unable to {asked}: the job ended with `{result}`")]
    Job {
        /// What was asked.
        asked: String,
        /// What systemd says of its job: `failed`, `timeout`, `canceled`, `dependency`, `skipped`.
        result: String,
    },
    /// What came is no proper answer.
    #[error("unable to {asked}: what came from systemd cannot be understood: {why}")]
    Garbled {
        /// What was asked.
        asked: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The connection broke.
    #[error("unable to {asked}: the connection to systemd broke: {source}")]
    Lost {
        /// What was asked.
        asked: String,
        /// How.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether systemd refused since there is (`UnitExists`), or is not (`NoSuchUnit`), such a unit: the last part of the
    /// error's name.
    pub fn is_refusal(&self, last: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name.rsplit('.').next() == Some(last))
    }

    /// Whether nothing is known of systemd: it cannot be reached, says nothing, or went away.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. } | Self::Lost { .. })
    }
}
