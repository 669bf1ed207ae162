//! What the rules of a profile say about each system call of one architecture.

use crate::action::Action;
use crate::chain::ChainRule;
use crate::condition::Condition;

/// What the rules say about one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Open,
    /// This, whatever the arguments are.
    Decided(Action),
    /// It depends on the arguments.
    Depends,
}

/// All verdicts, by place (see [`crate::tables::number_at`]): the order of numbers without sorting.
pub(crate) struct Verdicts {
    by_place: Vec<Verdict>,
    /// The rules that look at arguments, each with its place, in the order of the profile. They are few.
    conditional: Vec<(u16, ChainRule)>,
}

/// Room for the numbers that most architectures have.
const PLACES: usize = 512;

impl Verdicts {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self { by_place: Vec::with_capacity(PLACES), conditional: Vec::new() }
    }

    /// Back to none, for an architecture on which most rules are about places up to this one.
    pub(crate) fn clear(&mut self, largest: u16) {
        self.by_place.clear();
        self.by_place.resize(usize::from(largest) + 1, Verdict::Open);
        self.conditional.clear();
    }

    /// The next rule of the profile.
    #[inline]
    pub(crate) fn add(&mut self, place: u16, conditions: &[Condition], action: Action) {
        let at = usize::from(place);
        if at >= self.by_place.len() {
            self.by_place.resize(at + 1, Verdict::Open);
        }
        let verdict = &mut self.by_place[at];
        // The first rule without conditions decides, also where rules with conditions came before.
        if matches!(verdict, Verdict::Decided(_)) {
            return;
        }
        if conditions.is_empty() {
            *verdict = Verdict::Decided(action);
        } else {
            *verdict = Verdict::Depends;
            self.conditional.push((place, ChainRule { conditions: conditions.to_vec(), action }));
        }
    }

    /// How many places there are: all verdicts from here on are open.
    pub(crate) fn places(&self) -> u16 {
        self.by_place.len() as u16
    }

    /// The verdict of one place.
    pub(crate) fn of(&self, place: u16) -> Verdict {
        self.by_place[usize::from(place)]
    }

    /// Takes the rules that look at the arguments of one place.
    pub(crate) fn take_rules(&mut self, place: u16) -> Vec<ChainRule> {
        self.conditional.extract_if(.., |rule| rule.0 == place).map(|(_, rule)| rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_without_conditions_decides() {
        let condition = Condition::first_arg_is(1);
        let mut verdicts = Verdicts::new();
        verdicts.add(3, &[condition], Action::Trap);
        verdicts.add(1, &[condition], Action::Log);
        verdicts.add(3, &[], Action::Allow);
        verdicts.add(3, &[], Action::Log);
        verdicts.add(1, &[condition], Action::Trap);
        let all: Vec<_> = (0..verdicts.places()).map(|place| verdicts.of(place)).collect();
        assert_eq!(all, [Verdict::Open, Verdict::Depends, Verdict::Open, Verdict::Decided(Action::Allow)]);
        let actions: Vec<_> = verdicts.take_rules(1).iter().map(|rule| rule.action).collect();
        assert_eq!(actions, [Action::Log, Action::Trap]);
    }
}
