//! Findings in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS), which code hosts and editors show.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::rules::RULES;
use super::{Audit, Finding, Level};

/// The words of the format.
const fn level(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Info => "note",
    }
}

/// A number from 0 to 10 by which some who read it sort.
const fn severity(level: Level) -> &'static str {
    match level {
        Level::Critical => "9.5",
        Level::High => "8.0",
        Level::Medium => "5.0",
        Level::Low => "2.0",
        Level::Info => "0.0",
    }
}

impl Audit {
    /// As SARIF.
    pub fn sarif(&self) -> String {
        let rules: Vec<Value> = RULES
            .iter()
            .map(|rule| {
                let why = if rule.why.is_empty() { rule.title } else { rule.why };
                json!({
                    "id": rule.id,
                    "shortDescription": {"text": rule.title},
                    "fullDescription": {"text": why},
                    "help": {"text": rule.fix},
                    "defaultConfiguration": {"level": level(rule.level)},
                    "properties": {"security-severity": severity(rule.level), "tags": ["security"]},
                })
            })
            .collect();
        let results: Vec<Value> = self.findings.iter().map(|finding| self.result(finding)).collect();
        let document = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {"name": "orlop audit", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
                "results": results,
                "properties": {"score": self.score},
            }],
        });
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }

    fn result(&self, finding: &Finding) -> Value {
        // Rules about single capabilities and calls have findings with longer names.
        let named = |id: &str| {
            finding.id == id || finding.id.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'))
        };
        let index = RULES.iter().position(|rule| rule.id == finding.id);
        let index = index.or_else(|| RULES.iter().position(|rule| named(rule.id)));
        let mut result = json!({
            "ruleId": index.map_or(finding.id.as_str(), |index| RULES[index].id),
            "level": level(finding.level),
            "message": {"text": format!("{}. {} Fix: {}.", finding.what, finding.why, finding.fix)},
            "properties": {"id": finding.id, "security-severity": severity(finding.level)},
            "partialFingerprints": {"orlopFinding/v1": format!("{}:{}", finding.id, finding.pointer.as_deref().unwrap_or_default())},
        });
        if let Some(index) = index {
            result["ruleIndex"] = json!(index);
        }
        let mut location = json!({"logicalLocations": [{
            "fullyQualifiedName": finding.pointer.as_deref().unwrap_or(&self.subject),
        }]});
        if let Some(place) = finding.place {
            location["physicalLocation"] = json!({
                "artifactLocation": {"uri": uri(&self.subject)},
                "region": {"startLine": place.line, "startColumn": place.column},
            });
        }
        result["locations"] = json!([location]);
        result
    }
}

/// A path as a URI.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(byte.into());
            }
            // Writing to a string cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}
