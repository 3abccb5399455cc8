//! After a failure: choosing a recovery, and what follows from how it came out.

use std::collections::VecDeque;

use serde_json::Value;
use sinew_plugin_host::{Assessment, Failure, Kind, Proposal, RecoveryContext, RunEnd, Usage};
use sinew_units::Ticks;

use super::acting::told;
use super::{Claim, Context, Left, Phase, Problem, Role, Task, mix, stop_problem};
use crate::event::Happening;
use crate::failure::FailureLabel;
use crate::fault::Fault;
use crate::installed::{Account, Plugins, Version};
use crate::lease::RobotParts;
use crate::task::TaskState;

impl<P: Plugins> Task<P> {
    pub(super) fn skill_failed(
        &mut self,
        context: &mut Context<'_, P>,
        problem: Problem,
    ) -> (Phase<P::Run>, bool) {
        self.say(
            context,
            Happening::Failure {
                label: problem.label,
                message: problem.message.clone(),
                detail: problem.detail.clone(),
            },
        );
        self.failures_met.push(problem.label);
        self.judge_claim(context, false);
        // No recovery has memory for a machine that has none.
        if problem.label.needs_person()
            || !self.options.recovery
            || self.is_over_for_good()
            || problem.is_starved
        {
            return self.fail(context, problem);
        }
        if self.time_is_over(context).is_some() {
            return self.fail(context, problem);
        }
        let cause = format!("{}: {}", problem.label, problem.message);
        self.enter(context, TaskState::Recovering, &cause);
        self.problem = Some(problem);
        self.choose(context)
    }

    /// Now it shows whether the last recovery has helped.
    pub(super) fn judge_claim(&mut self, context: &mut Context<'_, P>, has_succeeded: bool) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let helped = has_succeeded || claim.checkpoint != self.checkpoint;
        context.history.note(&claim.recovery, claim.label, helped);
        self.attempts_helped += u64::from(helped);
        if !helped {
            self.count_failure(&claim.recovery, claim.label);
        }
        self.say(
            context,
            Happening::RecoveryJudged {
                recovery: claim.recovery,
                helped,
            },
        );
    }

    fn count_failure(&mut self, recovery: &str, label: FailureLabel) {
        *self
            .failures_of
            .entry((recovery.to_owned(), label))
            .or_default() += 1;
    }

    /// What recoveries are told, with the attempts before the one that it is about.
    pub(super) fn recovery_context(&self, attempts: u32, time_limit: Ticks) -> RecoveryContext {
        RecoveryContext {
            skill: self.skill.clone(),
            version: self.version.manifest().version.clone(),
            params: self.params.clone(),
            attempts,
            resumable: self.checkpoint.is_some(),
            time_limit,
        }
    }

    /// Finds out which recoveries to ask.
    fn choose(&mut self, context: &mut Context<'_, P>) -> (Phase<P::Run>, bool) {
        let problem = self.problem();
        let budget = &context.config.budget;
        if self.attempts >= budget.attempts || self.recovering_time >= budget.time {
            return self.fail(context, problem);
        }
        let mut to_ask = handlers(context.plugins, problem.label);
        to_ask.retain(|name| {
            let failures = self.failures_of.get(&(name.clone(), problem.label));
            failures.is_none_or(|failures| *failures < budget.failures_each)
        });
        // Its parts were given back. Until it is known who goes on with them, and with what is in the gripper, nobody else has them.
        for version in [&self.version, &self.running] {
            let _ = (context.leases).take(RobotParts::of(version.manifest()), self.id);
        }
        let phase = Phase::Choosing {
            to_ask: to_ask.into(),
            proposals: Vec::new(),
        };
        (phase, true)
    }

    /// Asks one recovery a step, so that all of them together keep the brain no longer from its next step than one. Takes the best
    /// once all were asked.
    pub(super) fn ask(
        &mut self,
        context: &mut Context<'_, P>,
        mut to_ask: VecDeque<String>,
        mut proposals: Vec<(String, Proposal)>,
    ) -> (Phase<P::Run>, bool) {
        if !to_ask.is_empty() {
            if let Some(cause) = self.cancel.take() {
                return self.cancelled(context, &cause);
            }
            if context.latched() {
                let problem = stop_problem(context.status);
                return self.fail(context, problem);
            }
            if let Some(message) = self.time_is_over(context) {
                return self.fail(context, Problem::new(FailureLabel::Timeout, message));
            }
        }
        let problem = self.problem();
        if self.is_over_for_good() {
            return self.fail(context, problem);
        }
        // An answer is made in one step, so it is not begun at the end of one.
        if !to_ask.is_empty() && context.plugins.step_is_used_up() {
            return (Phase::Choosing { to_ask, proposals }, false);
        }
        if let Some(name) = to_ask.pop_front() {
            let asked = self.recovery_context(self.attempts, context.config.budget.run_time);
            match self.assess(context, &name, &problem.failure(), &asked) {
                Ok(proposal) => proposals.extend(proposal.map(|proposal| (name, proposal))),
                Err(ended) => {
                    self.nondeterministic |= ended.is_by_the_machine();
                    let how = format!("could not assess: {ended:?}");
                    self.say(context, Happening::RunEnded { plugin: name, how });
                }
            }
        }
        if !to_ask.is_empty() {
            return (Phase::Choosing { to_ask, proposals }, false);
        }
        let weighed = context.history.weigh(problem.label, proposals);
        let best = weighed.first().cloned();
        self.say(
            context,
            Happening::Assessed {
                label: problem.label,
                proposals: weighed,
            },
        );
        let Some(best) = best else {
            return self.fail(context, problem);
        };
        self.attempts += 1;
        self.say(
            context,
            Happening::RecoveryChosen {
                recovery: best.recovery.clone(),
                plan: best.plan,
                attempt: self.attempts,
            },
        );
        let phase = Phase::Waiting {
            next: Role::Recovery {
                name: best.recovery,
            },
            since: context.now,
        };
        (phase, true)
    }

