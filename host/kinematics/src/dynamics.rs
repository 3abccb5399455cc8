//! Joint efforts by the recursive Newton-Euler algorithm (Featherstone, *Rigid Body Dynamics Algorithms*, 5.3), in
//! base-frame coordinates: rigid links, no friction, no rotor inertia.

use nalgebra::Vector3;
use sinew_messages::{JOINTS, JointVector};

use crate::{Chain, Forward, Isometry};

/// Standard gravity, m/s², downwards.
const GRAVITY_M_S2: f64 = 9.806_65;

/// A rigid body in the frame that it is fixed to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Body {
    /// Mass, kg.
    pub mass_kg: f64,
    /// Centre of mass, m.
    pub com_m: [f64; 3],
    /// Principal moments about the centre of mass, axes parallel to the frame's, kg·m².
    pub inertia_kg_m2: [f64; 3],
}

impl Body {
    /// Nothing.
    pub const NONE: Self = Self {
        mass_kg: 0.0,
        com_m: [0.0; 3],
        inertia_kg_m2: [0.0; 3],
    };
}

/// What the parts of an arm weigh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masses {
    /// The links that the joints turn, base to tool, link frames.
    pub links: [Body; JOINTS],
    /// The hand with its fingers, hand frame.
    pub hand: Body,
}

/// Motion of a frame.
#[derive(Clone, Copy)]
struct Motion {
    turn: Vector3<f64>,
    turn_rate: Vector3<f64>,
    /// Acceleration of the origin, gravity taken as an acceleration upwards.
    rise: Vector3<f64>,
}

impl Motion {
    /// Acceleration of a point that lies `r` from the origin and moves with the frame.
    fn at(&self, r: &Vector3<f64>) -> Vector3<f64> {
        self.rise + self.turn_rate.cross(r) + self.turn.cross(&self.turn.cross(r))
    }
}

impl Chain {
    /// Efforts that the joints need for a motion, gravity included, N·m; none if the chain has no masses.
    /// `carried` is fixed to the hand.
    #[must_use]
    pub fn efforts(
        &self,
        q: &JointVector,
        v: &JointVector,
        a: &JointVector,
        carried: &Body,
    ) -> Option<JointVector> {
        self.efforts_at(&self.forward(q), v, a, carried)
    }

