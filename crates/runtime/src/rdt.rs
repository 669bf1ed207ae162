//! The container's group in the resctrl tree: made before the container, removed after it
//! ([resctrl](https://docs.kernel.org/filesystems/resctrl.html), `config-linux.md#intelrdt`).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use orlop_compile::RdtPlan;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};

mod update;
pub(crate) use update::NewShares;

const PLACE: &str = "/linux/intelRdt";
const CLOS_ID: &str = "/linux/intelRdt/closID";

/// A container's group, as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RdtGroup {
    /// Its directory.
    pub directory: PathBuf,
    /// It exists for this container only: `closID` is not set, and nobody had made it before.
    #[serde(default)]
    pub own: bool,
    /// The directory that only counts what the container uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<PathBuf>,
}

impl RdtGroup {
    /// Where the group will be, to be saved before it exists.
    pub(crate) fn locate(plan: &RdtPlan) -> Self {
        let directory = match plan.group.as_deref() {
            Some("/") => plan.tree.clone(),
            Some(id) => plan.tree.join(id),
            None => plan.tree.join(&plan.container),
        };
        let monitor = plan.monitoring.then(|| directory.join("mon_groups").join(&plan.container));
        Self { own: plan.group.is_none() && !directory.exists(), directory, monitor }
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// A `closID` without schemata that does not exist, or one that exists with other schemata; the kernel takes no more
    /// groups, or not these schemata. What was made for this container only is taken back.
    pub(crate) fn create(&self, plan: &RdtPlan) -> Result<()> {
        let made = self.make(plan);
        if made.is_err() {
            // The first failure is what the caller hears.
            self.remove().ok();
        }
        made
    }

    fn make(&self, plan: &RdtPlan) -> Result<()> {
        let lines: Vec<String> = plan.compared.iter().chain(&plan.schemata).cloned().collect();
        let exists = self.directory.exists();
        if !exists && plan.group.is_some() && lines.is_empty() {
            let what = format!(
                "{CLOS_ID}: {} does not exist: without schemata, it must have been made before",
                self.directory.display()
            );
            return Err(Error::usage(what));
        }
        if !exists {
            make_directory(&self.directory, CLOS_ID)?;
        } else if plan.group.is_some() {
            self.compare(&plan.compared)?;
        }
        if !lines.is_empty() {
            self.write(&lines, plan)?;
        }
        self.monitor.as_ref().map_or(Ok(()), |path| make_directory(path, "/linux/intelRdt/enableMonitoring"))
    }

    /// Changes the shares of a group that is there, and returns what they were.
    ///
    /// # Errors
    ///
    /// The kernel does not take them.
    pub(crate) fn change(&self, plan: &RdtPlan) -> Result<String> {
        let path = self.directory.join("schemata");
        let old = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        self.write(&plan.compared, plan)?;
        Ok(old)
    }

    /// Undoes [`RdtGroup::change`].
    pub(crate) fn change_back(&self, old: &str, plan: &RdtPlan) -> Result<()> {
        self.write(&old.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>(), plan)
    }

    fn write(&self, lines: &[String], plan: &RdtPlan) -> Result<()> {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let path = self.directory.join("schemata");
        let written = fs::write(&path, &text).doing(|| format!("write {text:?} to {}", path.display()));
        written.map_err(|e| because(e.at(PLACE), &plan.tree))
    }

    /// Puts a process into it, with all that it will start.
    pub(crate) fn attach(&self, pid: i32) -> Result<()> {
        for directory in [Some(&self.directory), self.monitor.as_ref()].into_iter().flatten() {
            let tasks = directory.join("tasks");
            fs::write(&tasks, pid.to_string())
                .doing(|| format!("write the process id to {}", tasks.display()))
                .map_err(|e| e.at(PLACE))?;
        }
        Ok(())
    }

    /// Removes what exists for this container only. It can be repeated.
    pub(crate) fn remove(&self) -> Result<()> {
        let own = self.own.then_some(&self.directory);
        for directory in self.monitor.iter().chain(own) {
            match fs::remove_dir(directory) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                removed => removed.doing(|| format!("remove {}", directory.display()))?,
            }
        }
        Ok(())
    }

    /// A group that others use must be what the config says it is.
    fn compare(&self, lines: &[String]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.directory.join("schemata");
        let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        match lines.iter().find(|line| !is_in(line, &text)) {
            Some(line) => Err(Error::usage(format!(
                "{CLOS_ID}: {} exists with other schemata than {line:?}: {:?}",
                self.directory.display(),
                text.trim()
            ))),
            None => Ok(()),
        }
    }
}

fn make_directory(path: &Path, place: &str) -> Result<()> {
    fs::create_dir(path).doing(|| format!("make {}", path.display())).map_err(|e| {
        e.at(place).with_hint("processors have a few such groups only; ENOSPC means that all are taken")
    })
}

/// The kernel tells more of what it did not like than a number.
fn because(error: Error, tree: &Path) -> Error {
    match fs::read_to_string(tree.join("info/last_cmd_status")) {
        Ok(text) if !matches!(text.trim(), "" | "ok") => error.with_hint(text.trim().to_owned()),
        _ => error,
    }
}

/// Whether a line of schemata is what a group has: the same value for every cache that it names.
fn is_in(line: &str, schemata: &str) -> bool {
    let Some((name, wanted)) = parse(line) else { return false };
    let has = schemata.lines().filter_map(parse).find(|(resource, _)| *resource == name);
    has.is_some_and(|(_, has)| wanted.iter().all(|(cache, value)| has.get(cache) == Some(value)))
}

/// `L3:0=7f0;1=1f` as a resource and values of caches. They are compared as text without leading zeros: some are hexadecimal.
fn parse(line: &str) -> Option<(&str, BTreeMap<&str, String>)> {
    let (name, values) = line.trim().split_once(':')?;
    let value = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
    let pair = |text| str::split_once(text, '=').map(|(cache, v)| (cache.trim(), value(v)));
    Some((name.trim(), values.split(';').map(pair).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests;
