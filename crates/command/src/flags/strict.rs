//! `--strict`: containers that `orlop audit` finds too much about are refused.

use std::path::Path;

use clap::{Arg, ArgMatches};
use orlop_runtime::{CreateOptions, Error, Result};
use serde::Deserialize;

use crate::companion;

/// The levels, the worst first.
const LEVELS: [&str; 5] = ["critical", "high", "medium", "low", "info"];

/// Its options.
pub fn all() -> [Arg; 2] {
    let strict = super::option(
        "strict",
        "LEVEL",
        "Refuse what `orlop audit` finds of this level or worse: critical, high, medium, low, info [default: high]",
    );
    let accept = super::option(
        "accept",
        "RULE,…",
        "Findings of `orlop audit` that --strict does not refuse, by their names",
    );
    [
        strict
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("high")
            .value_parser(LEVELS)
            .hide_possible_values(true),
        accept.value_delimiter(',').action(clap::ArgAction::Append).requires("strict"),
    ]
}

/// What the companion says: what is not needed here is left out.
#[derive(Deserialize)]
struct Audit {
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    level: String,
    id: String,
    what: String,
    pointer: Option<String>,
}

/// Asks the companion, if `--strict` was given.
///
/// # Errors
///
/// [`Error::Strict`]: it finds something of that level, which is not accepted. Or it could not be asked.
pub fn check(arguments: &ArgMatches, create: &CreateOptions) -> Result<()> {
    let given = arguments.try_get_one::<String>("strict").ok().flatten();
    let Some(level) = given.and_then(|level| rank(level)) else { return Ok(()) };
    let accepted = arguments.try_get_many::<String>("accept").ok().flatten().into_iter().flatten();
    let said = companion::audit(&create.bundle, create.config.as_deref(), accepted)?;
    let audit: Audit = serde_json::from_slice(&said).map_err(|e| Error::Strict {
        what: format!("what {} says is not understood: {e}", companion::NAME),
    })?;
    let refused = refused(&audit, level);
    if refused.is_empty() { Ok(()) } else { Err(Error::Strict { what: refused.join("; ") }) }
}

/// How far from the worst a level is.
fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

fn refused(audit: &Audit, level: usize) -> Vec<String> {
    // A level that is not known is as bad as can be.
    let counts = |finding: &&Finding| rank(&finding.level).unwrap_or(0) <= level;
    let place =
        |finding: &Finding| finding.pointer.as_ref().map_or_else(String::new, |at| format!(" ({at})"));
    let words =
        |finding: &Finding| format!("[{}] {}: {}{}", finding.level, finding.id, finding.what, place(finding));
    audit.findings.iter().filter(counts).map(words).collect()
}

/// A bundle's path as the companion takes it for one, and not for a container's name.
pub(crate) fn as_path(bundle: &Path) -> std::path::PathBuf {
    Path::new(".").join(bundle)
}

#[cfg(test)]
mod tests {
    use super::{Audit, rank, refused};

    #[test]
    fn what_is_worse_is_refused() {
        let text = r#"{"score": 3, "findings": [
            {"level": "critical", "id": "a", "what": "x", "why": "", "fix": "", "pointer": "/mounts/3"},
            {"level": "high", "id": "b-CAP_X", "what": "y", "why": "", "fix": ""},
            {"level": "low", "id": "c", "what": "z", "why": "", "fix": ""},
            {"level": "of tomorrow", "id": "d", "what": "?", "why": "", "fix": ""}]}"#;
        let audit: Audit = serde_json::from_str(text).unwrap();
        let refused = |level: &str| refused(&audit, rank(level).unwrap());
        let critical = ["[critical] a: x (/mounts/3)", "[of tomorrow] d: ?"];
        assert_eq!(refused("critical"), critical);
        assert_eq!(refused("high"), [critical[0], "[high] b-CAP_X: y", critical[1]]);
    }
}
