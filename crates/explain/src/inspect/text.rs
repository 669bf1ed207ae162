//! A report for people.

use std::fmt::Write as _;

use super::{Group, Report};
use crate::names::capabilities;
use crate::page::{Page, Style};

/// A command's words in one line, and that line ends somewhere.
const LONGEST: usize = 400;

impl Report {
    /// As text: one section after the other.
    pub fn text(&self, page: &Page) -> String {
        let mut out = String::new();
        let id = self.id.as_ref().map_or_else(String::new, |id| format!("container {id}, "));
        out.push_str(&page.wrap("", Some(Style::Strong), &format!("{id}process {}", self.pid)));
        let program = [
            row("command", self.command.join(" ").chars().take(LONGEST).collect()),
            row(
                "executable",
                self.executable.as_ref().map_or_else(unknown, |path| path.display().to_string()),
            ),
            row("state", self.status.state.clone()),
            row("pid inside", self.status.pids.last().map_or_else(unknown, ToString::to_string)),
        ];
        table(&mut out, page, &program);
        self.namespaces_text(&mut out, page);
        self.identity_text(&mut out, page);
        for group in self.cgroups.iter().filter(|group| !group.values.is_empty()) {
            group_text(group, &mut out, page);
        }
        self.limits_text(&mut out, page);
        self.mounts_text(&mut out, page);
        self.descriptors_text(&mut out, page);
        self.processes_text(&mut out, page);
        out
    }

    fn namespaces_text(&self, out: &mut String, page: &Page) {
        title(out, page, "Namespaces (inode, beside that of this command)");
        if self.namespaces.is_empty() {
            out.push_str("  not readable by this user\n");
        }
        for namespace in &self.namespaces {
            let name = namespace.kind.name();
            let line = if namespace.shared {
                format!(
                    "{name:<8} {}  {}",
                    namespace.inode,
                    page.paint(Style::Warning, "shared with the host")
                )
            } else {
                format!(
                    "{name:<8} {}  {} (host: {})",
                    namespace.inode,
                    page.paint(Style::Good, "own"),
                    namespace.here
                )
            };
            _ = writeln!(out, "  {line}");
        }
    }

