//! The `unified` map: files of version 2 by name (OCI runtime-spec, config-linux.md, "Unified").

use std::collections::BTreeMap;

use orlop_spec::Pointer;

use super::{Planner, Wish};
use crate::controller::Controller;
use crate::layout::Hierarchy;

const UNIFIED: &str = "/linux/resources/unified/{}";
/// The core files that are limits. The others move processes or steer the tree, which is the runtime's own work.
const CORE_LIMITS: [&str; 3] = ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"];

impl Planner<'_> {
    pub(super) fn unified(&mut self, files: &BTreeMap<String, String>) {
        for (file, value) in files {
            let origin = Pointer::new(UNIFIED).key(file.as_str());
            if let Some(controller) = self.unified_controller(file, &origin) {
                // Some files, such as io.max, take one line at a time.
                for line in value.lines() {
                    let why = "asked for by file name";
                    self.put(Hierarchy::V2, Wish::new(controller, file.clone(), line, origin.clone(), why));
                }
            }
        }
    }

    fn unified_controller(&mut self, file: &str, origin: &Pointer) -> Option<Controller> {
        if file.contains(['/', '\0', '\n']) {
            self.problem(origin.clone(), format!("{file:?} must be a file name (no slashes)"), "");
            return None;
        }
        let Some((name, _)) =
            file.split_once('.').filter(|(name, rest)| !name.is_empty() && !rest.is_empty())
        else {
            let what = format!("{file:?} must be of the form CONTROLLER.PARAMETER");
            self.problem(origin.clone(), what, "");
            return None;
        };
        let controller = Controller::from_name(name);
        if controller == Some(Controller::Core) && !CORE_LIMITS.contains(&file) {
            let what =
                format!("{file:?} is not a limit; of the core's files, only {} are", CORE_LIMITS.join(", "));
            self.problem(origin.clone(), what, "");
            return None;
        }
        let version = controller.and_then(|c| self.layout.hierarchy_of(c));
        if version == Some(Hierarchy::V2) {
            return controller;
        }
        let hint = match (version, controller.and_then(|c| self.layout.v1_mount_of(c))) {
            (Some(_), Some(v1)) => format!(
                "this hybrid host has it in version 1, at {}: use the fields of linux.resources instead",
                v1.mount.display()
            ),
            _ => String::new(),
        };
        let what = format!("{file:?} can't be set: controller {name:?} not available in cgroup v2");
        self.problem(origin.clone(), what, hint);
        None
    }
}
