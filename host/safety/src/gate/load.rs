//! What the hand carries.

use nalgebra::Point3;
use sinew_kinematics::{Body, Chain, HAND, LinkCapsule};
use sinew_messages::{LimitKind, Payload, SafetyMode};

use super::Gate;
use super::rules::Rules;
use crate::limits::SafetyConfig;
use crate::obstacles::Threats;
use crate::verdict::Violation;

impl Gate {
    /// Takes over what the hand carries from now on. It is accepted only if the stop that is being held, and every
    /// limit at the present state, verify with it; else the robot brakes and holds until something is carried
    /// that does. True if it was accepted.
    pub fn carry(&mut self, payload: &Payload) -> bool {
        self.payload = *payload;
        self.rules.sweep.begin_tick();
        let capsule = (payload.radius_m > 0.0).then(|| LinkCapsule {
            link: HAND,
            a: Point3::from(payload.a_m),
            b: Point3::from(payload.b_m),
            radius_m: payload.radius_m,
        });
        let config = self.rules.limits.config();
        if payload.is_possible() {
            let load = Body {
                mass_kg: payload.mass_kg,
                com_m: payload.com_m,
                inertia_kg_m2: [0.0; 3],
            };
            self.rules.sweep.carry(capsule, config);
            self.speed.carry(&self.chain, &load, capsule.as_ref());
            self.contact_speed_m_s = contact_speed(config, &self.chain, load.mass_kg);
            self.effort
                .carry(&self.chain, &self.state, &self.forward, load);
        }
        self.misfit = self.judge_payload();
        let carries = payload.mass_kg > 0.0 || capsule.is_some();
        let (seen, given) = (self.seen_width_m, self.given.gripper_width_m);
        self.grip.carry(carries, seen, given);
        self.misfit.is_none()
    }

    /// Why what is carried can't be, if it can't. Persons are not asked about here: each tick looks at them. In recovery
    /// mode the arm may be where it fits nowhere, and leads out of there.
    pub(super) fn judge_payload(&mut self) -> Option<Violation> {
        if !self.payload.is_possible() {
            return Some(Violation::of(LimitKind::NonFinite));
        }
        let Rules {
            limits,
            law,
            path,
            sweep,
            ..
        } = &mut self.rules;
        let config = limits.config();
        let bears = config
            .effort
            .map_or(Ok(()), |limits| self.effort.check_load(&limits));
        if self.mode == SafetyMode::Recovery {
            return bears.err();
        }
        let nobody = Threats::NONE;
        let fits = sweep.holds(&self.state, &self.forward, &nobody, path, law, config);
        bears.and(fits).err()
    }
}

/// Speed at which a contact is bearable, m/s.
pub(super) fn contact_speed(config: &SafetyConfig, chain: &Chain, load_kg: f64) -> f64 {
    (config.contact.as_ref()).map_or(f64::INFINITY, |contact| {
        contact.speed_max_m_s(chain.masses(), load_kg)
    })
}
