//! The labs of `docs/labs/`: what stands on a page is typed into a shell, and what the shell answers is compared.
//!
//! A page says what it needs in its first line, a comment: `<!-- lab: programs capsh; controllers memory pids; image busy:1 -->`;
//! the last is the name of an image with a busybox in it. Its
//! blocks of the kind `console` are typed. In them
//!
//! - a line that begins with `# ` is a command; it goes on in the next line after a backslash, and in lines that begin
//!   with `> `;
//! - all other lines are what the command says, on standard output and standard error;
//! - `…` in such a line stands for anything, and as a line of its own for any lines, or none. In a line with `…` it does
//!   not matter how wide a gap is: columns are as wide as what is in them.
//!
//! A block below a line `<!-- not typed: WHY -->` is left alone.
//!
//! A command that says nothing has to succeed, unless it waits for a process, whose status it has.
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

mod room;

/// A page of the labs.
#[derive(Debug)]
pub struct Lab {
    path: PathBuf,
    lines: Vec<String>,
    commands: Vec<Command>,
}

/// A command of a page.
#[derive(Debug)]
struct Command {
    /// The index of its first line in the page.
    line: usize,
    text: String,
    /// The lines of the page that say what it answers.
    answer: Range<usize>,
}

/// What a command answered: its exit status and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    status: i32,
    said: Vec<String>,
}

impl Lab {
    /// Reads a page.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut commands: Vec<Command> = vec![];
        let mut inside = false;
        let mut goes_on = false;
        for (n, line) in lines.iter().enumerate() {
            if line.starts_with("```") {
                let left_alone = n > 0 && lines[n - 1].starts_with("<!-- not typed: ");
                (inside, goes_on) = (line == "```console" && !left_alone, false);
                continue;
            }
            let Some(line) = Some(line).filter(|_| inside) else { continue };
            let continued = if goes_on { Some(line.as_str()) } else { line.strip_prefix("> ") };
            if let Some(command) = line.strip_prefix("# ").filter(|_| !goes_on) {
                commands.push(Command { line: n, text: command.to_owned(), answer: n + 1..n + 1 });
            } else if let Some(last) = commands.last_mut() {
                match continued {
                    Some(more) if last.answer.is_empty() => {
                        last.text.extend(["\n", more]);
                        last.answer = n + 1..n + 1;
                    }
                    _ => last.answer.end = n + 1,
                }
            }
            goes_on = line.ends_with('\\') && commands.last().is_some_and(|last| last.answer.is_empty());
        }
        Self { path: path.to_owned(), lines, commands }
    }

    /// What the page needs of a kind, such as `programs`.
    pub fn needs(&self, kind: &str) -> Vec<&str> {
        let first = self.lines.first().map_or("", String::as_str);
        let needs =
            first.strip_prefix("<!-- lab:").and_then(|rest| rest.strip_suffix("-->")).unwrap_or_default();
        let of_kind = needs.split(';').filter_map(|need| need.trim().strip_prefix(kind));
        of_kind.flat_map(str::split_whitespace).collect()
    }

    /// What differs between the page and what was answered, in words; nothing if they agree.
    fn differences(&self, answers: &[Answer]) -> Vec<String> {
        let pairs = self.commands.iter().zip(answers);
        let mut all: Vec<String> =
            pairs.filter_map(|(command, answer)| self.difference(command, answer)).collect();
        if let Some(command) = self.commands.get(answers.len()) {
            all.push(format!(
                "{}: the shell ended here, or was ended: {}",
                self.place(command),
                command.text
            ));
        }
        all
    }

    fn difference(&self, command: &Command, answer: &Answer) -> Option<String> {
        let expected = self.expected(command);
        let may_fail = !expected.is_empty() || command.text.contains("wait $");
        if matches(expected, &answer.said) && (answer.status == 0 || may_fail) {
            return None;
        }
        let quote = |lines: &[String]| lines.iter().flat_map(|line| ["    ", line, "\n"]).collect::<String>();
        Some(format!(
            "{}: # {}\n  the page says\n{}  the shell says (status {})\n{}",
            self.place(command),
            command.text,
            quote(expected),
            answer.status,
            quote(&answer.said)
        ))
    }

    fn expected(&self, command: &Command) -> &[String] {
        &self.lines[command.answer.clone()]
    }

    fn place(&self, command: &Command) -> String {
        format!("{}:{}", self.path.display(), command.line + 1)
    }

    /// Writes what was answered to the page, where it differs.
    fn rewrite(&self, answers: &[Answer]) {
        let mut lines = self.lines.clone();
        for (command, answer) in self.commands.iter().zip(answers).rev() {
            if self.difference(command, answer).is_some() {
                lines.splice(command.answer.clone(), answer.said.iter().cloned());
            }
        }
        fs::write(&self.path, lines.join("\n") + "\n").expect("the page can be written");
    }
}