    fn identity_text(&self, out: &mut String, page: &Page) {
        let status = &self.status;
        title(out, page, "Identity and privileges");
        let ids = |ids: &[u32]| match ids {
            [] => "none".to_owned(),
            ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        let map = |map: &[[u64; 3]]| {
            let line = |[inside, outside, count]: &[u64; 3]| match *count {
                0xffff_ffff => "every id as it is".to_owned(),
                count => format!("{inside} is {outside} here, {count} ids"),
            };
            map.iter().map(line).collect::<Vec<_>>().join("; ")
        };
        let seccomp = match (status.seccomp, status.seccomp_filters) {
            (Some(0), _) => "no filter".to_owned(),
            (Some(1), _) => "strict".to_owned(),
            (Some(_), Some(filters)) => format!("filter ({filters})"),
            (Some(_), None) => "filter".to_owned(),
            (None, _) => unknown(),
        };
        let flag =
            |flag: Option<bool>| flag.map_or_else(unknown, |yes| if yes { "yes" } else { "no" }.to_owned());
        let rows = [
            row("user (real, effective, saved, files)", ids(&status.uid)),
            row("group", ids(&status.gid)),
            row("groups", ids(&status.groups)),
            row("user ids", map(&self.uid_map)),
            row("group ids", map(&self.gid_map)),
            row("effective", capabilities(status.effective)),
            row("permitted", capabilities(status.permitted)),
            row("inheritable", capabilities(status.inheritable)),
            row("bounding", capabilities(status.bounding)),
            row("ambient", capabilities(status.ambient)),
            row("no_new_privs", flag(status.no_new_privs)),
            row("seccomp", seccomp),
            row(
                "label",
                self.label.clone().filter(|label| !label.is_empty()).unwrap_or_else(|| "none".into()),
            ),
            row("oom_score_adj", self.oom_score_adj.map_or_else(unknown, |score| score.to_string())),
        ];
        table(out, page, &rows);
    }

    fn limits_text(&self, out: &mut String, page: &Page) {
        title(out, page, "Resource limits (soft, hard)");
        let rows: Vec<Vec<String>> = self
            .limits
            .iter()
            .map(|limit| vec![limit.name.clone(), limit.soft.clone(), limit.hard.clone(), limit.unit.clone()])
            .collect();
        out.push_str(&Page::columns(2, &rows));
    }

    fn mounts_text(&self, out: &mut String, page: &Page) {
        title(out, page, "Mounts");
        for mount in &self.mounts {
            let root = if mount.root.as_os_str() == "/" {
                String::new()
            } else {
                format!(" of {}", mount.root.display())
            };
            let propagation = mount.propagation.iter().fold(String::new(), |all, word| all + " " + word);
            let style = if mount.is_writable() { Style::Strong } else { Style::Faint };
            let first = page.paint(style, &mount.target.display().to_string());
            _ = writeln!(out, "  {first}");
            let text =
                format!("{} ({}){root} {}{propagation}", mount.fstype, mount.source, mount.options.join(","));
            out.push_str(&page.wrap("      ", Some(Style::Faint), &text));
        }
    }

    fn descriptors_text(&self, out: &mut String, page: &Page) {
        title(out, page, "Descriptors");
        let Some(descriptors) = &self.descriptors else {
            out.push_str("  not readable by this user\n");
            return;
        };
        for descriptor in descriptors {
            out.push_str(&page.wrap(
                &format!("{:>5}  ", descriptor.number),
                None,
                &descriptor.target.display().to_string(),
            ));
        }
    }

    fn processes_text(&self, out: &mut String, page: &Page) {
        title(out, page, "Processes (pid here, pid inside)");
        for process in &self.processes {
            let first = format!("{:>9} {:>7}  {}", process.pid, process.inner, "  ".repeat(process.depth));
            let command: String = process.command.chars().take(LONGEST).collect();
            out.push_str(&page.wrap(&first, None, &command));
        }
    }
}

fn group_text(group: &Group, out: &mut String, page: &Page) {
    let version =
        if group.controllers.is_empty() { "version 2".to_owned() } else { group.controllers.clone() };
    title(out, page, &format!("Control group ({version}): {}", group.path.display()));
    let mut rows = Vec::new();
    let mut skip = "";
    for value in &group.values {
        // What is used stands beside its limit.
        let limit = value.file.strip_suffix(".current").map(|name| format!("{name}.max"));
        let limit = limit.and_then(|limit| group.values.iter().find(|other| other.file == limit));
        if let Some(limit) = limit {
            skip = limit.file;
            rows.push(row(
                value.file.trim_end_matches(".current"),
                format!("{} of {}", amount(value.file, &value.value), amount(limit.file, &limit.value)),
            ));
        } else if value.file != skip {
            rows.push(row(value.file, amount(value.file, &value.value)));
        }
    }
    rows.extend(group.pressure.iter().map(|value| row(value.file, value.value.clone())));
    table(out, page, &rows);
}

/// A number of bytes also in a unit that people read.
fn amount(file: &str, value: &str) -> String {
    let bytes = value.parse::<u64>().ok().filter(|_| file.starts_with("memory."));
    match bytes {
        Some(bytes) if bytes >= 1 << 60 => "unlimited".to_owned(),
        Some(bytes) if bytes >= 1 << 20 => format!("{value} ({} MiB)", bytes >> 20),
        Some(_) | None => value.to_owned(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn row(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn title(out: &mut String, page: &Page, text: &str) {
    // Writing to a string cannot fail.
    _ = writeln!(out, "\n{}", page.paint(Style::Title, text));
}

/// Names and values; the values are wrapped.
fn table(out: &mut String, page: &Page, rows: &[(String, String)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        out.push_str(&page.wrap(&format!("  {name:<width$}  "), None, value));
    }
}
