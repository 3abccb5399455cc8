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

#[cfg(test)]
mod tests {
    use sinew_messages::Obstacle;

    use super::*;

    const CONFIG: SeparationConfig = SeparationConfig {
        approach_speed_m_s: 2.0,
        intrusion_m: 0.1,
        robot_uncertainty_m: 0.02,
        silent_ticks: 100,
    };
    /// It needs `2 (0.05 + 0.01) + 0.1 + 0.03 + 0.02` = 0.27 m with a reaction time of ten ticks.
    const KNOWN: Obstacle = Obstacle {
        kind: ObstacleKind::Column as u32,
        reserved: 0,
        position_m: [1.0, 0.0, 0.0],
        radius_m: 0.2,
        uncertainty_m: 0.03,
        age_ticks: 50,
    };

    fn threats(obstacles: &[Obstacle]) -> Threats {
        let mut frame = ObstacleFrame::NONE;
        frame.count = obstacles.len() as u64;
        let places = frame.obstacles.iter_mut();
        places.zip(obstacles).for_each(|(to, from)| *to = *from);
        let mut threats = Threats::NONE;
        threats.take(&frame, &CONFIG, 10);
        threats
    }

    #[test]
    fn an_obstacle_needs_all_parts_of_the_distance() {
        let ball = Obstacle {
            kind: ObstacleKind::Ball as u32,
            position_m: [1.0, 0.0, 1.75],
            ..KNOWN
        };
        let mut threats = threats(&[KNOWN, ball]);
        let capsule = PlacedCapsule {
            link: 3,
            a: Point::new(0.0, 0.0, 0.5),
            b: Point::new(0.0, 0.0, 1.0),
            radius_m: 0.05,
        };
        // A metre away, and 1.25 m.
        for (threat, apart) in [(0, 1.0), (1, 1.25)] {
            threats.stop_takes(0.0);
            let needs = 0.2 + 0.05 + 0.27;
            assert!((threats.margin(threat, &capsule) - (apart - needs)).abs() < 1e-12);
            threats.stop_takes(0.1);
            assert!((threats.margin(threat, &capsule) - (apart - needs - 0.2)).abs() < 1e-12);
        }
        let least = threats.least(Near(0b11), &capsule);
        assert_eq!(least, threats.margin(0, &capsule));
        assert_eq!(
            threats.least(Near(0b10), &capsule),
            threats.margin(1, &capsule)
        );
        assert_eq!(threats.least(Near::NONE, &capsule), f64::INFINITY);
    }

    #[test]
    fn what_is_near_enough_to_matter_is_told_apart() {
        let at = |kind: ObstacleKind, position_m| Obstacle {
            kind: kind as u32,
            position_m,
            ..KNOWN
        };
        let bounds = Aabb {
            min: Point::new(-0.1, -0.2, 0.0),
            max: Point::new(0.1, 0.2, 1.0),
        };
        let room = 0.2 + 0.27 + 0.2 + 0.1;
        for (off, expected) in [(-1e-9, 0b1111), (1e-9, 0b0000)] {
            let mut threats = threats(&[
                at(ObstacleKind::Column, [0.1 + room + off, 0.0, 9.0]),
                at(ObstacleKind::Column, [0.05, -0.2 - room - off, -9.0]),
                at(ObstacleKind::Ball, [0.0, 0.1, 1.0 + room + off]),
                at(ObstacleKind::Ball, [-0.1 - room - off, 0.0, 0.5]),
            ]);
            threats.stop_takes(0.1);
            assert_eq!(threats.near(&bounds, 0.1), Near(expected));
        }
        assert_eq!(Near(0b1010_0001).collect::<Vec<_>>(), [0, 5, 7]);
        assert_eq!(Near(1 << 31).collect::<Vec<_>>(), [31]);
    }

    #[test]
    fn what_is_no_place_is_somewhere() {
        let with = |edit: fn(&mut Obstacle)| {
            let mut odd = KNOWN;
            edit(&mut odd);
            let threats = threats(&[KNOWN, odd, KNOWN]);
            assert!(!threats.is_empty());
            (threats.is_lost(), threats.count)
        };
        assert_eq!(with(|_| {}), (false, 3));
        assert_eq!(with(|odd| odd.radius_m = 0.0), (false, 3));
        assert_eq!(with(|odd| odd.uncertainty_m = 0.0), (false, 3));
        assert_eq!(with(|odd| odd.position_m[1] = -PLACE_MAX), (false, 3));
        for edit in [
            (|odd| odd.kind = ObstacleKind::Somewhere as u32) as fn(&mut Obstacle),
            |odd| odd.kind = 77,
            |odd| odd.position_m[0] = f64::NAN,
            |odd| odd.position_m[2] = -1.001 * PLACE_MAX,
            |odd| odd.radius_m = -0.1,
            |odd| odd.radius_m = f64::INFINITY,
            |odd| odd.uncertainty_m = -0.1,
            |odd| odd.uncertainty_m = 1.001 * PLACE_MAX,
        ] {
            assert_eq!(with(edit), (true, 2));
        }
        let somewhere = Obstacle {
            kind: ObstacleKind::Somewhere as u32,
            ..KNOWN
        };
        assert!(!threats(&[somewhere]).is_empty());
    }

    #[test]
    fn more_than_can_be_told_are_somewhere() {
        let all = threats(&[KNOWN; OBSTACLES_MAX]);
        assert_eq!((all.is_lost(), all.count), (false, OBSTACLES_MAX));
        let mut frame = ObstacleFrame::NONE;
        frame.obstacles = [KNOWN; OBSTACLES_MAX];
        for more in [1, 2, 1 << 40] {
            frame.count = OBSTACLES_MAX as u64 + more;
            let mut threats = Threats::NONE;
            threats.take(&frame, &CONFIG, 10);
            assert_eq!((threats.is_lost(), threats.count), (true, OBSTACLES_MAX));
        }
        assert!(threats(&[]).is_empty() && !threats(&[]).is_lost());
    }
}