    /// [`Self::efforts`] where the frames of the positions are known already.
    #[must_use]
    pub fn efforts_at(
        &self,
        forward: &Forward,
        v: &JointVector,
        a: &JointVector,
        carried: &Body,
    ) -> Option<JointVector> {
        let masses = self.masses()?;
        let mut force = [Vector3::zeros(); JOINTS];
        // About each joint's own origin.
        let mut torque = [Vector3::zeros(); JOINTS];
        let mut motion = Motion {
            turn: Vector3::zeros(),
            turn_rate: Vector3::zeros(),
            rise: Vector3::new(0.0, 0.0, GRAVITY_M_S2),
        };
        let mut origin = Vector3::zeros();
        for (i, link) in forward.links.iter().enumerate() {
            let axis = forward.axes[i];
            let here = link.translation.vector;
            let rise = motion.at(&(here - origin));
            motion = Motion {
                turn: motion.turn + axis * v[i],
                turn_rate: motion.turn_rate + axis * a[i] + motion.turn.cross(&axis) * v[i],
                rise,
            };
            origin = here;
            let mut add = |body: &Body, frame: &Isometry| {
                let turned = frame.rotation.to_rotation_matrix();
                let r = frame.translation.vector - here + turned * Vector3::from(body.com_m);
                let pull = motion.at(&r) * body.mass_kg;
                // Euler's equation in the body's frame, where its inertia is diagonal.
                let inertia = Vector3::from(body.inertia_kg_m2);
                let turn = turned.inverse_transform_vector(&motion.turn);
                let turn_rate = turned.inverse_transform_vector(&motion.turn_rate);
                let euler =
                    inertia.component_mul(&turn_rate) + turn.cross(&inertia.component_mul(&turn));
                force[i] += pull;
                torque[i] += turned * euler + r.cross(&pull);
            };
            add(&masses.links[i], link);
            if i + 1 == JOINTS {
                add(&masses.hand, &forward.hand);
                if carried.mass_kg > 0.0 {
                    add(carried, &forward.hand);
                }
            }
        }
        let mut efforts = [0.0; JOINTS];
        for i in (0..JOINTS).rev() {
            if i + 1 < JOINTS {
                let lever =
                    forward.links[i + 1].translation.vector - forward.links[i].translation.vector;
                let (beyond, about) = (force[i + 1], torque[i + 1]);
                force[i] += beyond;
                torque[i] += about + lever.cross(&beyond);
            }
            efforts[i] = forward.axes[i].dot(&torque[i]);
        }
        Some(efforts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::arm;

    fn heavy() -> Chain {
        let body = |mass_kg: f64, y: f64| Body {
            mass_kg,
            com_m: [0.01, y, 0.07],
            inertia_kg_m2: [0.02, 0.015, 0.01],
        };
        arm().with_masses(Masses {
            links: [
                body(3.0, 0.0),
                body(2.5, -0.1),
                body(2.0, 0.02),
                body(2.0, -0.1),
                body(1.5, 0.01),
                body(1.0, -0.02),
                body(0.7, 0.0),
            ],
            hand: body(0.9, 0.01),
        })
    }

    const LOAD: Body = Body {
        mass_kg: 1.2,
        com_m: [0.02, -0.03, 0.1],
        inertia_kg_m2: [0.001, 0.002, 0.001],
    };

    /// Potential energy by the heights of the centres of mass.
    fn potential(chain: &Chain, q: &JointVector) -> f64 {
        let masses = *chain.masses().expect("it has masses");
        let forward = chain.forward(q);
        let height = |body: &Body, frame: &Isometry| {
            body.mass_kg * (frame * nalgebra::Point3::from(body.com_m)).z
        };
        let links: f64 = masses
            .links
            .iter()
            .zip(&forward.links)
            .map(|(body, link)| height(body, link))
            .sum();
        let hand = height(&masses.hand, &forward.hand) + height(&LOAD, &forward.hand);
        GRAVITY_M_S2 * (links + hand)
    }

    /// Kinetic energy by differences of the bodies' places.
    fn kinetic(chain: &Chain, q: &JointVector, v: &JointVector) -> f64 {
        let masses = *chain.masses().expect("it has masses");
        let step = 1e-6;
        let moved = |sign: f64| core::array::from_fn(|i| q[i] + sign * 0.5 * step * v[i]);
        let (before, after) = (chain.forward(&moved(-1.0)), chain.forward(&moved(1.0)));
        let energy = |body: &Body, from: &Isometry, to: &Isometry| {
            let com = nalgebra::Point3::from(body.com_m);
            let speed = (to * com - from * com) / step;
            let turn = (to.rotation * from.rotation.inverse()).scaled_axis() / step;
            let turn = from.rotation.inverse() * turn;
            let inertia = Vector3::from(body.inertia_kg_m2);
            0.5 * body.mass_kg * speed.norm_squared()
                + 0.5 * turn.component_mul(&inertia).dot(&turn)
        };
        let links: f64 = (0..JOINTS)
            .map(|i| energy(&masses.links[i], &before.links[i], &after.links[i]))
            .sum();
        links
            + energy(&masses.hand, &before.hand, &after.hand)
            + energy(&LOAD, &before.hand, &after.hand)
    }

    fn postures() -> impl Iterator<Item = (JointVector, JointVector, JointVector)> {
        (0..50_u32).map(|n| {
            let wave = |k: f64, scale: f64| {
                core::array::from_fn(|i| scale * (f64::from(n) * k + 1.3 * i as f64 * k + k).sin())
            };
            (wave(0.7, 1.4), wave(1.1, 2.0), wave(1.7, 8.0))
        })
    }

    /// At rest the efforts are the slope of the potential energy.
    #[test]
    fn standing_efforts_hold_the_weight() {
        let chain = heavy();
        for (q, ..) in postures() {
            let zero = [0.0; JOINTS];
            let efforts = chain.efforts(&q, &zero, &zero, &LOAD).expect("masses");
            for (i, effort) in efforts.iter().enumerate() {
                let step = 1e-6;
                let (mut up, mut down) = (q, q);
                up[i] += step;
                down[i] -= step;
                let slope = (potential(&chain, &up) - potential(&chain, &down)) / (2.0 * step);
                assert!((slope - effort).abs() < 1e-6, "{slope} for {effort}");
            }
        }
    }

    /// What the joints put in is what kinetic and potential energy gain.
    #[test]
    fn power_is_the_rate_of_energy() {
        let chain = heavy();
        for (q, v, a) in postures() {
            let efforts = chain.efforts(&q, &v, &a, &LOAD).expect("masses");
            let power: f64 = efforts.iter().zip(&v).map(|(e, v)| e * v).sum();
            let step = 1e-5;
            let energy = |t: f64| {
                let at = core::array::from_fn(|i| q[i] + v[i] * t + 0.5 * a[i] * t * t);
                let speed = core::array::from_fn(|i| v[i] + a[i] * t);
                kinetic(&chain, &at, &speed) + potential(&chain, &at)
            };
            let rate = (energy(step) - energy(-step)) / (2.0 * step);
            assert!(
                (rate - power).abs() < 1e-3 * (1.0 + power.abs()),
                "{rate} for {power}"
            );
        }
    }

    #[test]
    fn a_chain_without_masses_has_no_efforts() {
        let zero = [0.0; JOINTS];
        assert_eq!(arm().efforts(&zero, &zero, &zero, &Body::NONE), None);
    }
}
