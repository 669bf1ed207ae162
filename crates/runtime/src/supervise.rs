//! Supervised containers: what a daemon would do for one container, done by one small process for each.
//!
//! ```text
//!  orlop run -d --supervise ──▶ orlop supervise ID ──▶ the container's process (its child)
//!       ▲          "it runs" ──────┘  │ one epoll loop: output, the end, signals, moments
//!       │                             ▼
//!  orlop state, wait, logs ◀── life.json, ID-json.log        orlop stop ──▶ `stop`, SIGUSR1
//! ```
//!
//! The supervisor is started by `run` and `start`, and ends when the container has ended for good. What it knows is in the
//! state directory, each file with one writer:
//!
//! | file | writer | what |
//! |---|---|---|
//! | `supervise.json` | `run` | what was asked for: [`Settings`] |
//! | `life.json` | the supervisor | what has happened: [`Life`] |
//! | `ID-json.log`, `.1`, … | the supervisor | what the container wrote, as Docker's `json-file` has it |
//! | `stop` | `stop` | that it is to be stopped, and within what time |
//!
//! | file of the code | what |
//! |---|---|
//! | `supervise/settings.rs`, `supervise/policy.rs` | what can be asked for |
//! | `supervise/begin.rs` | starting a supervisor |
//! | `supervise/supervisor.rs`, `supervise/run.rs` | being one; one run of the container |
//! | `supervise/output.rs`, `supervise/logfile.rs` | from what the container writes to the log |
//! | `supervise/health.rs`, `supervise/checking.rs` | checks of its health |
//! | `supervise/life.rs` | what is recorded |
//! | `supervise/wait.rs`, `supervise/stop.rs`, `supervise/logs.rs` | the commands |

mod begin;
mod checking;
mod health;
mod life;
mod logfile;
mod logs;
mod output;
mod policy;
mod run;
mod settings;
mod stop;
mod supervisor;
mod wait;

pub use health::{Checked, Condition, Health, HealthCheck};
pub use life::{Life, Phase, Supervised};
pub use logs::{LogOptions, Stream, Written};
pub use policy::RestartPolicy;
pub use settings::{Logging, Settings, Supervision};
pub use stop::STOP_TIMEOUT;
