//! Whether this host can run containers, and what would help where it cannot.
//!
//! Probes ask the kernel by doing the thing where that leaves nothing behind: detached mounts and processes that go with
//! this value. Nothing is loaded, written or configured.
//!
//! | file | what is in it |
//! |---|---|
//! | `kernel.rs` | features, by probing |
//! | `cgroups.rs` | hierarchies, controllers, delegation |
//! | `users.rs` | user namespaces, subordinate ids |
//! | `programs.rs` | security modules, tools, engines and whether they know of orlop |
//! | `leftovers.rs` | what containers have left behind, of orlop's and of others; it has the list of kinds |

mod cgroups;
mod kernel;
mod leftovers;
mod programs;
mod users;

use std::fmt::Write as _;

use orlop_runtime::leftovers::Leftover;
use serde::Serialize;

use crate::page::{Page, Style};

/// So many checks of one name are shown to people.
const MOST: usize = 20;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be, or of no matter.
    Ok,
    /// Something that some containers need is missing.
    Warn,
    /// No container can run.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it has to do with.
    pub group: &'static str,
    /// What was looked at, by a name that stays the same.
    pub name: &'static str,
    /// How it is.
    pub outcome: Outcome,
    /// What was found.
    pub what: String,
    /// What would help, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn ok(group: &'static str, name: &'static str, what: impl Into<String>) -> Self {
        Self { group, name, outcome: Outcome::Ok, what: what.into(), remedy: None }
    }

    fn warn(
        group: &'static str,
        name: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { outcome: Outcome::Warn, remedy: Some(remedy.into()), ..Self::ok(group, name, what) }
    }

    fn fail(
        group: &'static str,
        name: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { outcome: Outcome::Fail, remedy: Some(remedy.into()), ..Self::ok(group, name, what) }
    }

    /// As text, with the remedy below.
    fn write(&self, page: &Page, out: &mut String) {
        let (word, style) = match self.outcome {
            Outcome::Ok => ("ok  ", Style::Good),
            Outcome::Warn => ("warn", Style::Warning),
            Outcome::Fail => ("FAIL", Style::Bad),
        };
        let text = page.wrap(&format!("  {word}  "), None, &format!("{}: {}", self.name, self.what));
        out.push_str(&text.replacen(word, &page.paint(style, word), 1));
        if let Some(remedy) = &self.remedy {
            out.push_str(&page.wrap("        try: ", Some(Style::Code), remedy));
        }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Containers can run.
    pub fit: bool,
    /// Each check.
    pub checks: Vec<Check>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
struct Caller {
    uid: u32,
    /// It has `CAP_SYS_ADMIN` over the host.
    privileged: bool,
}

impl Diagnosis {
    /// Looks at everything. `found` is what `orlop gc` would remove, or why that is not known.
    pub fn of_this_host(found: Result<Vec<Leftover>, String>) -> Self {
        let effective = orlop_sys::cred::capget().map_or(0, |sets| sets.effective);
        let own_map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let initial = own_map.split_whitespace().eq(["0", "0", "4294967295"]);
        let caller =
            Caller { uid: nix::unistd::geteuid().as_raw(), privileged: initial && effective >> 21 & 1 == 1 };
        let mut checks = kernel::checks(caller);
        checks.extend(cgroups::checks(caller));
        checks.extend(users::checks(caller));
        checks.extend(programs::checks());
        checks.extend(leftovers::checks(found));
        Self { fit: checks.iter().all(|check| check.outcome != Outcome::Fail), checks }
    }

    /// As text: one line a check, with the remedy below.
    pub fn text(&self, page: &Page) -> String {
        let mut out = String::new();
        let mut group = "";
        for same in self.checks.chunk_by(|one, next| (one.group, one.name) == (next.group, next.name)) {
            if group != same[0].group {
                let gap = if group.is_empty() { "" } else { "\n" };
                group = same[0].group;
                // Writing to a string cannot fail.
                _ = writeln!(out, "{gap}{}", page.paint(Style::Title, group));
            }
            for check in same.iter().take(MOST) {
                check.write(page, &mut out);
            }
            if same.len() > MOST {
                _ = writeln!(out, "        and {} more, which --format json shows", same.len() - MOST);
            }
        }
        let count = |outcome| self.checks.iter().filter(|check| check.outcome == outcome).count();
        let (warnings, failures) = (count(Outcome::Warn), count(Outcome::Fail));
        let verdict = if self.fit {
            page.paint(Style::Good, "Containers can run here")
        } else {
            page.paint(Style::Bad, "No container can run here")
        };
        _ = writeln!(
            out,
            "\n{verdict} ({} checks, {warnings} warnings, {failures} failures).",
            self.checks.len()
        );
        out
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// The text of a file without its last line's end, if it can be read.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PLAIN;

    #[test]
    fn a_failure_is_what_makes_a_host_unfit() {
        let checks = vec![Check::ok("A", "one", "here"), Check::fail("A", "two", "gone", "bring it back")];
        let text = Diagnosis { fit: false, checks }.text(&PLAIN);
        assert_eq!(
            text,
            "A\n  ok    one: here\n  FAIL  two: gone\n        try: bring it back\n\nNo container can run here (2 checks, 0 warnings, 1 failures).\n"
        );
    }

    #[test]
    fn people_are_not_shown_hundreds_of_one_kind() {
        let checks = (0..MOST + 5).map(|n| Check::warn("A", "one", n.to_string(), "rm")).collect();
        let diagnosis = Diagnosis { fit: true, checks };
        let text = diagnosis.text(&PLAIN);
        assert!(text.contains("one: 19\n") && !text.contains("one: 20\n"), "{text}");
        assert!(
            text.contains("and 5 more, which --format json shows\n") && text.contains("25 warnings"),
            "{text}"
        );
        assert!(diagnosis.json().contains("\"24\""));
    }

    #[test]
    fn this_host_is_looked_at_and_every_complaint_has_a_remedy() {
        let diagnosis = Diagnosis::of_this_host(Ok(Vec::new()));
        assert!(diagnosis.checks.len() > 20, "{diagnosis:#?}");
        for check in &diagnosis.checks {
            assert_eq!(check.outcome != Outcome::Ok, check.remedy.is_some(), "{check:?}");
        }
        let mut names: Vec<_> =
            diagnosis.checks.iter().map(|check| (check.group, check.name, &check.what)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), diagnosis.checks.len());
    }
}
