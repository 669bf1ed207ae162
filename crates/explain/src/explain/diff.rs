//! Two stories compared: what one container gets that another does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::origin;
use super::{Entry, Group, Story};
use crate::page::{Page, Style};
use serde::Serialize;

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The configs.
    pub configs: [String; 2],
    /// Steps that differ, by chapter.
    pub changes: Vec<Change>,
    /// Steps of both that come in another order: what the second program does before what it did after.
    pub moved: Vec<String>,
}

/// A step that only one has, or that both have, but not alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The chapter.
    pub group: &'static str,
    /// In the first story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Entry>,
    /// In the second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Entry>,
}

/// A step by what it is about; of several about the same, the first is matched with the first.
type Key = (String, usize);

fn keyed(story: &Story) -> Vec<(Key, &Group, &Entry)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keyed = Vec::new();
    for (group, entry) in story.entries() {
        let count = seen.entry(&entry.subject).or_default();
        keyed.push(((entry.subject.clone(), *count), group, entry));
        *count += 1;
    }
    keyed
}

/// Compares two stories.
pub fn compare(first: &Story, second: &Story) -> Difference {
    let (one, two) = (keyed(first), keyed(second));
    let find = |all: &[(Key, &Group, &Entry)], key: &Key| {
        all.iter().find(|known| known.0 == *key).map(|known| known.2.clone())
    };
    let alike = |before: &Entry, after: &Entry| {
        let plain = |story: &Story, text: &str| match story.bundle.as_str() {
            "" => text.to_owned(),
            bundle => text.replace(bundle, "BUNDLE"),
        };
        let calls = |story: &Story, entry: &Entry| {
            entry.calls.iter().map(|call| plain(story, call)).collect::<Vec<_>>()
        };
        plain(first, &before.does) == plain(second, &after.does)
            && calls(first, before) == calls(second, after)
    };
    let mut changes = Vec::new();
    for (key, group, entry) in &one {
        let after = find(&two, key);
        if after.as_ref().is_none_or(|after| !alike(entry, after)) {
            changes.push(Change { group: group.title, before: Some((*entry).clone()), after });
        }
    }
    for (key, group, entry) in &two {
        if find(&one, key).is_none() {
            changes.push(Change { group: group.title, before: None, after: Some((*entry).clone()) });
        }
    }
    let chapters: Vec<&str> = one.iter().chain(&two).map(|(_, group, _)| group.title).collect();
    changes.sort_by_key(|change| chapters.iter().position(|title| *title == change.group));
    Difference { configs: [first.config.clone(), second.config.clone()], changes, moved: moved(&one, &two) }
}

/// Steps of init that are in both and come in another order: those that have to be taken out so that the rest agrees.
fn moved(one: &[(Key, &Group, &Entry)], two: &[(Key, &Group, &Entry)]) -> Vec<String> {
    let order = |all: &[(Key, &Group, &Entry)]| {
        let mut steps: Vec<(usize, Key)> =
            all.iter().filter_map(|(key, _, entry)| Some((entry.step?, key.clone()))).collect();
        steps.sort_by_key(|(number, _)| *number);
        steps.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
    };
    let (first, second) = (order(one), order(two));
    let positions: Vec<usize> =
        second.iter().filter_map(|key| first.iter().position(|known| known == key)).collect();
    let kept = longest_ascending(&positions);
    let mut moved: Vec<usize> = positions.into_iter().filter(|position| !kept.contains(position)).collect();
    moved.sort_unstable();
    let does = |position: usize| {
        one.iter().find(|(key, ..)| *key == first[position]).map(|(.., entry)| entry.does.clone())
    };
    moved.into_iter().filter_map(does).collect()
}

/// A longest part of a list of different numbers that ascends.
fn longest_ascending(numbers: &[usize]) -> Vec<usize> {
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let before =
            (0..at).filter(|&earlier| numbers[earlier] < *number).max_by_key(|&earlier| best[earlier].0);
        best.push((before.map_or(1, |earlier| best[earlier].0 + 1), before));
    }
    let mut at = (0..best.len()).max_by_key(|&at| best[at].0);
    let mut kept = Vec::new();
    while let Some(here) = at {
        kept.push(numbers[here]);
        at = best[here].1;
    }
    kept
}

impl Difference {
    /// As text.
    pub fn text(&self, page: &Page) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        _ = writeln!(out, "{}", page.paint(Style::Bad, &format!("--- {}", self.configs[0])));
        _ = writeln!(out, "{}", page.paint(Style::Good, &format!("+++ {}", self.configs[1])));
        if self.changes.is_empty() && self.moved.is_empty() {
            out.push_str("\nBoth make the same container.\n");
        }
        let mut chapter = "";
        for change in &self.changes {
            if chapter != change.group {
                chapter = change.group;
                _ = writeln!(out, "\n{}", page.paint(Style::Title, chapter));
            }
            out.push_str(&match (&change.before, &change.after) {
                (Some(before), Some(after)) => changed(before, after, page),
                (Some(entry), None) => whole("- ", Style::Bad, entry, page),
                (None, Some(entry)) => whole("+ ", Style::Good, entry, page),
                (None, None) => String::new(),
            });
        }
        if !self.moved.is_empty() {
            _ = writeln!(out, "\n{}", page.paint(Style::Title, "In another order"));
            self.moved.iter().for_each(|does| out.push_str(&page.wrap("~ ", Some(Style::Warning), does)));
        }
        out
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn whole(mark: &str, style: Style, entry: &Entry, page: &Page) -> String {
    let mut out = page.wrap(mark, Some(style), &entry.does);
    out.push_str(&page.wrap("  ", Some(Style::Faint), &format!("{} ({})", entry.why, origin(entry))));
    out
}

/// What is only in one of the two, line by line.
fn changed(before: &Entry, after: &Entry, page: &Page) -> String {
    let title = if before.does == after.does {
        before.does.clone()
    } else {
        format!("{}, now: {}", before.does, after.does)
    };
    let mut out = page.wrap("~ ", Some(Style::Warning), &title);
    for (mark, style, these, others) in [
        ("  - ", Style::Bad, &before.calls, &after.calls),
        ("  + ", Style::Good, &after.calls, &before.calls),
    ] {
        for call in these.iter().filter(|call| !others.contains(call)) {
            out.push_str(&page.wrap(mark, Some(style), call));
        }
    }
    let (before, after) = (origin(before), origin(after));
    let places = if before == after { before } else { format!("{before} / {after}") };
    out.push_str(&page.wrap("  ", Some(Style::Faint), &places));
    out
}

#[cfg(test)]
mod tests {
    use super::longest_ascending;

    #[test]
    fn what_has_to_be_taken_out_is_little() {
        let kept = |numbers: &[usize]| {
            let mut kept = longest_ascending(numbers);
            kept.reverse();
            kept
        };
        assert_eq!(kept(&[0, 1, 2]), [0, 1, 2]);
        assert_eq!(kept(&[3, 0, 1, 2]), [0, 1, 2]);
        assert_eq!(kept(&[0, 2, 1, 3]).len(), 3);
        assert_eq!(kept(&[]), [0_usize; 0]);
    }
}
