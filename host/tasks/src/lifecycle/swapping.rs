//! Going over from one version of a skill to another, in the middle of a task.

use sinew_plugin_host::{Checkpoint, RunEnd, Usage};

use super::{Context, EndAsked, Outcome, Role, Swap, Task};
use crate::engine::check_params;
use crate::event::Happening;
use crate::fault::{Fault, FaultKind};
use crate::installed::{Account, PluginRun, Plugins, SwapAt, Version};

impl<P: Plugins> Task<P> {
    /// The version for the next run: of a recovery the active one, of the skill the one that the task has, or goes over to
    /// now that nothing runs.
    pub(super) fn version_for(
        &mut self,
        context: &mut Context<'_, P>,
        next: &Role,
    ) -> Result<P::Version, String> {
        match next {
            Role::Recovery { name } => context
                .plugins
                .current(name)
                .ok_or_else(|| format!("`{name}` is not installed any more")),
            Role::Skill => {
                if self.runs == 0 {
                    self.begin_on_current(context)?;
                } else {
                    self.swap_now(context)?;
                }
                Ok(self.version.clone())
            }
        }
    }

    /// A task that waited in the queue begins on the version that is active when it begins.
    fn begin_on_current(&mut self, context: &Context<'_, P>) -> Result<(), String> {
        (self.swap, self.abandoned) = (None, None);
        let current = (context.plugins.current(&self.skill))
            .ok_or_else(|| format!("`{}` is not installed any more", self.skill))?;
        if current.digest() != self.version.digest() {
            check_params(context.plugins, &current, &self.params_json)
                .map_err(|error| error.to_string())?;
            self.version = current;
        }
        Ok(())
    }

    /// Goes over if it is asked to and can. What was left is not gone on with.
    fn swap_now(&mut self, context: &mut Context<'_, P>) -> Result<(), String> {
        let Some(swap) = self.swap.take() else {
            return self.abandoned.clone().map_or(Ok(()), Err);
        };
        if let Some(reason) = self.obstacle(context, &swap, self.checkpoint.as_ref()) {
            self.keep_version(context, &swap, reason);
            return self.abandoned.clone().map_or(Ok(()), Err);
        }
        let used = std::mem::take(&mut self.used);
        if used != Usage::default() {
            context.account(&self.version, &Account::Ended, &used);
        }
        self.say(
            context,
            Happening::Swapped {
                plugin: self.skill.clone(),
                from: self.version.manifest().version.clone(),
                to: swap.to.manifest().version.clone(),
                cause: swap.cause,
            },
        );
        self.before.clone_from(&self.checkpoint);
        self.version = swap.to;
        (self.abandoned, self.end_is_booked) = (None, false);
        self.swaps += 1;
        Ok(())
    }

    /// Why the task can't go on with another version from a checkpoint.
    fn obstacle(
        &self,
        context: &Context<'_, P>,
        swap: &Swap<P::Version>,
        from: Option<&Checkpoint>,
    ) -> Option<String> {
        let manifest = swap.to.manifest();
        if let Some(checkpoint) = from
            && !manifest.checkpoints.contains(&checkpoint.schema)
        {
            return Some(format!(
                "it does not read checkpoints of version {}",
                checkpoint.schema
            ));
        }
        let misfit = check_params(context.plugins, &swap.to, &self.params_json).err();
        misfit.map(|error| error.to_string())
    }

    fn keep_version(&self, context: &mut Context<'_, P>, swap: &Swap<P::Version>, reason: String) {
        self.say(
            context,
            Happening::SwapRefused {
                plugin: self.skill.clone(),
                to: swap.to.manifest().version.clone(),
                reason,
            },
        );
    }

    /// Asks a run of the skill to make room for another version.
    pub(super) fn ask_to_swap(&mut self, context: &mut Context<'_, P>, run: &mut P::Run) {
        let Some(swap) = self.swap.take() else {
            self.end_if_abandoned(run);
            return;
        };
        if swap.at == SwapAt::SafePoint {
            run.hand_over(&swap.to.manifest().checkpoints);
            self.swap = Some(swap);
            return;
        }
        match self.obstacle(context, &swap, self.checkpoint.as_ref()) {
            Some(reason) => {
                self.keep_version(context, &swap, reason);
                self.end_if_abandoned(run);
            }
            None => {
                self.end_asked = Some(EndAsked::Swap);
                self.swap = Some(swap);
                run.cancel();
            }
        }
    }

    fn end_if_abandoned(&mut self, run: &mut P::Run) {
        if let Some(why) = &self.abandoned {
            self.end_asked = Some(EndAsked::Abandoned(why.clone()));
            run.cancel();
        }
    }

    /// Books the end of a run, and whether the version before is to go on in its place.
    pub(super) fn book(
        &mut self,
        context: &mut Context<'_, P>,
        role: &Role,
        run: &P::Run,
        ended: &RunEnd,
        fault: Option<Fault>,
    ) -> Option<Outcome> {
        let usage = run.usage();
        if *role == Role::Skill {
            self.end_is_booked = false;
        }
        let fault = fault.filter(|fault| match fault.kind {
            FaultKind::Trap | FaultKind::Budget => true,
            // Under a stop nobody has asked it to end.
            FaultKind::Killed => !matches!(self.end_asked, Some(EndAsked::Stop)),
            // What a skill returned is judged with its task, which a recovery has none of.
            FaultKind::Result => *role != Role::Skill,
            FaultKind::Start => false,
        });
        if let Some(account) = Account::of_run(fault, ended) {
            let why = context.account(&self.running, &account, &usage);
            if *role == Role::Skill {
                self.end_is_booked = true;
                return self.go_back(context, &why?);
            }
            return None;
        }
        match role {
            // Whether it succeeded says the world, when the task ends.
            Role::Skill => self.used.add(&usage),
            Role::Recovery { .. } => {
                let account = match ended {
                    RunEnd::Finished(_) => Account::Succeeded,
                    RunEnd::Failed(_) => Account::Failed,
                    _ => Account::Ended,
                };
                context.account(&self.running, &account, &usage);
            }
        }
        None
    }

    /// The version was left because of its last run.
    fn go_back(&mut self, context: &Context<'_, P>, why: &str) -> Option<Outcome> {
        let instead = context.plugins.current(&self.skill);
        let left = self.version.digest().to_owned();
        self.abandon(&left, instead.as_ref(), why);
        // Whoever was asked to end meanwhile ends.
        let goes_on = self.swap.is_some() && self.end_asked.is_none() && !context.latched();
        goes_on.then_some(Outcome::Swapped)
    }
}
