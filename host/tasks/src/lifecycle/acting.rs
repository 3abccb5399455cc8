//! While a plugin runs: asking it to end, passing on what it says, filing how it ended.

use serde_json::{Value, json};
use sinew_plugin_host::{RunEnd, RunEvent, line};
use sinew_units::Ticks;

use super::{Context, EndAsked, Left, Outcome, Phase, Problem, Role, Task, stop_problem};
use crate::event::{Happening, TaskEvent};
use crate::failure::FailureLabel;
use crate::fault::Fault;
use crate::installed::{PluginRun, Plugins};
use crate::task::{Outbox, TaskId};

impl<P: Plugins> Task<P> {
    pub(super) fn act(
        &mut self,
        context: &mut Context<'_, P>,
        mut run: P::Run,
        role: Role,
    ) -> (Phase<P::Run>, bool) {
        self.ask_to_end(context, &mut run, &role);
        if role == Role::Skill && self.end_asked.is_none() {
            self.ask_to_swap(context, &mut run);
        }
        let polled = run.poll(context.now);
        let ended = match (polled, &self.end_asked) {
            (None, Some(EndAsked::Stop)) => Some(run.kill()),
            (polled, _) => polled,
        };
        let name = self.plugin_of(&role).to_owned();
        self.pass_on(context.out, &name, &mut run);
        if role == Role::Skill && self.abandoned.is_none() {
            self.checkpoint = run.checkpoint();
        }
        let Some(ended) = ended else {
            return (Phase::Acting { run, role }, false);
        };
        let fault = Fault::of(&ended);
        let left = Left::by(&mut run, self.runs, fault.clone());
        self.leave(context.out, &self.running, left);
        if role != Role::Skill {
            self.recovering_time = Ticks(self.recovering_time.0 + run.ran(context.now).0);
        }
        let outcome = match self.book(context, &role, &run, &ended, fault) {
            Some(outcome) => outcome,
            None => self.outcome(context, ended),
        };
        let how = match &outcome {
            Outcome::Success(_) => "has finished".to_owned(),
            Outcome::Failure(problem) => format!("failed: {}: {}", problem.label, problem.message),
            Outcome::Cancelled(cause) => cause.clone(),
            Outcome::Swapped => "makes room for another version".to_owned(),
        };
        self.say(context, Happening::RunEnded { plugin: name, how });
        let phase = Phase::Settling {
            role,
            outcome,
            since: context.now,
        };
        (phase, true)
    }

    /// Asks the run to end if there is a reason to.
    fn ask_to_end(&mut self, context: &Context<'_, P>, run: &mut P::Run, role: &Role) {
        self.latched_since = if context.latched() {
            Some(self.latched_since.unwrap_or(context.now))
        } else {
            None
        };
        if let Some(latched) = self.latched_since
            && context.now.since(latched) > context.config.stop_patience
        {
            self.end_asked = Some(EndAsked::Stop);
            return;
        }
        if self.end_asked.is_some() {
            return;
        }
        let reason = if let Some(cause) = self.cancel.take() {
            EndAsked::By(cause)
        } else if let Some(message) = self.time_is_over(context) {
            EndAsked::Time(message)
        } else if matches!(role, Role::Recovery { .. })
            && run.ran(context.now) > context.config.budget.run_time
        {
            EndAsked::Time(format!(
                "the recovery's time of {:.0} s is over",
                context.config.budget.run_time.as_seconds()
            ))
        } else if let Some(why) = self.recovery_left.take() {
            EndAsked::Abandoned(why)
        } else {
            return;
        };
        self.end_asked = Some(reason);
        run.cancel();
    }

    /// Passes on what a run has said since the last time, and keeps up with the step that it is at.
    pub(super) fn pass_on(&mut self, out: &mut Outbox, plugin: &str, run: &mut P::Run) {
        for event in run.take_events() {
            if let RunEvent::Step {
                name, object_id, ..
            } = &event
            {
                self.step_name.clone_from(name);
                self.step_object = *object_id;
            }
            out.events.push(told(self.id, plugin, event));
        }
    }

