//! Text for man(7).

/// Lines of the pages' sources are no longer, for whoever reads those.
const WIDEST: usize = 78;

/// A page in the making.
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn new(name: &str, section: u8, date: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let title = escaped(&name.to_uppercase());
        let text = format!(
            ".\\\" Made by orlop-tools man from the table of commands.\n.TH {title} {section} {date} \"orlop {version}\" \"orlop manual\"\n.nh\n.ad l\n"
        );
        Self { text }
    }

    pub(super) fn section(&mut self, title: &str) {
        self.raw(&format!(".SH {}", escaped(title)));
    }

    pub(super) fn subsection(&mut self, title: &str) {
        self.raw(&format!(".SS {}", escaped(title)));
    }

    /// Text that is filled.
    pub(super) fn text(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace().map(escaped) {
            if !line.is_empty() && line.len() + word.len() > WIDEST {
                self.raw(&line);
                line.clear();
            }
            line.extend((!line.is_empty()).then_some(' '));
            line.push_str(&word);
        }
        self.raw(&line);
    }

    /// The same, as a paragraph of its own.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.raw(".PP");
        self.text(text);
    }

    /// An indented text below a term, which is roff already.
    pub(super) fn item(&mut self, term: &str, text: &str) {
        self.raw(&format!(".TP\n{term}"));
        self.text(text);
    }

    /// What is typed.
    pub(super) fn example(&mut self, line: &str) {
        self.raw(&format!(".PP\n.RS 4\n.nf\n\\fB{}\\fR\n.fi\n.RE\n.PP", escaped(line)));
    }

    /// Roff.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The page. A paragraph before a heading is one too many for who checks it.
    pub(super) fn finish(self) -> String {
        let text = self.text.replace(".PP\n.SH", ".SH").replace(".PP\n.SS", ".SS");
        text.trim_end_matches(".PP\n").to_owned()
    }
}

/// Text of which roff changes nothing: neither what it would take for a macro, nor dashes and quotes that are typed.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '…' => out.push_str("..."),
            c => out.push(c),
        }
    }
    if out.starts_with('.') { format!("\\&{out}") } else { out }
}

pub(super) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

pub(super) fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escaped(text))
}

/// A sentence in the middle of a line: its first letter small, unless the word is a name.
pub(super) fn small(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if chars.as_str().starts_with(|c: char| c.is_lowercase() || c == ' ') => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_what_it_is() {
        assert_eq!(escaped("-a 'x' \\n"), "\\-a \\(aqx\\(aq \\en");
        assert_eq!(escaped(".ps"), "\\&.ps");
        assert_eq!(small("Print it"), "print it");
        assert_eq!(small("OCI"), "OCI");
    }
}
