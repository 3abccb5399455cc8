//! Takes the arm to a named pose of the cell.

use sinew_sdk::prelude::*;

/// Where to go.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the pose.
    #[serde(default = "home")]
    #[schemars(extend("x-sinew-pose" = true))]
    pose: String,
    /// Share of the granted speed.
    #[serde(default = "full")]
    #[schemars(range(min = 0.01, max = 1.0))]
    speed: f64,
}

/// What it took.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {
    /// Ticks from start to standstill.
    ticks: u64,
}

fn home() -> String {
    "home".to_owned()
}

fn full() -> f64 {
    1.0
}

#[skill]
fn run(params: Params, _resume: Option<()>, robot: &mut Robot) -> Result<Outcome, Failure> {
    let start = robot.clock.now();
    robot.events.step(&format!("go to {}", params.pose));
    robot
        .motion
        .move_to(Goal::named(params.pose).speed(params.speed))?;
    Ok(Outcome {
        ticks: robot.clock.now() - start,
    })
}
