//! Manual pages, made from the table of commands: `orlop(1)`, one page for each command, `containerd-shim-orlop-v2(8)`.
//!
//! | file | what is in it |
//! |---|---|
//! | `roff.rs` | man(7): macros, and text that is none |
//! | `options.rs` | options, arguments and usage of a command |
//! | `words.rs` | what options do not say: a description and examples of each command |
//! | `orlop.man`, `shim.man` | what is in no table |

mod options;
mod roff;
mod words;

use std::fmt::Write as _;

use clap::Command;

use crate::table::{self, Described};
use roff::{Page, bold};

/// A page's file, and its text.
pub(crate) type File = (String, String);

/// All pages; `date` is that of the version, as 2026-01-31.
pub(crate) fn pages(date: &str) -> Vec<File> {
    let mut pages = vec![orlop(date), shim(date)];
    pages.extend(table::commands().map(|command| of_command(&command, date)));
    pages
}

fn orlop(date: &str) -> File {
    let mut page = Page::new("orlop", 1, date);
    page.section("NAME");
    page.text("orlop - a minimal OCI container runtime");
    page.section("SYNOPSIS");
    page.raw("\\fBorlop\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]");
    let (before, after) = include_str!("man/orlop.man").split_once("@TABLES@\n").unwrap_or_default();
    page.raw(before.trim_end());
    page.section("COMMANDS");
    for command in table::commands() {
        page.item(&bold(&format!("orlop-{}(1)", command.name)), &sentence(command.about));
    }
    page.section("OPTIONS");
    page.text("These stand before the command.");
    options::of(&mut page, &orlop_cli::ORLOP.globals_only());
    page.raw(after.trim_end());
    page.section("SEE ALSO");
    let others = table::commands().map(|command| format!("\\fBorlop\\-{}\\fR(1)", command.name));
    page.raw(&others.collect::<Vec<_>>().join(",\n"));
    page.raw(".br\n\\fBcontainerd\\-shim\\-orlop\\-v2\\fR(8),\n\\fBcgroups\\fR(7),\n\\fBnamespaces\\fR(7),\n\\fBseccomp\\fR(2)");
    ("orlop.1".to_owned(), page.finish())
}

fn shim(date: &str) -> File {
    let mut page = Page::new("containerd-shim-orlop-v2", 8, date);
    page.raw(include_str!("man/shim.man").trim_end());
    ("containerd-shim-orlop-v2.8".to_owned(), page.finish())
}

fn of_command(command: &Described, date: &str) -> File {
    let name = format!("orlop-{}", command.name);
    let mut page = Page::new(&name, 1, date);
    page.section("NAME");
    page.text(&format!("{name} - {}", roff::small(command.about)));
    page.section("SYNOPSIS");
    options::synopsis(&mut page, command.forms.iter().map(|form| &form.definition));
    page.section("DESCRIPTION");
    let more = words::of(command.name);
    page.text(&sentence(command.about));
    if let Some(more) = more {
        page.paragraph(more.description);
    }
    match command.forms.as_slice() {
        [bundle, image] => {
            for (form, of) in [(bundle, "a container of a bundle"), (image, "a container of an image")] {
                page.section(&format!("OPTIONS FOR {}", of.to_uppercase()));
                options::of(&mut page, &form.definition);
            }
        }
        forms => forms.iter().for_each(|form| plain(&mut page, &form.definition)),
    }
    if let Some(more) = more {
        page.section("EXAMPLES");
        for (line, what) in more.examples {
            page.text(what);
            page.example(line);
        }
    }
    page.section("EXIT STATUS");
    page.text(more.and_then(|more| more.status).unwrap_or("0 if all is well, 1 on any error."));
    page.section("SEE ALSO");
    page.raw("\\fBorlop\\fR(1)");
    (format!("{name}.1"), page.finish())
}

/// Options and arguments of a command, or its own commands with theirs.
fn plain(page: &mut Page, command: &Command) {
    let subs: Vec<&Command> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    if command.get_arguments().any(|arg| arg.get_id() != "help") {
        page.section(if command.get_positionals().next().is_some() {
            "ARGUMENTS AND OPTIONS"
        } else {
            "OPTIONS"
        });
        options::of(page, command);
    }
    if let Some(after) = command.get_after_help() {
        page.paragraph(&after.to_string());
    }
    if subs.is_empty() {
        return;
    }
    page.section("COMMANDS");
    for sub in subs {
        let mut title = sub.get_name().to_owned();
        sub.get_visible_aliases().for_each(|alias| write!(title, ", {alias}").unwrap_or_default());
        page.subsection(&title);
        options::synopsis(page, [sub]);
        page.paragraph(&sentence(&sub.get_about().map(ToString::to_string).unwrap_or_default()));
        options::of(page, sub);
    }
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_words_and_examples() {
        let pages = pages("2026-01-31");
        for command in table::commands() {
            let name = format!("orlop-{}.1", command.name);
            let (_, text) = pages.iter().find(|(file, _)| *file == name).expect(&name);
            for form in &command.forms {
                for long in form
                    .definition
                    .get_arguments()
                    .filter(|arg| !arg.is_hide_set() && arg.get_id() != "help")
                    .filter_map(clap::Arg::get_long)
                {
                    assert!(text.contains(&roff::escaped(&format!("--{long}"))), "{name}: --{long}");
                }
            }
            assert!(words::of(command.name).is_some(), "{name}: no words");
        }
        assert_eq!(words::ALL.len(), table::commands().count(), "no words about a command that is not there");
    }

    /// What is in the examples is understood by the commands that they are of.
    #[test]
    fn examples_can_be_typed() {
        for words in words::ALL {
            for (line, _) in words.examples {
                let typed = line.split(" | ").next().unwrap().trim_start_matches("sudo ");
                let arguments: Vec<std::ffi::OsString> = split(typed).into_iter().map(Into::into).collect();
                let name = words.command;
                assert!(typed.starts_with("orlop ") && typed.contains(&format!(" {name}")), "{line}");
                let parsed = orlop_command::argv::Split::new(&orlop_cli::ORLOP, arguments.clone()).command();
                let parsed = match parsed {
                    Err(orlop_command::argv::Stop::Companion) => {
                        orlop_command::argv::Split::new(&crate::commands::TOOLS, arguments).command()
                    }
                    other => other,
                };
                assert_eq!(
                    parsed.map(|(entry, _)| entry.name).map_err(|e| format!("{line}: {e:?}")),
                    Ok(name)
                );
            }
        }
    }

    /// A line's words as a shell cuts them, as far as the examples need it.
    fn split(line: &str) -> Vec<String> {
        let (mut words, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.into_iter().take_while(|word| word != ">").collect()
    }
}
