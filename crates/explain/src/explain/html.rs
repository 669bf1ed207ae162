//! A story as a page for a browser: one file that asks for nothing from elsewhere.

use std::fmt::Write as _;

use super::text::origin;
use super::{Entry, Story};

/// The style of the page, for light and dark.
const STYLE: &str = include_str!("page.css");

/// The story as HTML.
pub fn render(story: &Story) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escaped(&story.config)
    );
    contents(story, &mut out);
    out.push_str("<main>\n");
    let steps = story.entries().filter(|(_, entry)| entry.step.is_some()).count();
    _ = writeln!(
        out,
        "<h1>How this container is made</h1>\n<p class=\"about\"><code>{}</code>: {steps} steps of orlop-init, and what the \
         host side does around them (marked <span class=\"number host\">host</span>). The numbers are the order.</p>",
        escaped(&story.config)
    );
    if !story.assumed.is_empty() {
        _ = writeln!(out, "<p class=\"note\">Assumed: {}.</p>", escaped(&story.assumed.join("; ")));
    }
    for warning in &story.warnings {
        _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(warning));
    }
    for (index, group) in story.groups.iter().enumerate() {
        _ = writeln!(
            out,
            "<section id=\"g{index}\">\n<h2>{}</h2>\n<p class=\"about\">{}</p>\n<ol>",
            group.title,
            escaped(group.about)
        );
        group.steps.iter().for_each(|entry| step(entry, &mut out));
        out.push_str("</ol>\n</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// The chapters, to jump to.
fn contents(story: &Story, out: &mut String) {
    out.push_str("<nav>\n<p>orlop explain</p>\n<ul>\n");
    for (index, group) in story.groups.iter().enumerate() {
        _ = writeln!(
            out,
            "<li><a href=\"#g{index}\">{}<span>{}</span></a></li>",
            group.title,
            group.steps.len()
        );
    }
    out.push_str("</ul>\n</nav>\n");
}

fn step(entry: &Entry, out: &mut String) {
    let (class, number) = match entry.step {
        Some(number) => ("number", number.to_string()),
        None => ("number host", "host".to_owned()),
    };
    _ = writeln!(out, "<li><span class=\"{class}\">{number}</span><div><h3>{}</h3>", escaped(&entry.does));
    _ = writeln!(out, "<p>{}</p>", escaped(&entry.why));
    if !entry.calls.is_empty() {
        // Flags are broken between them.
        let calls: Vec<String> =
            entry.calls.iter().map(|call| escaped(call).replace('|', "|<wbr>")).collect();
        _ = writeln!(out, "<pre>{}</pre>", calls.join("\n"));
    }
    _ = writeln!(out, "<p class=\"origin\">{}</p></div></li>", escaped(&origin(entry)));
}

/// Text that is nothing but text.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_of_a_config_becomes_markup() {
        assert_eq!(super::escaped("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }
}
