//! Commands of others about a container whose `create` stands still at some step: each ends soon, and says why if it refuses.
//! Then `create` goes on, and ends in a container that works, or in an error that leaves nothing.
use std::ffi::OsString;

use super::{Bad, Extent, SOON, left_behind, strike_all};
use crate::command::DEFECTS;
use crate::fault::{Fault, Point, Trace, Traced};
use crate::{Container, Output};

/// A command of another, `ID` being the container.
type Command = &'static [&'static str];

/// Others, and what they disturb.
pub struct Others<'a> {
    /// Its name in the report.
    pub name: &'a str,
    /// The container that is made.
    pub container: &'a Container,
    /// The command that makes it, without global options.
    pub create: Vec<OsString>,
    /// What others do, one of them at a time.
    pub commands: &'a [Command],
}

impl Others<'_> {
    /// Stops the command at its steps, and fails the test if that, or what another does meanwhile, has a bad end.
    pub fn run(&self, extent: Extent) {
        strike_all(self.name, 0, (extent, self.commands), |meanwhile| self.once(meanwhile));
    }

    fn once(&self, meanwhile: Option<(Point, Command)>) -> (Trace, Vec<Bad>) {
        let container = self.container;
        std::fs::remove_file(container.pid_file()).ok();
        let (mut bad, mut done) = (Vec::new(), None);
        let stall = meanwhile.map(|(point, _)| (point, Fault::StallAndGoOn));
        let trace = Traced::new(container, &self.create).run(stall, &mut || {
            let Some((_, command)) = meanwhile else { return };
            let out = self.command(command);
            bad.extend(judge(&out));
            done = (out.code == 0).then_some(command[0]);
        });
        if trace.hung {
            bad.push(Bad::Hang(format!("it hangs: {}", trace.stderr)));
        } else if trace.code == 0 {
            bad.extend(self.works(done));
        } else if trace.stderr.is_empty() || DEFECTS.iter().any(|words| trace.stderr.contains(words)) {
            bad.push(Bad::Wrong(format!("it ends with {} and says {:?}", trace.code, trace.stderr)));
        }
        // What has failed has left nothing that anybody would have to take away.
        let out = (trace.hung || trace.code == 0).then(|| self.command(&["delete", "--force", "ID"]));
        bad.extend(out.filter(|out| out.code != 0).map(|out| Bad::Wrong(out.to_string())));
        bad.extend(left_behind(container, &trace));
        (trace, bad)
    }

    fn command(&self, command: &[&str]) -> Output {
        let words = command.iter().map(|word| if *word == "ID" { &self.container.id } else { *word });
        self.container.runtime().args(words).within(&["timeout", "-s", "KILL", SOON]).output()
    }

    /// Whether the container can be used, after what another has done with it.
    fn works(&self, done: Option<&str>) -> Vec<Bad> {
        let commands: &[&[&str]] = match done {
            // They have had success, and it is in the state that they have brought it to.
            Some("delete" | "kill") => &[],
            Some("start") => &[&["exec", "ID", "true"]],
            Some("pause") => &[&["resume", "ID"], &["start", "ID"], &["exec", "ID", "true"]],
            _ => &[&["start", "ID"], &["exec", "ID", "true"]],
        };
        let outs = commands.iter().map(|command| self.command(command));
        outs.filter(|out| out.code != 0).map(|out| Bad::Wrong(format!("it does not work: {out}"))).collect()
    }
}

/// What is wrong with how a command ended.
fn judge(out: &Output) -> Option<Bad> {
    if out.code == 137 {
        return Some(Bad::Hang(out.to_string()));
    }
    let silent = out.code != 0 && out.stderr.is_empty();
    let defect = DEFECTS.iter().any(|words| out.stderr.contains(words));
    (silent || defect).then(|| Bad::Wrong(out.to_string()))
}
