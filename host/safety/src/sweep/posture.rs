//! What can be said of one posture, without a motion.

use nalgebra::Vector3;
use sinew_kinematics::Forward;
use sinew_messages::{JointVector, LimitKind};

use super::pairs::apart;
use super::{Sweep, dot};
use crate::limits::SafetyConfig;
use crate::setpoint::at_most;
use crate::verdict::Violation;
use crate::work::Work;

impl Sweep {
    /// The first thing that is not as it must be for a start at `q`: touched envelope or zone, links that touch,
    /// a tool outside its cone.
    pub(crate) fn check_start(
        &mut self,
        q: &JointVector,
        config: &SafetyConfig,
    ) -> Result<(), Violation> {
        let forward = self.chain.forward(q);
        let mut work = self.work;
        let refuse = |limit, index, limit_value, asked| {
            Err(Violation {
                limit,
                index,
                limit_value,
                asked,
            })
        };
        for body in 0..self.bodies() {
            if !self.moves(body) {
                continue;
            }
            let placed = self.place(body, &forward);
            let (clearance, zone) = self.to_fixed(&placed, config, &mut work);
            self.work = work;
            if work.is_spent() {
                return Err(Work::exceeded());
            }
            if !at_most(0.0, clearance) {
                return match zone {
                    Some(zone) => refuse(LimitKind::Zone, Some(zone), 0.0, clearance),
                    None => refuse(
                        LimitKind::Envelope,
                        Some(placed.link as u32),
                        0.0,
                        clearance,
                    ),
                };
            }
        }
        for pair in &self.pairs {
            let clearance = apart(
                &self.place(pair.near, &forward),
                &self.place(pair.far, &forward),
            );
            if !at_most(0.0, clearance) {
                let link = self.capsule(pair.far).link as u32;
                return refuse(LimitKind::SelfCollision, Some(link), 0.0, clearance);
            }
        }
        let tilt = cone_margin(&forward, config);
        if !at_most(0.0, tilt) {
            return refuse(LimitKind::Orientation, None, 0.0, tilt);
        }
        Ok(())
    }

    /// True if no body is farther than the tracking margin from where `setpoint` puts it.
    pub(crate) fn tracks(
        &self,
        measured: &JointVector,
        setpoint: &JointVector,
        margin: f64,
    ) -> bool {
        let off: JointVector = core::array::from_fn(|i| (measured[i] - setpoint[i]).abs());
        let worst = self.lever_max[..self.bodies()]
            .iter()
            .fold(0.0_f64, |worst, lever| worst.max(dot(lever, &off)));
        if worst <= margin {
            return true;
        }
        let (is, should) = (self.chain.forward(measured), self.chain.forward(setpoint));
        (0..self.bodies()).all(|body| {
            let (is, should) = (self.place(body, &is), self.place(body, &should));
            (is.a - should.a).norm() <= margin && (is.b - should.b).norm() <= margin
        })
    }
}

/// How much farther the tool may tilt from the axis of its cone, rad; infinite without a cone.
pub(super) fn cone_margin(forward: &Forward, config: &SafetyConfig) -> f64 {
    let Some(cone) = &config.cone else {
        return f64::INFINITY;
    };
    let axis = forward.tool.rotation * Vector3::z();
    let wanted = Vector3::from(cone.axis);
    // The arc tangent tells small angles apart where the arc cosine does not.
    cone.half_angle_rad - libm::atan2(axis.cross(&wanted).norm(), axis.dot(&wanted))
}
