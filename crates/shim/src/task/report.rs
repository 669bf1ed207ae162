//! Containers and processes in words, for a report.

use super::{Phase, Process, Task};
use crate::server::Server;

impl Server {
    /// A line for each process and each stream.
    pub(crate) fn report_tasks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, task) in &self.tasks {
            lines.push(format!("container {id}: {}{}", in_words(&task.init), of_all(task)));
            let execs = task.execs.iter();
            lines.extend(
                execs.map(|(exec, process)| format!("process {exec} of {id}: {}", in_words(process))),
            );
        }
        for (number, flow) in &self.flows {
            lines.push(format!("stream {number} of {}: {flow}", flow.owner().name()));
        }
        lines
    }
}

fn of_all(task: &Task) -> String {
    let words = [(task.busy, ", a job changes it"), (task.paused, ", paused")];
    words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
}

fn in_words(process: &Process) -> String {
    let phase = match &process.phase {
        Phase::Making => "being made".to_owned(),
        Phase::Added(_) => "added".to_owned(),
        Phase::Created => "created".to_owned(),
        Phase::Starting => "being started".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Ended(exit) => format!("ended with {}", exit.status),
    };
    let mut words = vec![phase, format!("pid {}", process.pid)];
    if process.ended.is_some() {
        words.push("its end is not told yet".to_owned());
    }
    if !process.waiting.is_empty() {
        words.push(format!("{} wait for its end", process.waiting.len()));
    }
    if process.deleting.is_some() {
        words.push("Delete waits for its output".to_owned());
    }
    words.join(", ")
}
