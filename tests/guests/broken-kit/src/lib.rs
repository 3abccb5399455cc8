//! A version of `kit-parts` that should never have been shipped: what it does wrong is drawn by the seed of its run.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::hint::black_box;

use kitting::Params;
use sinew_sdk::prelude::*;

/// Lines that are done, as `kit-parts` keeps them.
#[derive(Serialize, Deserialize)]
pub struct Progress {
    done: Vec<bool>,
}

impl Checkpoint for Progress {
    const SCHEMA: u32 = 1;
}

/// What was done.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {
    placed: usize,
    grasp_retries: u32,
    corrections: u32,
    ticks: u64,
}

#[skill]
fn run(params: Params, _resume: Option<Progress>, robot: &mut Robot) -> Result<Outcome, Failure> {
    match RandomState::new().hash_one(0) % 4 {
        0 => panic!("broken from the start"),
        1 => {
            // It leaves the arm in the middle of a motion.
            let _motion = robot.motion.start(Goal::named("look-tray"))?;
            robot.clock.sleep(60)?;
            panic!("broken in the middle");
        }
        2 => {
            // What it leaves behind says that everything is done.
            let done = vec![true; params.order.len()];
            robot.lifecycle.safe_point(&Progress { done })?;
            let mut sum = 0_u64;
            loop {
                sum = black_box(sum.wrapping_add(1));
            }
        }
        _ => Ok(Outcome {
            placed: params.order.len(),
            grasp_retries: 0,
            corrections: 0,
            ticks: 0,
        }),
    }
}
