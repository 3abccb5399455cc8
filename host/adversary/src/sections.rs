//! The sections of a configuration that may be left out, and the reaction time: as given, made different, or left out.

use sinew_kinematics::Chain;
use sinew_messages::JointVector;
use sinew_safety::{
    BodyRegion, ContactLimits, ForceReaction, GripLimits, SafetyConfig, SeparationConfig,
    Singularity, YieldLimits,
};

use crate::stream::Stream;

/// What a section becomes.
enum Change {
    AsGiven,
    Drawn,
    Without,
}

fn change(stream: &mut Stream) -> Change {
    match stream.below(3) {
        0 => Change::AsGiven,
        1 => Change::Without,
        _ => Change::Drawn,
    }
}

/// Makes every such section different. The tracking margin is drawn already.
pub(crate) fn vary(c: &mut SafetyConfig, chain: &Chain, start: &JointVector, stream: &mut Stream) {
    c.reaction_ticks = match stream.below(5) {
        0 | 1 => c.reaction_ticks,
        2 => 0,
        3 => 1,
        _ => 2 * c.reaction_ticks,
    };
    c.separation = separation(c, stream);
    if !stream.one_in(3) {
        c.force_stop_n *= stream.between(0.3, 1.5);
    }
    c.force_reaction = match stream.below(7) {
        0 | 1 => c.force_reaction,
        2 => ForceReaction::Hold,
        3 => ForceReaction::Latch,
        _ => ForceReaction::Yield(YieldLimits {
            admittance_m_s_n: stream.between(1e-4, 5e-3),
            speed_max_m_s: stream.between(0.02, 0.3).min(c.tool_speed_max_m_s),
            distance_max_m: stream.between(0.003, 0.2),
        }),
    };
    c.contact = match change(stream) {
        Change::AsGiven => c.contact.take(),
        Change::Without => None,
        Change::Drawn => Some(contact(stream)),
    };
    c.grip = match change(stream) {
        Change::AsGiven => c.grip,
        Change::Without => None,
        Change::Drawn => Some(GripLimits {
            empty_width_m: stream.between(0.001, 0.01),
            lost_force_n: stream.between(0.2, 5.0),
            lost_ticks: stream.below(150) as u32,
        }),
    };
    c.singularity = match change(stream) {
        Change::AsGiven => c.singularity,
        Change::Without => None,
        Change::Drawn => Some(singularity(chain, start, stream)),
    };
}

/// Nobody in every second shard.
fn separation(c: &SafetyConfig, stream: &mut Stream) -> Option<SeparationConfig> {
    if stream.one_in(2) {
        return None;
    }
    let mut separation = c.separation.unwrap_or(SeparationConfig {
        approach_speed_m_s: 1.6,
        intrusion_m: 0.1,
        robot_uncertainty_m: 0.02,
        silent_ticks: 150,
    });
    if !stream.one_in(3) {
        separation.approach_speed_m_s *= stream.between(0.5, 1.5);
        separation.intrusion_m *= stream.between(0.0, 2.0);
        separation.robot_uncertainty_m *= stream.between(0.5, 1.5);
        separation.silent_ticks = [separation.silent_ticks, 50][stream.below(2) as usize];
    }
    // It covers where the robot may really be.
    separation.robot_uncertainty_m = separation.robot_uncertainty_m.max(c.tracking_margin_m);
    Some(separation)
}

fn contact(stream: &mut Stream) -> ContactLimits {
    let regions = [0, 1, 1, 3][stream.below(4) as usize];
    ContactLimits {
        regions: (0..regions)
            .map(|n| BodyRegion {
                name: format!("drawn-{n}"),
                force_max_n: stream.between(20.0, 220.0),
                transient_factor: stream.between(1.0, 3.0),
                stiffness_n_m: stream.between(5e3, 1.5e5),
                mass_kg: stream.between(0.5, 40.0),
            })
            .collect(),
        power_max_w: stream.between(0.5, 40.0),
        momentum_max_kg_m_s: stream.between(1.0, 8.0),
        transient_ticks: stream.below(300) as u32,
    }
}

/// Not so near that the arm cannot leave where it starts.
fn singularity(chain: &Chain, start: &JointVector, stream: &mut Stream) -> Singularity {
    let length = stream.between(0.1, 0.6);
    let here = chain.conditioning(&chain.forward(start), length).number();
    let slow_above = here * stream.between(1.05, 3.0);
    Singularity {
        characteristic_length_m: length,
        slow_above,
        stop_above: slow_above * stream.between(1.1, 3.0),
        slow_share: stream.between(0.05, 0.6),
    }
}
