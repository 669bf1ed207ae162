//! Copying between processes and containerd's places.

use super::{ProcessId, process};
use crate::messages::task::{CloseIORequest, ResizePtyRequest};
use crate::reactor::{Interest, Token};
use crate::server::{Answer, Server, Source, empty};
use crate::stdio::{Copy, State, Streams, failed};
use crate::ttrpc::{Code, Failure};
use orlop_sys::Fd;
use orlop_sys::terminal::set_size;

/// A copy under way, and who waits for which side of it.
#[derive(Debug)]
pub(crate) struct Flow {
    copy: Copy,
    owner: ProcessId,
    from: Option<Token>,
    to: Option<Token>,
}

impl Flow {
    pub(super) const fn owner(&self) -> &ProcessId {
        &self.owner
    }
}

/// What it waits for, for a report.
impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.copy.has_pending() {
            "waits for room to write"
        } else {
            "waits for something to read"
        })
    }
}

impl Server {
    /// Copies the streams of a process from now on.
    pub(super) fn copy(&mut self, id: &ProcessId, streams: Streams) {
        let Streams { input, outputs, .. } = streams;
        let input = input.map(|copy| self.add_flow(id, copy));
        let outputs: Vec<u64> = outputs.into_iter().map(|copy| self.add_flow(id, copy)).collect();
        if let Ok(process) = process(&mut self.tasks, id) {
            (process.input, process.outputs) = (input, outputs);
        }
    }

    fn add_flow(&mut self, id: &ProcessId, copy: Copy) -> u64 {
        self.last_flow += 1;
        let number = self.last_flow;
        // A regular file cannot be waited for, and always takes what is written.
        let from = self.reactor.add(&copy.from, Interest::Readable, Source::Flow(number)).ok();
        self.flows.insert(number, Flow { copy, owner: id.clone(), from, to: None });
        number
    }

    /// A side of a copy is ready.
    pub(crate) fn flow(&mut self, number: u64) {
        let Some(flow) = self.flows.get_mut(&number) else { return };
        let state = flow.copy.run(&mut self.scratch);
        let (from, to) = match state {
            State::Done => return self.flow_ended(number),
            State::Reading => (Interest::Readable, Interest::Nothing),
            State::Writing => (Interest::Nothing, Interest::Writable),
        };
        if let Some(token) = flow.from {
            self.reactor.change(&flow.copy.from, token, from).ok();
        }
        if state == State::Writing && flow.to.is_none() {
            flow.to = self.reactor.add(&flow.copy.to, to, Source::Flow(number)).ok();
        } else if let Some(token) = flow.to {
            self.reactor.change(&flow.copy.to, token, to).ok();
        }
    }

    fn flow_ended(&mut self, number: u64) {
        let Some(owner) = self.drop_flow(number) else { return };
        let Ok(process) = process(&mut self.tasks, &owner) else { return };
        process.outputs.retain(|output| *output != number);
        process.input = process.input.filter(|input| *input != number);
        self.go_on_deleting(&owner);
    }

    /// Closes both sides; whose they were.
    pub(super) fn drop_flow(&mut self, number: u64) -> Option<ProcessId> {
        let flow = self.flows.remove(&number)?;
        if let Some(token) = flow.from {
            self.reactor.remove(&flow.copy.from, token);
        }
        if let Some(token) = flow.to {
            self.reactor.remove(&flow.copy.to, token);
        }
        Some(flow.owner)
    }

    /// Whether something that was read waits to be written.
    pub(super) fn is_stuck(&self, number: u64) -> bool {
        self.flows.get(&number).is_some_and(|flow| flow.copy.has_pending())
    }

    pub(crate) fn close_io(&mut self, request: &CloseIORequest) -> Answer {
        let process = process(&mut self.tasks, &ProcessId::new(&request.id, &request.exec_id))?;
        if request.stdin {
            // The input ends when its other writers have closed it too.
            process.holder = None;
            process.early.closed = true;
        }
        empty()
    }

    pub(crate) fn resize(&mut self, request: &ResizePtyRequest) -> Answer {
        let process = process(&mut self.tasks, &ProcessId::new(&request.id, &request.exec_id))?;
        let limit = |n: u32| {
            let why = || {
                Failure::new(
                    Code::InvalidArgument,
                    format!("a terminal has at most 65535 rows and columns, not {n}"),
                )
            };
            u16::try_from(n).map_err(|_| why())
        };
        let (rows, columns) = (limit(request.height)?, limit(request.width)?);
        process.early.size = Some((rows, columns));
        if let (Some(terminal), None) = (&process.terminal, process.exit()) {
            set_size(Fd::of(terminal), rows, columns).map_err(failed("resize the terminal"))?;
        }
        empty()
    }
}
