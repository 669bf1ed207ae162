//! Text for people: wrapped to a width, in colours where the reader has some.

/// How a reader sees text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many columns there are.
    pub width: usize,
    /// Colours are understood.
    pub colour: bool,
}

/// For pipes and files.
pub const PLAIN: Page = Page { width: 100, colour: false };

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Title,
    /// What matters in a paragraph.
    Strong,
    /// System calls, paths, values.
    Code,
    /// Where something comes from, and other small print.
    Faint,
    /// All is well; something was added.
    Good,
    /// Look here; something has changed.
    Warning,
    /// Something is wrong, or was removed.
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Title => "1;4",
            Self::Strong => "1",
            Self::Code => "36",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

impl Page {
    /// Text in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// Text as lines that begin with `first` and then with spaces of that width, none wider than the page if its words allow
    /// that. Each line is painted by itself.
    pub fn wrap(&self, first: &str, style: Option<Style>, text: &str) -> String {
        let indent = first.chars().count();
        let room = self.width.saturating_sub(indent).max(20);
        let mut out = String::new();
        for (number, line) in lines(text, room).into_iter().enumerate() {
            out.push_str(&if number == 0 { first.to_owned() } else { " ".repeat(indent) });
            out.push_str(&style.map_or_else(|| line.clone(), |style| self.paint(style, &line)));
            out.push('\n');
        }
        out
    }

    /// Rows as aligned columns, two spaces apart, the last one not padded. What does not fit is not cut.
    pub fn columns(indent: usize, rows: &[Vec<String>]) -> String {
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
        let mut out = String::new();
        for row in rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Words to lines. A word that is longer than a line is cut, after a `|` where there is one.
fn lines(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        // No control character reaches a terminal.
        let mut word: Vec<char> = word.chars().flat_map(shown).collect();
        if length > 0 && length + 1 + word.len() > room {
            lines.push(std::mem::take(&mut line));
            length = 0;
        } else if length > 0 {
            line.push(' ');
            length += 1;
        }
        while word.len() > room {
            let at = word[..room].iter().rposition(|c| *c == '|').map_or(room, |bar| bar + 1);
            lines.push(word.drain(..at).collect());
        }
        length += word.len();
        line.extend(word);
    }
    lines.push(line);
    lines
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_under_its_first_line_and_long_words_are_cut() {
        let page = Page { width: 26, colour: false };
        let text = "one two three four fivesixseveneightnineteneleventwelve";
        assert_eq!(
            page.wrap("ab: ", None, text),
            "ab: one two three four\n    fivesixseveneightninet\n    eneleventwelve\n"
        );
        assert_eq!(page.wrap("", None, "a\u{1b}[31mb"), "a\\u{1b}[31mb\n");
    }

    #[test]
    fn colours_end_with_their_line() {
        let page = Page { width: 30, colour: true };
        assert_eq!(page.paint(Style::Good, "ok"), "\u{1b}[32mok\u{1b}[0m");
        let text = page.wrap("> ", Some(Style::Faint), "some words that need more than a line");
        assert!(text.lines().all(|line| line.ends_with("\u{1b}[0m")), "{text}");
        assert_eq!(PLAIN.paint(Style::Bad, "x"), "x");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["a", "bb", "c"]), row(&["aaa", "b"])];
        assert_eq!(Page::columns(1, &rows), " a    bb  c\n aaa  b\n");
    }
}