/// Whether lines are as a page has them.
fn matches(page: &[String], said: &[String]) -> bool {
    match page.split_first() {
        None => said.is_empty(),
        Some((any, rest)) if any.trim() == "…" => (0..=said.len()).any(|n| matches(rest, &said[n..])),
        Some((line, rest)) => said.split_first().is_some_and(|(first, said)| {
            let same = if line.contains('…') { like(&narrow(line), &narrow(first)) } else { line == first };
            same && matches(rest, said)
        }),
    }
}

/// A line with gaps of one space each.
fn narrow(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line is as a page has it.
fn like(page: &str, said: &str) -> bool {
    let Some((before, after)) = page.split_once('…') else { return page == said };
    let Some(rest) = said.strip_prefix(before) else { return false };
    rest.char_indices().map(|(n, _)| n).chain([rest.len()]).any(|n| like(after, &rest[n..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!-- lab: programs a b; controllers memory -->\n\n```console\n# one\n1\n# two \\\n  more\n\
                        # three <<END\n> # text\n> END\n2\n3\n```\n\n```text\n# four\n```\n\n\
                        <!-- not typed: it would take hours -->\n```console\n# five\n```\n";

    fn page() -> Lab {
        Lab::parse(Path::new("page.md"), PAGE)
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn answer(text: &str) -> Answer {
        Answer { status: 0, said: lines(text) }
    }

    #[test]
    fn commands_and_what_they_say() {
        let lab = page();
        let texts: Vec<&str> = lab.commands.iter().map(|command| command.text.as_str()).collect();
        assert_eq!(texts, ["one", "two \\\n  more", "three <<END\n# text\nEND"]);
        let expected: Vec<&[String]> = lab.commands.iter().map(|command| lab.expected(command)).collect();
        assert_eq!(expected, [&lines("1")[..], &[], &lines("2\n3")[..]]);
        assert_eq!((lab.needs("programs"), lab.needs("controllers")), (vec!["a", "b"], vec!["memory"]));
    }

    #[test]
    fn a_difference_names_its_place() {
        let lab = page();
        assert!(lab.differences(&[answer("1"), answer(""), answer("2\n3")]).is_empty());
        let found = lab.differences(&[answer("1"), answer("surprise"), answer("2")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("page.md:6: # two"), "{}", found[0]);
        assert!(found[1].starts_with("page.md:8: # three"), "{}", found[1]);
        let failed = Answer { status: 1, said: vec![] };
        assert_eq!(lab.differences(&[answer("1"), failed]).len(), 2, "it failed, and the third is missing");
    }

    #[test]
    fn an_ellipsis_stands_for_anything() {
        assert!(matches(&lines("ID  STATE\n…  up"), &lines("ID  STATE\nfirst   up")));
        assert!(matches(&lines("a…c\n…\nz"), &lines("abc\nq\nr\nz")));
        assert!(matches(&lines("a…c\n…\nz"), &lines("ac\nz")));
        assert!(!matches(&lines("a…c"), &lines("ab")));
        assert!(!matches(&lines("…\nz"), &lines("z\ny")));
    }
}
