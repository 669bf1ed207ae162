//! Pages of `docs/` that are made by programs are what the programs say, and no link leads nowhere.
//!
//! `ORLOP_DOCS=write` makes the pages anew.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use orlop_tests::{Invocation, need, runtime};

fn docs() -> PathBuf {
    runtime::workspace().join("docs")
}

/// What a command prints.
fn says(program: &Path, words: &[&str]) -> String {
    let io = tempfile::tempdir().expect("a temporary directory");
    Invocation::new(program, io.path()).args(words).ok().stdout
}

/// The page has to have this text.
#[track_caller]
fn is_page(name: &str, text: &str) {
    let path = docs().join(name);
    if std::env::var_os("ORLOP_DOCS").is_some_and(|word| word == "write") {
        fs::write(&path, text).expect("the page can be written");
    }
    let page = fs::read_to_string(&path).expect("the page is there");
    let same = page.lines().zip(text.lines()).take_while(|(page, text)| page == text).count();
    assert!(
        page == text,
        "docs/{name}:{}: not what orlop says, which is {:?}; ORLOP_DOCS=write makes the page anew",
        same + 1,
        text.lines().nth(same)
    );
}

const COMMANDS: &str = "\
# Commands

What `--help` says of every command. This page is made of it by a test (`tests/tests/docs.rs`).

Options that stand before the command, such as `--root`, are those of `orlop` itself, the first on this page.
[Exit statuses](../exit-statuses.md) are the same for all.
";

#[test]
fn the_page_of_commands_is_what_help_says() {
    need!(runtime::is_orlop(), "the page is about orlop");
    need!(!need::in_vm(), "help is the same on the host");
    let mut page = COMMANDS.to_owned();
    let orlop = runtime::binary().canonicalize().expect("it is there");
    describe(&orlop, &[], &mut page);
    // `orlop run` is the one for bundles.
    let image = says(&orlop.with_file_name("orlop-tools"), &["run", "--help"]);
    section("orlop run IMAGE", &image, &mut page);
    is_page("reference/commands.md", &page);
}

/// A command and those below it.
fn describe(program: &Path, words: &[&str], page: &mut String) {
    let help = says(program, &[words, &["--help"]].concat());
    section(&[&["orlop"], words].concat().join(" "), &help, page);
    for command in commands(&help).filter(|name| *name != "help") {
        describe(program, &[words, &[command]].concat(), page);
    }
}

fn section(title: &str, help: &str, page: &mut String) {
    // What stands under NAME is the title once more.
    let help = help
        .strip_prefix("NAME:\n   ")
        .map_or(help, |rest| rest.split_once(" - ").map_or(rest, |(_, text)| text));
    page.extend(["\n## ", title, "\n\n```text\n", help.trim_end(), "\n```\n"]);
}

/// The names in the list of commands.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    list.lines().take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next())
}

const ERRORS: &str = "\
# Error codes

What `orlop help CODE` says of every code. This page is made of it by a test (`tests/tests/docs.rs`). Codes never change their
meaning. The first two digits tell where an error comes from: 10 to 16 is orlop at work, and less is a place in a config.
";

#[test]
fn the_page_of_error_codes_is_what_help_says() {
    need!(runtime::is_orlop(), "the page is about orlop");
    need!(!need::in_vm(), "help is the same on the host");
    let list = says(runtime::binary(), &["help", "ORL"]);
    let mut page = ERRORS.to_owned();
    for code in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let text = says(runtime::binary(), &["help", code]);
        let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
        page.extend(["\n## ", title, "\n\n", &unindent(rest), "\n"]);
    }
    is_page("reference/errors.md", &page);
}

/// Paragraphs, whose lines begin with spaces at a terminal.
fn unindent(text: &str) -> String {
    text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// All pages, relative to `docs/`.
fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Where the links of a page lead, with the line they are in; not those in blocks.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    let mut inside = false;
    for (n, line) in text.lines().enumerate() {
        inside ^= line.trim_start().starts_with("```");
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.filter(|_| !inside).map(|(target, _)| (n + 1, target.to_owned())));
    }
    found
}

/// The anchors of a page: those of its headings, as code hosts and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if !inside && heading.len() < line.len() && heading.starts_with(' ') {
            let words = heading.trim().to_lowercase().replace(' ', "-");
            found.insert(words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let mut all = vec![runtime::workspace().join("README.md"), runtime::workspace().join("CONTRIBUTING.md")];
    pages(&docs(), &mut all);
    let mut wrong = vec![];
    for page in all {
        let text = fs::read_to_string(&page).expect("a page");
        for (line, link) in links(&text).into_iter().filter(|(_, link)| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            let there = fs::read_to_string(&target);
            let is_there =
                there.as_ref().is_ok_and(|text| anchor.is_empty() || anchors(text).contains(anchor));
            if !(is_there || anchor.is_empty() && target.exists()) {
                wrong.push(format!("{}:{line}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_book() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).expect("the book has a summary");
    let listed: BTreeSet<String> = links(&summary).into_iter().map(|(_, link)| link).collect();
    let mut all = vec![];
    pages(&docs(), &mut all);
    let names =
        all.iter().map(|page| page.strip_prefix(docs()).expect("below it").to_string_lossy().into_owned());
    let there: BTreeSet<String> = names.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed, there);
}
