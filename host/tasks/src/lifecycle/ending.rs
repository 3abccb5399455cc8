//! Asking the world, and the end of a task.

use serde_json::Value;
use sinew_plugin_host::{Usage, line};
use sinew_units::Tick;

use super::{Context, Phase, Problem, Role, Task};
use crate::conditions::{Condition, WorldView};
use crate::event::Happening;
use crate::failure::FailureLabel;
use crate::installed::{Account, Plugins, Version};
use crate::task::{TaskEnd, TaskState};

/// Looks at the world before it is told that it does not agree.
const LOOKS_MIN: u32 = 3;

/// What was seen of the world while it was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// What does not hold yet was reported.
    is_told: bool,
    /// Steps in which it was looked at.
    steps: u32,
    /// Images in which it was looked at, and the tick of the last one.
    images: u32,
    last_image: u64,
}

impl Seen {
    /// One more look: how often it was looked at by now. The same image says the same again.
    fn look(&mut self, image: Option<u64>) -> u32 {
        self.steps = self.steps.saturating_add(1);
        let Some(image) = image else {
            return self.steps;
        };
        if image != self.last_image {
            self.images = self.images.saturating_add(1);
            self.last_image = image;
        }
        self.images
    }
}

impl<P: Plugins> Task<P> {
    pub(super) fn judge(
        &mut self,
        context: &mut Context<'_, P>,
        role: Role,
        result: Value,
        since: Tick,
        mut seen: Seen,
    ) -> (Phase<P::Run>, bool) {
        if let Some(cause) = self.cancel.take() {
            return self.cancelled(context, &cause);
        }
        // What a manifest declares may be long to judge.
        if context.plugins.step_is_used_up() {
            let phase = Phase::Judging {
                role,
                result,
                since,
                seen,
            };
            return (phase, false);
        }
        let name = self.plugin_of(&role).to_owned();
        let snapshot = context.world.snapshot();
        let is_newer = snapshot.image_tick > since.0 && !snapshot.is_stalled();
        let version = self.running.clone();
        let conditions = version.conditions();
        let is_blind = !is_newer && conditions.iter().any(Condition::needs_images);
        let verdict = {
            let schema = &version.manifest().params_schema;
            let view = WorldView {
                snapshot: &snapshot,
                places: context.world.places(),
                status: context.status,
                named_poses: &context.config.named_poses,
                leases: context.leases,
                task: self.id,
            };
            let mut judged =
                (conditions.iter()).filter(|condition| is_newer || !condition.needs_images());
            // A skill's were counted when its task was submitted; what a recovery's come to shows here.
            Condition::check_entries(conditions, &self.params, schema).and_then(|()| {
                judged.try_for_each(|condition| condition.judge(&self.params, schema, &view))
            })
        };
        let problem = match verdict {
            Ok(()) if !is_blind => {
                self.release(context);
                return match role {
                    Role::Skill => self.succeeded(context, result),
                    Role::Recovery { name } => self.recovered(context, &name, &result),
                };
            }
            Ok(()) => {
                let message = "no camera has shown the world since the run ended";
                Problem::new(FailureLabel::SensorStall, message)
            }
            Err(reason) => {
                let message = format!("{name} says yes, the world says: {reason}");
                Problem::new(FailureLabel::FalseSuccess, message)
            }
        };
        // Where others keep the thread, its time may be over before it was looked at often enough.
        let by_images = is_newer && conditions.iter().any(Condition::needs_images);
        let looks = seen.look(by_images.then_some(snapshot.image_tick));
        if context.now.since(since) <= context.config.judge_time || looks < LOOKS_MIN {
            if !seen.is_told && is_newer {
                let reason = problem.message;
                self.say(context, Happening::Unmet { reason });
                seen.is_told = true;
            }
            let phase = Phase::Judging {
                role,
                result,
                since,
                seen,
            };
            return (phase, false);
        }
        self.release(context);
        match role {
            Role::Skill => self.skill_failed(context, problem),
            Role::Recovery { name } => self.recovery_failed(context, &name, problem),
        }
    }

