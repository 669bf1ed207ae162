//! What happens when the container has ended: the policies and pauses of Docker.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The first pause before it is run again; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// A container that has run for so long is no failing one: pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// When a container that has ended is run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// If its exit status is not 0, this many times at most, if there is a number.
    OnFailure(Option<u32>),
    /// Whenever it ends, unless `stop` has ended it.
    Always,
    /// The same: there is no daemon here whose own restart would make a difference.
    UnlessStopped,
}

impl FromStr for RestartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "no" => Ok(Self::No),
            "on-failure" => Ok(Self::OnFailure(None)),
            "always" => Ok(Self::Always),
            "unless-stopped" => Ok(Self::UnlessStopped),
            _ => match text.strip_prefix("on-failure:").map(str::parse::<u32>) {
                // As with Docker, none at most is no limit.
                Some(Ok(0)) => Ok(Self::OnFailure(None)),
                Some(Ok(most)) => Ok(Self::OnFailure(Some(most))),
                _ => Err(format!("{text:?} is none of no, on-failure[:N], always, unless-stopped")),
            },
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

impl RestartPolicy {
    /// Whether a container that has ended with this status, and was run again so many times before, is run again.
    pub(super) const fn again(self, status: i32, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::OnFailure(None) => status != 0,
            Self::OnFailure(Some(most)) => status != 0 && restarts < most,
            Self::Always | Self::UnlessStopped => true,
        }
    }
}

/// How long to wait before the next run.
#[derive(Debug, Default)]
pub(super) struct Pause(Option<Duration>);

impl Pause {
    /// After a run of this length.
    pub(super) fn after(&mut self, run: Duration) -> Duration {
        let last = self.0.filter(|_| run < GOOD);
        let next = last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.0 = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_as_docker_writes_them() {
        for text in ["no", "on-failure", "on-failure:3", "always", "unless-stopped"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("on-failure:0".parse(), Ok(RestartPolicy::OnFailure(None)));
        for wrong in ["", "yes", "on-failure:", "on-failure:-1", "always:3", "Always"] {
            assert!(wrong.parse::<RestartPolicy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_is_run_again() {
        let policy = |text: &str| text.parse::<RestartPolicy>().unwrap();
        assert!(!policy("no").again(1, 0));
        assert!(policy("on-failure").again(1, 1000) && !policy("on-failure").again(0, 0));
        assert!(policy("on-failure:2").again(1, 1) && !policy("on-failure:2").again(1, 2));
        assert!(policy("always").again(0, 9) && policy("unless-stopped").again(0, 9));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew() {
        let mut pause = Pause::default();
        let short = Duration::from_secs(1);
        let all: Vec<u128> = (0..12).map(|_| pause.after(short).as_millis()).collect();
        assert_eq!(all, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        assert_eq!(pause.after(GOOD), FIRST);
        assert_eq!(pause.after(short), FIRST * 2);
    }
}
