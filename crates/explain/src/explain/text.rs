//! A story for a terminal, or a pipe.

use super::{Entry, Story};
use crate::page::{Page, Style};

/// The story as text.
pub fn render(story: &Story, page: &Page) -> String {
    let mut out = String::new();
    if !story.assumed.is_empty() {
        out.push_str(&page.wrap("assumed: ", Some(Style::Warning), &story.assumed.join("; ")));
    }
    for warning in &story.warnings {
        out.push_str(&page.wrap("", Some(Style::Warning), warning));
    }
    for group in &story.groups {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&page.paint(Style::Title, group.title));
        out.push('\n');
        out.push_str(&page.wrap("", Some(Style::Faint), group.about));
        for entry in &group.steps {
            out.push('\n');
            out.push_str(&step(entry, page));
        }
    }
    out
}

/// One step.
fn step(entry: &Entry, page: &Page) -> String {
    let number = entry.step.map_or_else(|| "host".to_owned(), |number| number.to_string());
    let mut out = page.wrap(&format!("{number:>4}  "), Some(Style::Strong), &entry.does);
    for call in &entry.calls {
        out.push_str(&page.wrap("      ", Some(Style::Code), call));
    }
    out.push_str(&page.wrap("      ", None, &entry.why));
    out.push_str(&page.wrap("      ", Some(Style::Faint), &origin(entry)));
    out
}

/// Where a step comes from, with the place in the config.
pub(crate) fn origin(entry: &Entry) -> String {
    match entry.place {
        Some(place) => format!("config.json:{}:{} {}", place.line, place.column, entry.origin),
        None => entry.origin.clone(),
    }
}
