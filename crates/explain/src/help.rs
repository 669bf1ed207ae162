//! The long form of every code of an error or a finding: `orlop help ORL-0304`.
//!
//! | file | codes |
//! |---|---|
//! | `config.rs` | ORL-0…: what the compiler finds in a config |
//! | `commands.rs` | ORL-1…: why a command failed |

mod commands;
mod config;

use orlop_compile::Code;

use crate::page::{Page, Style};

/// The long form of one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help {
    /// The four digits.
    pub number: u16,
    /// What it means, and why it is so.
    pub meaning: &'static str,
    /// What to try.
    pub advice: &'static str,
}

/// What a code says in a few words, and its long form. Letters may be small, and the prefix and zeros may be missing.
pub fn find(code: &str) -> Option<(&'static str, Help)> {
    let upper = code.to_ascii_uppercase();
    let digits = upper.strip_prefix("ORL-").unwrap_or(&upper);
    let number: u16 = digits.parse().ok().filter(|_| digits.len() <= 4)?;
    let titled = commands::HELP.iter().find(|(_, help)| help.number == number).copied();
    titled.or_else(|| {
        let code = Code::ALL.iter().find(|code| **code as u16 == number)?;
        Some((code.title(), *config::HELP.iter().find(|help| help.number == number)?))
    })
}

/// The long form as text; of `ORL` alone, what there is.
pub fn text(code: &str, page: &Page) -> Option<String> {
    if code.eq_ignore_ascii_case("ORL") {
        return Some(list());
    }
    let (title, help) = find(code)?;
    let mut out = page.wrap("", Some(Style::Strong), &format!("ORL-{:04}: {title}", help.number));
    out.push('\n');
    out.push_str(&page.wrap("  ", None, help.meaning));
    out.push('\n');
    out.push_str(&page.wrap("  Try: ", None, help.advice));
    Some(out)
}

/// All codes, one line each.
fn list() -> String {
    let mut rows: Vec<Vec<String>> =
        Code::ALL.iter().map(|code| vec![code.to_string(), code.title().to_owned()]).collect();
    rows.extend(
        commands::HELP
            .iter()
            .map(|(title, help)| vec![format!("ORL-{:04}", help.number), (*title).to_owned()]),
    );
    Page::columns(0, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PLAIN;

    #[test]
    fn every_code_of_the_compiler_has_a_long_form() {
        for code in Code::ALL {
            let (title, help) = find(&code.to_string()).unwrap_or_else(|| panic!("{code} has no long form"));
            assert_eq!(title, code.title());
            assert!(help.meaning.ends_with('.') && help.advice.ends_with('.'), "{code}: {help:?}");
        }
        assert_eq!(config::HELP.len(), Code::ALL.len(), "no code twice, and none that is not there");
    }

    #[test]
    fn every_code_of_an_error_has_a_long_form() {
        let sources =
            [include_str!("../../runtime/src/error.rs"), include_str!("../../runtime/src/criu/error.rs")]
                .concat();
        let codes: Vec<&str> =
            sources.match_indices("\"ORL-").filter_map(|(at, _)| sources.get(at + 1..at + 9)).collect();
        assert!(codes.len() > 20, "{codes:?}");
        let mut once = codes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), codes.len(), "a code has one meaning: {codes:?}");
        let page = include_str!("../../../docs/exit-statuses.md");
        assert!(
            once.iter().all(|code| page.contains(&format!("| {code} |"))),
            "docs/exit-statuses.md lacks one"
        );
        for code in codes {
            let (_, help) = find(code).unwrap_or_else(|| panic!("{code} has no long form"));
            assert!(help.meaning.ends_with('.') && help.advice.ends_with('.'), "{code}: {help:?}");
        }
    }

    #[test]
    fn codes_are_found_however_they_are_written() {
        let text = text("orl-0304", &PLAIN).unwrap();
        assert!(text.starts_with("ORL-0304: mount option\n\n  "), "{text}");
        assert_eq!(find("304"), find("ORL-0304"));
        for wrong in ["ORL-9999", "ORL-", "mount", "00304"] {
            assert_eq!(find(wrong), None, "{wrong}");
        }
        assert!(list().contains("ORL-1201  ") && list().contains("ORL-0001  "));
    }
}
