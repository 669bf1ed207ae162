//! `orlop list`

use orlop_runtime::ContainerState;

use orlop_command::entry::Companion;

use super::{Entry, PLAIN};
use crate::{flags, output};

pub(super) const ENTRY: Entry = Entry {
    name: "list",
    about: "List containers",
    companion: Companion::ForTemplates,
    arguments: |command| {
        command.args([
            flags::format().help(flags::FORMAT_HELP),
            flags::switch("quiet", "Print ids only").short('q'),
        ])
    },
    run: |globals, arguments| {
        let containers = globals.runtime()?.list()?;
        if arguments.get_flag("quiet") {
            output::lines(containers.iter().map(|container| container.id.as_str()))?;
        } else if flags::is_json(arguments) {
            output::json(&containers, None)?;
        } else {
            output::write(table(&containers))?;
        }
        Ok(0)
    },
    ..PLAIN
};

fn table(containers: &[ContainerState]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(containers.iter().map(|container| {
        [
            container.id.clone(),
            container.pid.to_string(),
            status(container),
            container.bundle.display().to_string(),
            container.created.clone(),
            container.owner.clone(),
        ]
    }));
    output::titled(output::table(&rows))
}

/// Its status; of a supervised container also how it is or has ended.
pub fn status(container: &ContainerState) -> String {
    let more = container.supervised.as_ref().and_then(|supervised| match supervised.status {
        "restarting" | "lost" => Some(supervised.status.to_owned()),
        _ => match (supervised.exit_code, &supervised.health) {
            (Some(code), _) => Some(code.to_string()),
            (None, Some(health)) => Some(health.status.to_string()),
            (None, None) => None,
        },
    });
    more.map_or_else(|| container.status.to_string(), |more| format!("{} ({more})", container.status))
}
