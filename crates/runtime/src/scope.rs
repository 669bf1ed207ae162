//! Containers whose cgroup systemd makes, as that of a scope unit.
//!
//! systemd makes a scope around processes that are there already, so the container's first process cannot be born in its
//! cgroup: it waits at the gate (crates/sys/src/spawn.rs) while systemd is asked. Later processes are born in it as always.
//! Freezing and killing go by the cgroup's files, as in runc: they work while systemd does not.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orlop_cgroups::{Cgroup, DeviceProgram, Layout, Setting};
use orlop_compile::{CgroupPlan, ScopePlan};
use orlop_systemd::{Manager, Property, Value, Which, limits};

use crate::error::{Error, Result};
use crate::runtime::Container;
use crate::state::Unit;

/// How long systemd may take for one answer, in seconds.
const VARIABLE: &str = "ORLOP_DBUS_TIMEOUT";
const DEFAULT: Duration = Duration::from_secs(10);

/// Reaches systemd.
fn reach(which: Which) -> Result<Manager> {
    let wait = match std::env::var(VARIABLE) {
        Err(std::env::VarError::NotPresent) => DEFAULT,
        Ok(text) => patience(&text)?,
        Err(std::env::VarError::NotUnicode(_)) => patience("")?,
    };
    Ok(Manager::reach(which, wait)?)
}

/// Reads a number of seconds.
fn patience(text: &str) -> Result<Duration> {
    let seconds = text.parse().ok().filter(|s| (0.001..=86_400.0).contains(s));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Error::usage(format!(
            "{VARIABLE}={text:?} is not a number of seconds from 0.001 to 86400, such as 2.5"
        ))
    })
}

/// A scope in the making.
pub(crate) struct Scope<'a> {
    plan: &'a CgroupPlan,
    asked: &'a ScopePlan,
    manager: RefCell<Manager>,
}

impl<'a> Scope<'a> {
    /// Makes sure that systemd is there and answers, before anything is asked of it: what it was asked for it may still do
    /// when we have given up.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`].
    pub(crate) fn new(plan: &'a CgroupPlan, asked: &'a ScopePlan) -> Result<Self> {
        Ok(Self { plan, asked, manager: RefCell::new(reach(asked.which)?) })
    }

    /// The cgroup that it is for.
    pub(crate) const fn plan(&self) -> &CgroupPlan {
        self.plan
    }

    /// What is remembered of it.
    pub(crate) fn unit(&self) -> Unit {
        Unit { name: self.asked.name.unit.clone(), user: self.asked.which == Which::User }
    }

    /// Starts the unit with a waiting process in it. Whatever fails, there is no such unit of ours.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`]; [`Error::Cgroup`] if somebody uses its cgroup.
    pub(crate) fn start(&self, pid: i32, layout: &Layout) -> Result<()> {
        // systemd would say no more than that it has such a unit.
        Cgroup::check_unused(layout, &self.plan.path)?;
        let mut manager = self.manager.borrow_mut();
        let properties = self.properties(pid, manager.version());
        Ok(manager.start(&self.asked.name.unit, &properties)?)
    }

    /// Takes over its cgroup from the process that is in it, and sets the limits there.
    ///
    /// # Errors
    ///
    /// [`Error::Cgroup`].
    pub(crate) fn adopt(&self, pid: i32, layout: &Layout) -> Result<Cgroup> {
        let mut plan = self.plan.plan.clone();
        agree(&mut plan.settings);
        let cgroup = Cgroup::adopt(layout, pid, &self.asked.below, &plan)?;
        self.plan.owner.map_or(Ok(()), |owner| cgroup.delegate(owner))?;
        Ok(cgroup)
    }

