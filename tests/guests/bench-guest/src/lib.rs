//! A skill that does what `sinew bench plugin` measures, and nothing beside it.

use std::hint::black_box;

use sinew_sdk::prelude::*;

/// What to do.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Params {
    /// In every step: takes the newest snapshot and the state of the robot, and says which object is nearest to the tool.
    Look,
    /// In every step: this many calls that could wait and need not.
    Call {
        /// How many.
        times: u32,
    },
    /// Waits.
    Hold,
    /// Computes for ever, with a jump back every few instructions.
    Spin,
    /// Copies memory that was touched before onto itself, a byte further, for ever, with one instruction for all of it.
    Copy {
        /// Bytes of one instruction.
        bytes: usize,
    },
    /// Fills memory for ever, from its first touch on, with one instruction for all of it.
    Fill {
        /// Bytes of one instruction.
        bytes: usize,
    },
}

/// Nothing: it never ends by itself.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {}

/// Bytes that are touched for the first time in one step: few enough that the guard finds nothing to end.
const TOUCHED_AT_ONCE: usize = 1 << 20;

/// Longer than any run, ticks.
const FOR_EVER: u64 = 1 << 40;

#[skill]
fn run(params: Params, _resume: Option<()>, robot: &mut Robot) -> Result<Outcome, Failure> {
    match params {
        Params::Look => {
            let mut seen = 0;
            loop {
                let snapshot = robot.world.wait_newer(seen)?;
                seen = snapshot.tick;
                let tool = robot.world.robot()?.tool.position;
                let distance = |object: &&Object| {
                    let at = &object.pose.position;
                    (at.x - tool.x).powi(2) + (at.y - tool.y).powi(2) + (at.z - tool.z).powi(2)
                };
                let nearest = (snapshot.objects.iter())
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
                    .map_or(0, |object| object.id);
                robot.events.step_on("pick", nearest);
            }
        }
        Params::Call { times } => loop {
            robot.clock.sleep(1)?;
            for _ in 0..times {
                robot.clock.sleep(0)?;
            }
        },
        Params::Hold => {
            robot.clock.sleep(FOR_EVER)?;
            Ok(Outcome {})
        }
        Params::Spin => {
            let mut x = 0_u64;
            loop {
                x = black_box(x.wrapping_add(1));
            }
        }
        Params::Copy { bytes } => {
            let mut all = Vec::with_capacity(bytes);
            while all.len() < bytes {
                all.resize(bytes.min(all.len() + TOUCHED_AT_ONCE), 1_u8);
                robot.clock.sleep(1)?;
            }
            loop {
                let all = black_box(&mut all);
                all.copy_within(..bytes - 1, 1);
            }
        }
        Params::Fill { bytes } => {
            let mut all = vec![1_u8; bytes];
            loop {
                all.fill(black_box(2));
                black_box(&all);
            }
        }
    }
}
