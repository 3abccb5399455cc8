//! Random motion: states of every kind, in ticks that depend on a seed alone.

use proptest::test_runner::{Config, RngSeed};
use sinew_messages::{JOINTS, JointVector, Setpoint};

use crate::rig::{Eager, Rig, Stream};

/// Properties look at the same cases on every machine; the adversary is who looks at ever new ones.
pub(crate) fn cases(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Config::default()
    }
}

/// A motion source that changes its mind.
#[derive(Clone)]
pub(crate) struct Walk {
    stream: Stream,
    source: Eager,
    target: JointVector,
    before: JointVector,
}

impl Walk {
    pub(crate) fn new(seed: u64, rig: &Rig) -> Self {
        let mut walk = Self {
            stream: Stream(seed),
            source: Eager {
                velocity: 0.0,
                acceleration: 0.0,
                jerk: 0.0,
                brakes: false,
                straight: false,
            },
            target: rig.gate.given().position_rad,
            before: rig.gate.given().position_rad,
        };
        walk.change(rig);
        walk
    }

    /// Somewhere else, as gently or as hard as it comes.
    fn change(&mut self, rig: &Rig) {
        let stream = &mut self.stream;
        let share = [0.3, 0.7, 1.0, 1.0, 1.3][stream.below(5) as usize];
        self.source = Eager {
            velocity: 2.4 * share,
            acceleration: 15.0 * share,
            jerk: 1499.0 * share.min(1.0),
            brakes: stream.below(3) == 0,
            straight: stream.below(2) == 0,
        };
        let target = stream.joints(rig.gate.limits().config());
        if stream.below(3) == 0 {
            // One joint alone gets to its limit where all of them would meet a zone first.
            let joint = stream.below(JOINTS as u64) as usize;
            self.target = rig.gate.given().position_rad;
            self.target[joint] = target[joint];
        } else {
            self.target = target;
        }
    }

    /// What is proposed next: mostly a motion, now and then something odd on top.
    pub(crate) fn propose(&mut self, rig: &Rig) -> Setpoint {
        if self.stream.below(120) == 0 {
            self.change(rig);
        }
        let given = *rig.gate.given();
        let mut u = self.source.toward(&given, &self.before, &self.target);
        self.before = given.position_rad;
        let stream = &mut self.stream;
        let joint = stream.below(JOINTS as u64) as usize;
        match stream.below(60) {
            0 => u.position_rad[joint] += 2e-4 * (stream.unit() - 0.5),
            1 => u.velocity_rad_s[joint] += 0.2 * (stream.unit() - 0.5),
            2 => u.gripper_width_m = 0.12 * stream.unit() - 0.02,
            3 => u.gripper_force_n = 90.0 * stream.unit() - 10.0,
            4 => u.position_rad = self.target,
            _ => {}
        }
        u
    }
}

/// Every number of a setpoint, bit for bit.
pub(crate) fn bits(setpoint: &Setpoint) -> Vec<u64> {
    (setpoint.position_rad.iter())
        .chain(&setpoint.velocity_rad_s)
        .chain(&setpoint.acceleration_rad_s2)
        .chain([&setpoint.gripper_width_m, &setpoint.gripper_force_n])
        .map(|value| value.to_bits())
        .collect()
}
