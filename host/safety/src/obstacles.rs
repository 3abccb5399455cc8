//! Persons and other things that move: the distance that each of them needs, by ISO/TS 15066 and ISO 13855.
//!
//! The protective separation distance is `S = Sh + Sr + Ss + C + Zd + Zr`. What the robot does, `Sr` in its
//! reaction time and `Ss` on its stop, is not a number here: the stop itself is checked, capsule by capsule
//! ([`crate::sweep`]). What is left is what the obstacle needs: `Sh = v (t + L + T_stop)`, the way that it can come
//! while its position grows old (`t`), the robot reacts (`L`) and stops (`T_stop`); `C`, how far a body part
//! reaches before it is sensed; `Zd`, the uncertainty of its position; `Zr`, that of the robot's own.

use sinew_kinematics::{Aabb, PlacedCapsule, Point, clearance_to_ball, clearance_to_column};
use sinew_messages::{OBSTACLES_MAX, ObstacleFrame, ObstacleKind};
use sinew_units::TICK_S;

use crate::limits::PLACE_MAX;
use crate::setpoint::at_most;

/// How far from what moves the robot stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeparationConfig {
    /// Fastest that an obstacle comes nearer, m/s: 1.6 for a walking person (ISO 13855).
    pub approach_speed_m_s: f64,
    /// C, how far a body part reaches beyond the sensed position, m.
    pub intrusion_m: f64,
    /// Zr, uncertainty of the robot's own position, m.
    pub robot_uncertainty_m: f64,
    /// Ticks that the sensor may be silent before the stop latches.
    pub silent_ticks: u64,
}

/// One obstacle with what it needs.
#[derive(Clone, Copy, Debug)]
struct Threat {
    kind: ObstacleKind,
    at: Point,
    radius_m: f64,
    /// What it needs of a robot that stands, m.
    need_m: f64,
}

/// The obstacles of one tick.
#[derive(Clone, Debug)]
pub(crate) struct Threats {
    list: [Threat; OBSTACLES_MAX],
    count: usize,
    approach_speed_m_s: f64,
    /// Way that an obstacle comes nearer while the robot stops, m.
    approach_m: f64,
    /// Something is somewhere.
    lost: bool,
}

impl Threats {
    /// Nothing moves around the robot.
    pub(crate) const NONE: Self = Self {
        list: [Threat {
            kind: ObstacleKind::Somewhere,
            at: Point::new(0.0, 0.0, 0.0),
            radius_m: 0.0,
            need_m: 0.0,
        }; OBSTACLES_MAX],
        count: 0,
        approach_speed_m_s: 0.0,
        approach_m: 0.0,
        lost: false,
    };

    /// Takes over what the sensor says in this tick.
    pub(crate) fn take(
        &mut self,
        frame: &ObstacleFrame,
        config: &SeparationConfig,
        reaction_ticks: u32,
    ) {
        self.approach_speed_m_s = config.approach_speed_m_s;
        self.approach_m = 0.0;
        self.lost = frame.count > OBSTACLES_MAX as u64;
        self.count = 0;
        let count = (frame.count as usize).min(OBSTACLES_MAX);
        for obstacle in &frame.obstacles[..count] {
            let kind = ObstacleKind::decode(obstacle.kind);
            let [x, y, z] = obstacle.position_m;
            let numbers = [x, y, z, obstacle.radius_m, obstacle.uncertainty_m];
            let is_place = numbers
                .iter()
                .all(|number| at_most(number.abs(), PLACE_MAX))
                && obstacle.radius_m >= 0.0
                && obstacle.uncertainty_m >= 0.0;
            if kind == ObstacleKind::Somewhere || !is_place {
                self.lost = true;
                continue;
            }
            let old_s = (obstacle.age_ticks as f64 + f64::from(reaction_ticks)) * TICK_S;
            self.list[self.count] = Threat {
                kind,
                at: Point::new(x, y, z),
                radius_m: obstacle.radius_m,
                need_m: config.approach_speed_m_s * old_s
                    + config.intrusion_m
                    + obstacle.uncertainty_m
                    + config.robot_uncertainty_m,
            };
            self.count += 1;
        }
    }

    /// Sets how long the stop takes that is asked about from now on, s.
    pub(crate) fn stop_takes(&mut self, stop_s: f64) {
        self.approach_m = self.approach_speed_m_s * stop_s;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && !self.lost
    }

    /// The obstacles that anything in the box could be too near to once it has moved by `way_m`: a bit for each.
    pub(crate) fn near(&self, bounds: &Aabb, way_m: f64) -> Near {
        let mut near = Near(0);
        for (n, threat) in self.list[..self.count].iter().enumerate() {
            let mut apart = threat.at - threat.at.inf(&bounds.max).sup(&bounds.min);
            if threat.kind != ObstacleKind::Ball {
                apart.z = 0.0;
            }
            let room = threat.radius_m + threat.need_m + self.approach_m + way_m;
            if !at_most(room * room, apart.norm_squared()) {
                near.0 |= 1 << n;
            }
        }
        near
    }

    /// Something is somewhere: nothing may move.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// What a capsule has to spare to an obstacle, m; negative if it is too near.
    pub(crate) fn margin(&self, threat: usize, capsule: &PlacedCapsule) -> f64 {
        let threat = &self.list[threat];
        let clearance = match threat.kind {
            ObstacleKind::Ball => clearance_to_ball(capsule, &threat.at, threat.radius_m),
            _ => clearance_to_column(capsule, threat.at.x, threat.at.y, threat.radius_m),
        };
        clearance - threat.need_m - self.approach_m
    }

    /// The least of them over several obstacles.
    pub(crate) fn least(&self, threats: Near, capsule: &PlacedCapsule) -> f64 {
        threats
            .map(|threat| self.margin(threat, capsule))
            .fold(f64::INFINITY, f64::min)
    }
}

/// Some of the obstacles: bit n is the one at place n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Near(u32);

impl Near {
    pub(crate) const NONE: Self = Self(0);
}

impl Iterator for Near {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (next < u32::BITS as usize).then_some(next)
    }
}

const _: () = assert!(OBSTACLES_MAX <= u32::BITS as usize);
