//! Findings for people.

use std::fmt::Write as _;

use super::{Audit, Finding, Level};
use crate::page::{Page, Style};

impl Audit {
    /// As text: the worst first.
    pub fn text(&self, page: &Page) -> String {
        let mut out = String::new();
        out.push_str(&page.wrap(
            "",
            Some(Style::Strong),
            &format!("{}: score {} of 100", self.subject, self.score),
        ));
        let counts: Vec<String> = Level::ALL
            .into_iter()
            .map(|level| (level, self.findings.iter().filter(|finding| finding.level == level).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(level, count)| format!("{count} {}", level.name()))
            .collect();
        let counts = if counts.is_empty() { "nothing was found".to_owned() } else { counts.join(", ") };
        out.push_str(&page.wrap("", None, &counts));
        for assumed in &self.assumed {
            out.push_str(&page.wrap("assumed: ", Some(Style::Warning), assumed));
        }
        for unknown in &self.unknown {
            out.push_str(&page.wrap("not known: ", Some(Style::Warning), unknown));
        }
        for finding in &self.findings {
            out.push_str(&one(finding, page));
        }
        out
    }
}

fn one(finding: &Finding, page: &Page) -> String {
    let style = match finding.level {
        Level::Critical | Level::High => Style::Bad,
        Level::Medium => Style::Warning,
        Level::Low | Level::Info => Style::Faint,
    };
    let mut out = String::from("\n");
    // Writing to a string cannot fail.
    _ = writeln!(
        out,
        "{}  {}",
        page.paint(style, &format!("{:<8}", finding.level.name())),
        page.paint(Style::Faint, &finding.id)
    );
    let indent = " ".repeat(10);
    out.push_str(&page.wrap(&indent, Some(Style::Strong), &finding.what));
    out.push_str(&page.wrap(&indent, None, &finding.why));
    out.push_str(&page.wrap(&format!("{indent}fix: "), Some(Style::Good), &finding.fix));
    if let Some(pointer) = &finding.pointer {
        let place = finding
            .place
            .map_or_else(String::new, |place| format!("config.json:{}:{} ", place.line, place.column));
        out.push_str(&page.wrap(&indent, Some(Style::Faint), &format!("{place}{pointer}")));
    }
    out
}
