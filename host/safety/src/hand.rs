//! Where the hand is and how it moves: every part of it may be what touches somebody, and no sensor says which.

use nalgebra::Vector3;
use sinew_kinematics::{CAPSULES_MAX, Chain, Forward, HAND, Isometry, LinkCapsule, Point};
use sinew_messages::JointVector;

use crate::sweep::longest_levers;

/// Two for each capsule and for what is carried, and the tool's.
const POINTS_MAX: usize = 2 * (CAPSULES_MAX + 1) + 1;

/// Points of the hand and of what it carries between which all of it is, but for radii; the tool's is the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandPoints {
    points: [Point; POINTS_MAX],
    count: usize,
    /// Longest lever of any of them about each joint, m.
    pub(crate) lever_max: JointVector,
}

impl HandPoints {
    pub(crate) fn new(chain: &Chain, carried: Option<&LinkCapsule>) -> Self {
        let mut hand = Self {
            points: [Point::origin(); POINTS_MAX],
            count: 0,
            lever_max: JointVector::default(),
        };
        hand.add(chain, Point::from(chain.tool_in_hand().translation.vector));
        let of_hand = |capsule: &&LinkCapsule| capsule.link == HAND;
        for capsule in chain.capsules().iter().filter(of_hand).chain(carried) {
            hand.add(chain, capsule.a);
            hand.add(chain, capsule.b);
        }
        hand
    }

    fn add(&mut self, chain: &Chain, at: Point) {
        self.points[self.count] = at;
        self.count += 1;
        let point = LinkCapsule {
            link: HAND,
            a: at,
            b: at,
            radius_m: 0.0,
        };
        for (most, lever) in self.lever_max.iter_mut().zip(longest_levers(chain, &point)) {
            *most = most.max(lever);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Point> {
        self.points[..self.count].iter()
    }

    /// Distance of the point that is farthest from each joint's axis, m.
    pub(crate) fn levers(&self, forward: &Forward) -> JointVector {
        let mut levers = JointVector::default();
        for point in self.iter() {
            let at = (forward.hand * point).coords;
            let joints = forward.links.iter().zip(&forward.axes);
            for (lever, (link, axis)) in levers.iter_mut().zip(joints) {
                let arm = axis.cross(&(at - link.translation.vector));
                *lever = lever.max(arm.norm());
            }
        }
        levers
    }

    /// How far the point that gets farthest along `way`, a unit vector, does so from one place of the hand to another, m.
    pub(crate) fn farthest(&self, from: &Isometry, to: &Isometry, way: &Vector3<f64>) -> f64 {
        (self.iter())
            .map(|point| way.dot(&(to * point - from * point)))
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Velocity of the hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandMotion {
    /// Where it is.
    at: Isometry,
    /// Of its origin, m/s.
    linear: Vector3<f64>,
    /// rad/s.
    angular: Vector3<f64>,
}

impl HandMotion {
    pub(crate) fn new(forward: &Forward, v: &JointVector) -> Self {
        let hand = forward.hand.translation.vector;
        let (mut linear, mut angular) = (Vector3::zeros(), Vector3::zeros());
        for ((link, axis), v) in forward.links.iter().zip(&forward.axes).zip(v) {
            linear += axis.cross(&(hand - link.translation.vector)) * *v;
            angular += axis * *v;
        }
        Self {
            at: forward.hand,
            linear,
            angular,
        }
    }

    /// Velocity of a point of the hand, m/s.
    fn of(&self, point: &Point) -> Vector3<f64> {
        let arm = self.at.rotation * point.coords;
        self.linear + self.angular.cross(&arm)
    }

    /// Speed of the tool's point, m/s.
    pub(crate) fn tool_speed(&self, hand: &HandPoints) -> f64 {
        self.of(&hand.points[0]).norm()
    }

    /// Largest rate at which any point of the hand goes against a force, W for one in N: what it pushes with there.
    pub(crate) fn most_against(&self, force: &Vector3<f64>, hand: &HandPoints) -> f64 {
        (hand.iter())
            .map(|point| -force.dot(&self.of(point)))
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{Translation3, UnitQuaternion};

    use super::*;
    use crate::plain;

    fn two_points() -> HandPoints {
        let mut points = [Point::origin(); POINTS_MAX];
        points[1] = Point::new(0.1, 0.0, 0.0);
        HandPoints {
            points,
            count: 2,
            lever_max: [0.0; 7],
        }
    }

    #[test]
    fn a_turn_takes_one_point_farther_than_another() {
        let hand = two_points();
        let from = Isometry::translation(0.3, 0.2, 0.1);
        let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), 0.5);
        let to = Isometry::from_parts(Translation3::new(0.3, 0.21, 0.1), turn);
        let up = hand.farthest(&from, &to, &Vector3::y());
        assert!((up - (0.01 + 0.1 * 0.5_f64.sin())).abs() < 1e-12, "{up}");
        let down = hand.farthest(&from, &to, &-Vector3::y());
        assert!((down + 0.01).abs() < 1e-12, "{down}");
    }

    const PART: LinkCapsule = LinkCapsule {
        link: HAND,
        a: Point::new(0.0, 0.03, 0.0),
        b: Point::new(0.01, 0.0, 0.1),
        radius_m: 0.01,
    };

    #[test]
    fn there_is_room_for_every_hand() {
        let hand = HandPoints::new(&plain::arm(&[PART; CAPSULES_MAX]), Some(&PART));
        assert_eq!(hand.iter().count(), 2 * CAPSULES_MAX + 3);
    }

    #[test]
    fn a_lever_is_what_the_farthest_point_moves_by() {
        let chain = plain::arm(&[PART]);
        let rod = LinkCapsule {
            a: Point::new(-0.2, 0.0, 0.1),
            b: Point::new(0.2, 0.0, 0.1),
            ..PART
        };
        for carried in [None, Some(&rod)] {
            let hand = HandPoints::new(&chain, carried);
            let q = [0.3, -0.4, 0.5, 0.2, -0.7, 0.1, 0.6];
            let from = chain.forward(&q);
            let levers = hand.levers(&from);
            for joint in 0..7 {
                let mut turned = q;
                turned[joint] += 1e-6;
                let to = chain.forward(&turned);
                let way = (hand.iter())
                    .map(|point| (to.hand * point - from.hand * point).norm())
                    .fold(0.0, f64::max);
                assert!((levers[joint] - way / 1e-6).abs() < 1e-6, "{joint}");
                assert!(levers[joint] <= hand.lever_max[joint]);
            }
        }
    }

    #[test]
    fn it_pushes_where_it_pushes_most() {
        let motion = HandMotion {
            at: Isometry::rotation(Vector3::z() * core::f64::consts::FRAC_PI_2),
            linear: Vector3::new(0.0, 0.0, 0.2),
            angular: Vector3::new(3.0, 0.0, 0.0),
        };
        let hand = two_points();
        // The second point is at +y of the first, and goes up with 0.3 m/s more.
        let against = |z| motion.most_against(&Vector3::new(0.0, 0.0, z), &hand);
        assert!((against(-10.0) - 5.0).abs() < 1e-12);
        assert!((against(10.0) + 2.0).abs() < 1e-12);
        assert!((motion.tool_speed(&hand) - 0.2).abs() < 1e-12);
    }
}
