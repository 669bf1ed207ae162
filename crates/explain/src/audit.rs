//! What a container could reach: rules over facts, which come from a config or from the kernel.
//!
//! | file | what is in it |
//! |---|---|
//! | [`facts`] | what rules know of a container |
//! | `from_config.rs`, `from_kernel.rs` | the facts of a bundle, and of a running process |
//! | [`rules`] | the table: one entry, one rule |
//! | `capabilities.rs`, `calls.rs` | what each capability allows, and which system calls are dangerous |
//! | `text.rs`, `sarif.rs` | findings for people, and for other programs |

mod calls;
mod capabilities;
pub mod facts;
mod from_config;
mod from_kernel;
pub mod rules;
mod sarif;
mod text;

use orlop_runtime::Planned;
use serde::Serialize;

use crate::explain::Place;
use crate::inspect::Report;
use facts::Facts;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// A layer of defence is missing.
    Low,
    /// It helps an attacker who has found something else.
    Medium,
    /// With it an attacker can change or learn things outside the container.
    High,
    /// With it a process of the container can become root of the host.
    Critical,
}

impl Level {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// What a finding takes from the score.
    pub const fn cost(self) -> u32 {
        match self {
            Self::Info => 0,
            Self::Low => 1,
            Self::Medium => 5,
            Self::High => 15,
            Self::Critical => 40,
        }
    }

    /// One less bad, as rights are that hold in the container's own user namespace only.
    const fn lower(self) -> Self {
        match self {
            Self::Critical => Self::Medium,
            Self::High => Self::Low,
            Self::Medium | Self::Low | Self::Info => Self::Info,
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The rule, by a name that stays the same: for rules about single capabilities and calls, with theirs.
    pub id: String,
    /// What was found.
    pub what: String,
    /// What that allows.
    pub why: String,
    /// The change of the config that would take it away.
    pub fix: String,
    /// The place in the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The same as line and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// All that was found about a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The config, the container, or the process.
    pub subject: String,
    /// 100 less what each finding costs, at least 0: 40 a critical one, 15 a high one, 5 a medium one, 1 a low one.
    pub score: u32,
    /// What was assumed about the machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Of a bundle.
    pub fn of_bundle(planned: &Planned, assumed: Vec<String>) -> Self {
        let facts = from_config::facts(planned);
        let mut audit = Self::of(&facts, planned.file.display().to_string());
        audit.assumed = assumed;
        for finding in &mut audit.findings {
            let found =
                finding.pointer.as_ref().and_then(|at| orlop_spec::locate_nearest(&planned.config.text, at));
            finding.place = found.map(|found| Place { line: found.line, column: found.column });
        }
        audit
    }

    /// Of a running process; `made_from` is what is known of how it was made, for what the kernel does not tell.
    pub fn of_process(report: &Report, made_from: Option<&Planned>) -> Self {
        let mut facts = from_kernel::facts(report);
        let assumed = made_from.map(|planned| from_config::complete(planned, &mut facts));
        let subject = report
            .id
            .as_ref()
            .map_or_else(|| format!("process {}", report.pid), |id| format!("container {id}"));
        Self { assumed: assumed.into_iter().collect(), ..Self::of(&facts, subject) }
    }

    /// By facts.
    fn of(facts: &Facts, subject: String) -> Self {
        let hits = rules::RULES.iter().flat_map(|rule| {
            (rule.find)(facts).into_iter().map(|hit| Finding {
                level: hit.level.unwrap_or(rule.level),
                id: hit.part.map_or_else(|| rule.id.to_owned(), |part| format!("{}-{part}", rule.id)),
                what: hit.what,
                why: hit.why.unwrap_or(rule.why).to_owned(),
                fix: hit.fix.unwrap_or_else(|| rule.fix.to_owned()),
                pointer: hit.pointer,
                place: None,
            })
        });
        let mut findings: Vec<Finding> = hits.collect();
        // Stable: rules of one level stay in the table's order.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let unknown = facts.unknown.clone();
        Self { subject, score: score(&findings), assumed: Vec::new(), unknown, findings }
    }

    /// Leaves out what is wanted: findings with these names, and all of rules with these names.
    #[must_use]
    pub fn without(mut self, accepted: &[String]) -> Self {
        self.findings.retain(|finding| !accepted.iter().any(|name| rules::means(name, &finding.id)));
        self.score = score(&self.findings);
        self
    }

    /// Whether there is a finding of this level, or a worse one.
    pub fn reaches(&self, level: Level) -> bool {
        self.findings.iter().any(|finding| finding.level >= level)
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// 100 less what each finding costs.
fn score(findings: &[Finding]) -> u32 {
    let cost: u32 = findings.iter().map(|finding| finding.level.cost()).sum();
    100_u32.saturating_sub(cost)
}