    /// What systemd is told of the unit. Of two with the same name the last one counts: limits of the config come after
    /// annotations.
    fn properties(&self, pid: i32, version: u32) -> Vec<Property> {
        let name = &self.asked.name;
        let mut all = vec![
            Property::new("Description", format!("orlop container {}", name.unit).as_str()),
            Property::new("Slice", name.slice.as_str()),
            Property::new("Delegate", true),
            Property {
                name: "PIDs".to_owned(),
                value: Value::Array("u".to_owned(), vec![Value::U32(pid.cast_unsigned())]),
            },
        ];
        // Without accounting systemd would take the controllers away again.
        for controller in ["Memory", "CPU", "IO", "Tasks"] {
            all.push(Property::new(format!("{controller}Accounting"), true));
        }
        // It neither waits for the host to be up nor ends before the host's own services do.
        all.push(Property::new("DefaultDependencies", false));
        all.extend(self.asked.properties.iter().cloned());
        let settings = &self.plan.plan.settings;
        all.extend(limits::at_start(files(settings), version));
        all.extend(limits::properties(files(settings), version));
        if self.asked.which == Which::System {
            let allowed = self.plan.plan.devices.allowed();
            all.extend(limits::devices(allowed.as_deref(), version));
        }
        all
    }
}

fn files(settings: &[Setting]) -> impl Iterator<Item = (&str, &str)> {
    settings.iter().map(|setting| (&*setting.file, setting.value.as_str()))
}

/// Rounds what systemd would round, so that its idea of the limits and the kernel's are the same.
fn agree(settings: &mut [Setting]) {
    for setting in settings.iter_mut().filter(|setting| setting.file == "cpu.max") {
        if let Some(value) = limits::rounded_cpu_max(&setting.value) {
            setting.value = value;
        }
    }
}

impl Unit {
    fn manager(&self) -> Result<Manager> {
        reach(if self.user { Which::User } else { Which::System })
    }

    /// Stops it, when its processes are gone, and forgets that it failed.
    ///
    /// A systemd that is not there is not waited for again and again: when it is back it finds the scope empty, and lets go
    /// of it by itself. That is a warning.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`]: it refused.
    pub(crate) fn stop(&self) -> Result<()> {
        match self.manager().and_then(|mut manager| Ok(manager.stop(&self.name)?)) {
            Err(Error::Systemd(e)) if e.is_absence() => {
                tracing::warn!("{e}; its unit {:?} will end by itself", self.name);
                Ok(())
            }
            stopped => stopped,
        }
    }

    /// Has a waiting process moved into the container's cgroup, which is the unit's or below it.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`].
    pub(crate) fn attach(&self, pid: i32, cgroup: &Cgroup) -> Result<()> {
        let below = self.below(&cgroup.location().v2.inner);
        Ok(self.manager()?.attach(&self.name, &below, pid.cast_unsigned())?)
    }

    /// The path of a cgroup below the unit's own, as systemd wants it.
    fn below(&self, inner: &Path) -> String {
        let below: PathBuf = inner.iter().skip_while(|name| *name != self.name.as_str()).skip(1).collect();
        format!("/{}", below.display())
    }
}

impl Container {
    /// Tells systemd of changed limits and devices, if it has made the container's cgroup, and rounds the limits as it does.
    /// Then, and only then, they are to be written to the cgroup's files.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`].
    pub(crate) fn tell_unit(&self, settings: &mut [Setting], devices: Option<&DeviceProgram>) -> Result<()> {
        let Some(unit) = &self.saved.cgroups.unit else { return Ok(()) };
        agree(settings);
        let mut manager = unit.manager()?;
        let mut properties = limits::properties(files(settings), manager.version());
        if let Some(devices) = devices.filter(|_| !unit.user) {
            properties.extend(limits::devices(devices.allowed().as_deref(), manager.version()));
        }
        if properties.is_empty() { Ok(()) } else { Ok(manager.set(&unit.name, &properties)?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_a_number_of_seconds() {
        assert_eq!(patience("2.5").unwrap(), Duration::from_millis(2500));
        for bad in ["", "0", "-1", "nan", "inf", "1e9", "10s", "ten"] {
            let text = patience(bad).unwrap_err().to_string();
            assert!(text.contains(VARIABLE), "{bad:?}: {text}");
        }
    }

    #[test]
    fn a_cgroup_below_a_unit_has_a_path_of_its_own() {
        let unit = Unit { name: "a-b.scope".into(), user: true };
        assert_eq!(unit.below(Path::new("user.slice/a-b.scope")), "/");
        assert_eq!(unit.below(Path::new("user.slice/a-b.scope/x/y")), "/x/y");
    }
}
