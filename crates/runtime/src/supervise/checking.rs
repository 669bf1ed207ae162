//! When the supervisor checks the container's health.

use std::time::{Duration, Instant};

use super::health::{Begun, Check, Checked, Health};
use super::run::Run;
use super::supervisor::{Source, Supervisor};
use crate::reactor::Interest;

impl Supervisor {
    /// The container was just started.
    pub(super) fn plan_first_check(&mut self) {
        self.life.health = self.settings.supervision.health.is_some().then(Health::new);
        self.plan_check();
    }

    fn plan_check(&mut self) {
        if let Some(check) = &self.settings.supervision.health {
            self.reactor.at(Instant::now() + check.interval, Source::Check(self.runs));
        }
    }

    /// It is time.
    pub(super) fn check(&mut self) {
        let (Some(run), Some(settings)) = (&mut self.run, &self.settings.supervision.health) else { return };
        if self.stopping || run.check.is_some() {
            return;
        }
        match Check::begin(&self.runtime, &self.id, settings) {
            Begun::Check(check) => {
                run.checks += 1;
                let end = self.reactor.add(&check.pidfd, Interest::Readable, Source::CheckEnd);
                let output = self.reactor.add(&check.output, Interest::Readable, Source::CheckOutput);
                let (Ok(end), Ok(output)) = (end, output) else {
                    // Without the one or the other it would never end. There is no memory; that will be noticed elsewhere.
                    return tracing::warn!("the check of the container's health cannot be waited for");
                };
                let late = check.began() + settings.timeout;
                self.reactor.at(late, Source::CheckTimeout(self.runs, run.checks));
                run.check = Some((check, end, Some(output)));
            }
            Begun::Failed(checked) => self.checked(checked),
            Begun::Skipped => self.plan_check(),
        }
    }

    pub(super) fn check_said(&mut self) {
        let Some((check, _, output)) = self.run.as_mut().and_then(|run| run.check.as_mut()) else { return };
        if !check.read(&mut self.scratch)
            && let Some(token) = output.take()
        {
            self.reactor.remove(&check.output, token);
        }
    }

    pub(super) fn check_too_late(&mut self, number: u32) {
        let Some(run) = self.run.as_mut().filter(|run| run.checks == number) else { return };
        if let Some((check, ..)) = &mut run.check {
            check.give_up();
        }
    }

    pub(super) fn check_ended(&mut self) {
        let Some((check, end, output)) = self.run.as_mut().and_then(|run| run.check.take()) else { return };
        self.reactor.remove(&check.pidfd, end);
        if let Some(output) = output {
            self.reactor.remove(&check.output, output);
        }
        let timeout = self.settings.supervision.health.as_ref().map_or(Duration::ZERO, |check| check.timeout);
        let checked = check.end(&mut self.scratch, timeout);
        self.checked(checked);
    }

    fn checked(&mut self, checked: Checked) {
        let (Some(run), Some(settings)) = (&self.run, &self.settings.supervision.health) else { return };
        let early = run.began.elapsed() < settings.start_period;
        if let Some(health) = &mut self.life.health {
            health.add(checked, settings.retries, early);
        }
        self.record();
        self.plan_check();
    }

    /// The container has ended, and its check is of no interest any more.
    pub(super) fn forget_check(&mut self, run: &mut Run) {
        let Some((mut check, end, output)) = run.check.take() else { return };
        check.give_up();
        self.reactor.remove(&check.pidfd, end);
        if let Some(output) = output {
            self.reactor.remove(&check.output, output);
        }
        check.end(&mut self.scratch, Duration::ZERO);
    }
}
