//! A story as a diagram, in the language of Mermaid, which Markdown on many sites understands.

use std::fmt::Write as _;

use super::Story;

/// The story as a flow chart: a box for each chapter, in it its steps in their order.
pub fn render(story: &Story) -> String {
    let mut out = String::from("flowchart TB\n");
    for (index, group) in story.groups.iter().enumerate() {
        // Writing to a string cannot fail.
        _ = writeln!(out, "    subgraph g{index}[\"{}\"]", label(group.title));
        _ = writeln!(out, "        direction TB");
        let mut names: Vec<String> = Vec::new();
        for (at, entry) in group.steps.iter().enumerate() {
            let (name, number) = match entry.step {
                Some(number) => (format!("s{number}"), number.to_string()),
                None => (format!("h{index}_{at}"), "host".to_owned()),
            };
            _ = writeln!(out, "        {name}[\"{number}: {}\"]", label(&entry.does));
            names.push(name);
        }
        if names.len() > 1 {
            _ = writeln!(out, "        {}", names.join(" --> "));
        }
        _ = writeln!(out, "    end");
    }
    let groups: Vec<String> = (0..story.groups.len()).map(|index| format!("g{index}")).collect();
    if groups.len() > 1 {
        _ = writeln!(out, "    {}", groups.join(" ==> "));
    }
    out
}

/// Text in a label: what would end it, or mean something in it, as entities.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(super::label("a\"] --> b<br>#1\n"), "a#quot;] --#gt; b#lt;br#gt;#35;1\\n");
    }
}
