//! A recovery that tries what it may not do: fixtures for the tests of the host.

use sinew_sdk::prelude::*;

struct Probe;

#[recovery]
impl Recovery for Probe {
    fn assess(failure: &Failure, context: &Context, robot: &mut Robot) -> Option<Proposal> {
        match failure.message.as_str() {
            "decline" => return None,
            "panic" => panic!("on purpose"),
            "spin" => loop {
                std::hint::black_box(0);
            },
            _ => {}
        }
        let moved = robot.motion.move_to(Goal::named("home"));
        let waited = robot.clock.sleep(10);
        Some(Proposal {
            plan: format!(
                "{} after {} attempts: {moved:?}, {waited:?}",
                context.skill, context.attempts
            ),
            cost_ticks: 1_000,
            success: 7.0,
        })
    }

    fn recover(
        failure: &Failure,
        context: &Context,
        robot: &mut Robot,
    ) -> Result<Recovered, Failure> {
        if failure.label == "no-grasp" {
            return Err(Failure::new("no-grasp", "it can't be reached"));
        }
        robot.motion.move_to(Goal::named("home"))?;
        robot.log.info(&format!(
            "{:?} {} {} {} {}",
            failure.detail::<Vec<u32>>(),
            context.version,
            context.params,
            context.resumable,
            context.time_limit
        ));
        Ok(Recovered::resume("the arm is home"))
    }
}
