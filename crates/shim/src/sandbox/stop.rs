//! StopSandbox: the end of a pod, with or without time for its containers to end by themselves.

use std::time::{Duration, Instant};

use orlop_runtime::Runtime;

use super::{Phase, first};
use crate::messages::sandbox::StopSandboxRequest;
use crate::server::{Answer, Call, Server, Source, empty};
use crate::ttrpc::Result;

impl Server {
    /// Ends what runs in the pod, and the pod: at once, or if there is a time limit, by SIGTERM, and what has not ended then
    /// by SIGKILL.
    pub(crate) fn stop_sandbox(&mut self, call: Call, request: &StopSandboxRequest) -> Answer {
        let sandbox = self.pod(&request.sandbox_id)?;
        match sandbox.phase {
            Phase::Busy => return Err(sandbox.wrong_phase("stop")),
            Phase::Ended(_) if !sandbox.remains => return empty(),
            Phase::Ended(_) | Phase::Created | Phase::Thread(_) | Phase::Process { .. } => {}
        }
        sandbox.stopping.get_or_insert_default().push(call);
        let grace = Duration::from_secs(request.timeout_secs.into());
        if grace.is_zero() || !self.ask_to_end() {
            self.stop_now();
        } else {
            self.reactor.at(Instant::now() + grace, Source::Grace);
        }
        Ok(None)
    }

    /// A container has ended: perhaps the last that a pod waits for.
    pub(crate) fn container_ended(&mut self) {
        let stopping = self.sandbox.as_ref().is_some_and(|sandbox| sandbox.stopping.is_some());
        if stopping && !self.has_running() {
            self.stop_now();
        }
    }

    /// The containers have had their time.
    pub(crate) fn grace_over(&mut self) {
        if self.sandbox.as_ref().is_some_and(|sandbox| sandbox.stopping.is_some()) {
            self.stop_now();
        }
    }

    fn stop_now(&mut self) {
        let namespace = self.namespace.clone();
        let Some(sandbox) = &mut self.sandbox else { return };
        let calls = sandbox.stopping.take().unwrap_or_default();
        let remains = sandbox.remains;
        let (own, bundle, options) = (sandbox.id.clone(), sandbox.bundle.clone(), sandbox.options.clone());
        self.kill_all();
        if !remains {
            self.sandbox_ended();
            return self.stopped(calls, &Ok(()));
        }
        let delete = move || first::end(&Runtime::new(options.settings(&namespace))?, &own, &bundle);
        self.jobs.start(delete, move |server: &mut Self, deleted| {
            if deleted.is_ok() {
                server.sandbox.iter_mut().for_each(|sandbox| sandbox.remains = false);
                server.sandbox_ended();
            } else {
                // There will be another call.
                server.leaving = false;
            }
            server.stopped(calls, &deleted);
        });
    }

    fn stopped(&mut self, calls: Vec<Call>, stopped: &Result<()>) {
        for call in calls {
            self.answer(call, stopped.clone().map(|()| Vec::new()));
        }
    }
}