    /// Files the end of a run.
    fn outcome(&mut self, context: &Context<'_, P>, ended: RunEnd) -> Outcome {
        let has_finished = matches!(ended, RunEnd::Finished(_));
        self.nondeterministic |= ended.is_by_the_machine();
        match self.end_asked.take() {
            Some(EndAsked::By(cause)) => return Outcome::Cancelled(cause),
            Some(EndAsked::Stop) => return Outcome::Failure(stop_problem(context.status)),
            Some(EndAsked::Swap) if !has_finished => return Outcome::Swapped,
            Some(EndAsked::Time(message)) if !has_finished => {
                return Outcome::Failure(Problem::new(FailureLabel::Timeout, message));
            }
            Some(EndAsked::Abandoned(why)) if !has_finished => {
                return Outcome::Failure(Problem::new(FailureLabel::SkillFault, why));
            }
            Some(EndAsked::Time(_) | EndAsked::Swap | EndAsked::Abandoned(_)) | None => {}
        }
        // Under a latched stop nothing else is the cause, whatever the plugin thinks; but what was done before
        // it stays done.
        if context.latched() && !has_finished {
            return Outcome::Failure(stop_problem(context.status));
        }
        let fault = |message| Outcome::Failure(Problem::new(FailureLabel::SkillFault, message));
        match ended {
            RunEnd::Finished(result) => Outcome::Success(result),
            RunEnd::Failed(failure) => {
                let label = FailureLabel::of_plugin(&failure.label);
                // It is told on terminals and in reports, among the host's own lines.
                let message = line(&failure.message);
                Outcome::Failure(Problem {
                    label: label.unwrap_or(FailureLabel::SkillFault),
                    message: match label {
                        Some(_) => message,
                        None => format!("{}: {message}", line(&failure.label)),
                    },
                    detail: failure.detail,
                    is_starved: false,
                    is_stop: false,
                })
            }
            RunEnd::Trapped { message } => {
                // Where it was is for its author, and not for a line on a robot's screen.
                let (words, place) = match message.split_once('\n') {
                    Some((words, place)) => (words, json!({ "trap": place })),
                    None => (&*message, Value::Null),
                };
                Outcome::Failure(Problem {
                    detail: place,
                    ..Problem::new(
                        FailureLabel::SkillFault,
                        format!("it trapped: {}", line(words)),
                    )
                })
            }
            RunEnd::OutOfBudget { what, .. } => fault(format!("it used up its budget: {what}")),
            RunEnd::Starved { what } => Outcome::Failure(Problem {
                is_starved: true,
                ..Problem::new(
                    FailureLabel::SkillFault,
                    format!("the machine had no memory for it: {what}"),
                )
            }),
            RunEnd::HandedOver => Outcome::Swapped,
            RunEnd::Cancelled { .. } => fault("the plugin host ended it".to_owned()),
        }
    }
}

/// What a run says, as an event of its task.
pub(super) fn told(task: TaskId, plugin: &str, event: RunEvent) -> TaskEvent {
    let plugin = plugin.to_owned();
    let (tick, what) = match event {
        RunEvent::Step {
            tick,
            name,
            object_id,
        } => {
            let what = Happening::Step {
                plugin,
                step: name,
                object: object_id,
            };
            (tick, what)
        }
        RunEvent::Emitted {
            tick,
            name,
            payload,
        } => {
            let what = Happening::Emitted {
                plugin,
                name,
                payload,
            };
            (tick, what)
        }
        RunEvent::Log {
            tick,
            level,
            message,
        } => {
            let what = Happening::Log {
                plugin,
                level,
                text: message,
            };
            (tick, what)
        }
        RunEvent::SafePoint { tick, schema } => (tick, Happening::SafePoint { plugin, schema }),
        RunEvent::Denied { tick, text } => (tick, Happening::Denied { plugin, text }),
    };
    TaskEvent { tick, task, what }
}