    /// Asks one recovery. What its run says, was refused and is recorded of it is kept like that of any run.
    fn assess(
        &self,
        context: &mut Context<'_, P>,
        name: &str,
        failure: &Failure,
        asked: &RecoveryContext,
    ) -> Result<Option<Proposal>, RunEnd> {
        let Some(version) = context.plugins.current(name) else {
            return Ok(None);
        };
        let number = self.runs + 1;
        let seed = mix(self.options.seed, number);
        let Assessment {
            answer,
            events,
            denials,
            record,
        } = (context.plugins).assess(&version, failure, asked, seed, context.now);
        let fault = answer.as_ref().err().and_then(Fault::of);
        if let Err(ended) = &answer {
            let asked = fault.clone().map(|fault| Fault {
                text: format!("when it was asked: {}", fault.text),
                ..fault
            });
            if let Some(account) = Account::of_run(asked, ended) {
                context.account(&version, &account, &Usage::default());
            }
        }
        let events = events.into_iter();
        (context.out.events).extend(events.map(|event| told(self.id, name, event)));
        let left = Left {
            number,
            assess: true,
            record,
            denials,
            fault,
        };
        self.leave(context.out, &version, left);
        answer
    }

    pub(super) fn recovered(
        &mut self,
        context: &mut Context<'_, P>,
        name: &str,
        result: &Value,
    ) -> (Phase<P::Run>, bool) {
        let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
        self.say(
            context,
            Happening::RecoveryEnded {
                recovery: name.to_owned(),
                put_right: true,
                message: text("message").to_owned(),
            },
        );
        if text("next") == "restart" {
            (self.checkpoint, self.before) = (None, None);
        }
        let label = match self.problem.take() {
            Some(problem) => problem.label,
            None => FailureLabel::SkillFault,
        };
        self.claim = Some(Claim {
            recovery: name.to_owned(),
            label,
            checkpoint: self.checkpoint.clone(),
        });
        let phase = Phase::Waiting {
            next: Role::Skill,
            since: context.now,
        };
        (phase, true)
    }

    pub(super) fn recovery_failed(
        &mut self,
        context: &mut Context<'_, P>,
        name: &str,
        failed: Problem,
    ) -> (Phase<P::Run>, bool) {
        self.say(
            context,
            Happening::RecoveryEnded {
                recovery: name.to_owned(),
                put_right: false,
                message: format!("{}: {}", failed.label, failed.message),
            },
        );
        if let Some(problem) = &self.problem {
            let label = problem.label;
            context.history.note(name, label, false);
            self.count_failure(name, label);
        }
        if failed.label.needs_person() {
            return self.fail(context, failed);
        }
        // What it found out may be another recovery's business: the dropped part is missing by now. That it is broken itself is
        // not: the skill has still failed for its own reason.
        let is_news = failed.label != FailureLabel::SkillFault
            && (self.problem.as_ref()).is_none_or(|problem| problem.label != failed.label);
        if is_news
            && !failed.detail.is_null()
            && !handlers(context.plugins, failed.label).is_empty()
        {
            self.failures_met.push(failed.label);
            self.say(
                context,
                Happening::Failure {
                    label: failed.label,
                    message: failed.message.clone(),
                    detail: failed.detail.clone(),
                },
            );
            self.problem = Some(failed);
        }
        self.choose(context)
    }
}

/// Recoveries whose manifest handles a label, in order of their names.
fn handlers<P: Plugins>(plugins: &P, label: FailureLabel) -> Vec<String> {
    plugins
        .names(Kind::Recovery)
        .into_iter()
        .filter(|name| {
            plugins.current(name).is_some_and(|version| {
                let handles = &version.manifest().handles;
                handles.iter().any(|handled| handled == label.code())
            })
        })
        .collect()
}