    fn succeeded(&mut self, context: &mut Context<'_, P>, result: Value) -> (Phase<P::Run>, bool) {
        self.judge_claim(context, true);
        self.enter(
            context,
            TaskState::Succeeded,
            "the skill has finished and its post-conditions hold",
        );
        self.finish(context, None, String::new(), result, None);
        (Phase::Over, false)
    }

    pub(super) fn fail(
        &mut self,
        context: &mut Context<'_, P>,
        problem: Problem,
    ) -> (Phase<P::Run>, bool) {
        context.leases.release(self.id);
        self.judge_claim(context, false);
        self.is_stopped = problem.is_stop;
        let question = question(&self.skill, &problem, self.attempts);
        let cause = format!("{}: {}", problem.label, problem.message);
        self.enter(context, TaskState::Failed, &cause);
        let text = question.clone();
        self.say(context, Happening::Question { text });
        self.finish(
            context,
            Some(problem.label),
            problem.message,
            Value::Null,
            Some(question),
        );
        (Phase::Over, false)
    }

    pub(super) fn cancelled(
        &mut self,
        context: &mut Context<'_, P>,
        cause: &str,
    ) -> (Phase<P::Run>, bool) {
        context.leases.release(self.id);
        self.enter(context, TaskState::Cancelled, cause);
        let label = Some(FailureLabel::OperatorAbort);
        self.finish(context, label, cause.to_owned(), Value::Null, None);
        (Phase::Over, false)
    }

    fn finish(
        &mut self,
        context: &mut Context<'_, P>,
        label: Option<FailureLabel>,
        message: String,
        result: Value,
        question: Option<String>,
    ) {
        self.step_name.clear();
        self.step_object = None;
        // A fault that its last run ended with was booked with that run, and so is what the version was left for, or what the
        // machine did to it: only what the runs before it have used is still to be booked.
        if self.abandoned.is_some() || self.end_is_booked {
            if self.used != Usage::default() {
                context.account(&self.version, &Account::Ended, &self.used);
            }
        } else if self.runs > 0 {
            let account = account(self.state, label, self.is_stopped, &message);
            context.account(&self.version, &account, &self.used);
        }
        self.end = Some(TaskEnd {
            version: self.version.manifest().version.clone(),
            digest: self.version.digest().to_owned(),
            swaps: self.swaps,
            state: self.state,
            label,
            message,
            result,
            failures_met: self.failures_met.clone(),
            recoveries_attempted: u64::from(self.attempts),
            recoveries_succeeded: self.attempts_helped,
            first_pass: self.state == TaskState::Succeeded && self.attempts == 0,
            needs_person: question.is_some(),
            question,
            nondeterministic: self.nondeterministic,
            started: self.started.unwrap_or(context.now),
            ended: context.now,
        });
    }
}

/// What a task's end says about the version that it ran on.
fn account(
    state: TaskState,
    label: Option<FailureLabel>,
    is_stopped: bool,
    message: &str,
) -> Account {
    match (state, label) {
        (TaskState::Succeeded, _) => Account::Succeeded,
        (_, Some(FailureLabel::SkillFault)) => Account::Faulted(line(message)),
        // That a stop is latched says nothing of the skill; that the skill says so does.
        (TaskState::Cancelled, _) | (_, Some(FailureLabel::OperatorAbort)) => Account::Ended,
        (_, Some(FailureLabel::SafetyStop)) if is_stopped => Account::Ended,
        _ => Account::Failed,
    }
}

/// What a person is asked, in plain words.
fn question(skill: &str, problem: &Problem, attempts: u32) -> String {
    let tried = match attempts {
        0 => "No recovery was tried.".to_owned(),
        1 => "One recovery was tried.".to_owned(),
        n => format!("{n} recoveries were tried."),
    };
    let ask = if problem.label == FailureLabel::SafetyStop {
        "Is the cell clear, and may the stop be reset?"
    } else {
        "Can you put it right by hand, or shall the task be given up?"
    };
    format!(
        "{skill} could not go on ({}): {}. {tried} {ask}",
        problem.label, problem.message
    )
}
