//! As much of what is proposed as may be.

use nalgebra::Vector3;
use sinew_messages::{JOINTS, LimitKind, SafetyMode, Setpoint, VerdictKind};

use super::Gate;
use super::rules::Rules;
use crate::brake::ArmState;
use crate::command::SafeCommand;
use crate::contact::{retreat_step, retreat_velocities};
use crate::hand::HandMotion;
use crate::late::{self, Apart};
use crate::setpoint::{blend, check_joints, check_statement, clamped, same_bits};
use crate::speed::{HALVINGS_PROPOSED, HALVINGS_SEARCHED, SpeedLimits, SpeedQuestion};
use crate::sweep::{Group, Question, SAMPLES_PROPOSED, SAMPLES_SEARCHED};
use crate::verdict::{Verdict, Violation};

/// Halvings of the search for k.
const BISECTIONS: u32 = 8;

/// How much work a check may be.
#[derive(Clone, Copy)]
struct Effort {
    samples: usize,
    halvings: usize,
}

/// For what is proposed.
const PROPOSED: Effort = Effort {
    samples: SAMPLES_PROPOSED,
    halvings: HALVINGS_PROPOSED,
};

/// For each candidate of the search below it. What passes with less work passes with more, so an output of the
/// search passes when it is proposed.
const SEARCHED: Effort = Effort {
    samples: SAMPLES_SEARCHED,
    halvings: HALVINGS_SEARCHED,
};

impl Gate {
    /// Speed limits of the mode, m/s.
    fn speed_limits(&self) -> SpeedLimits {
        let config = self.rules.config();
        let (tool_m_s, elbow_m_s) = (config.tool_speed_max_m_s, config.elbow_speed_max_m_s);
        let most = match self.mode {
            SafetyMode::Normal | SafetyMode::Hold => f64::INFINITY,
            SafetyMode::Reduced => config.reduced.speed_max_m_s,
            SafetyMode::Recovery => config.recovery.speed_max_m_s,
        };
        SpeedLimits {
            tool_m_s: tool_m_s.min(most),
            elbow_m_s: elbow_m_s.min(most),
            contact_m_s: self.contact_speed_m_s,
            momentum_kg_m_s: (config.contact.as_ref())
                .map_or(f64::INFINITY, |contact| contact.momentum_max_kg_m_s),
        }
    }

    /// Share of the joints' velocity limits that the mode leaves.
    fn joint_speed_share(&self) -> f64 {
        let config = self.rules.config();
        match self.mode {
            SafetyMode::Normal | SafetyMode::Hold => 1.0,
            SafetyMode::Reduced => config.reduced.joint_speed_share,
            SafetyMode::Recovery => config.recovery.joint_speed_share,
        }
    }

    /// `u` where it may go, else `b + k(u − b)` with the largest k that bisection finds, down to the stop.
    pub(super) fn pass_or_limit(&mut self, proposed: &Setpoint) -> (Option<SafeCommand>, Verdict) {
        let (width, force, gripper) = self.gripper(proposed);
        let u = Setpoint {
            gripper_width_m: width,
            gripper_force_n: force,
            ..*proposed
        };
        let verdict = match (self.admit(&u), gripper) {
            (Some((refused, scale)), _) => self.limited_verdict(refused, scale),
            (None, Some(clamped)) => self.limited_verdict(clamped, 1.0),
            (None, None) => Verdict::PASS,
        };
        (Some(SafeCommand::new(self.given)), verdict)
    }

    /// Gives way to a contact: the tool goes where it is pushed, through every check.
    pub(super) fn give_way(
        &mut self,
        violation: Violation,
        velocity: &Vector3<f64>,
        proposed: &Setpoint,
    ) -> (Option<SafeCommand>, Verdict) {
        let config = self.rules.config();
        let share = self
            .joint_speed_share()
            .min(config.recovery.joint_speed_share);
        let most = config.velocity_max_rad_s.map(|most| share * most);
        let wanted = retreat_velocities(&self.chain, &self.forward, velocity, &most);
        let next = retreat_step(&self.state, &wanted, config);
        let (width, force, _) = self.gripper(proposed);
        self.admit(&next.setpoint(width, force));
        let verdict = Verdict {
            kind: VerdictKind::Yield,
            ..self.stop_verdict(violation)
        };
        (Some(SafeCommand::new(self.given)), verdict)
    }

    /// Gives `u` where it may go, else as much of the way from the stop to it as may be; why not all of it, and the
    /// share.
    fn admit(&mut self, u: &Setpoint) -> Option<(Violation, f64)> {
        let braked = self.state.brake(&self.rules.law);
        let b = braked.setpoint(u.gripper_width_m, u.gripper_force_n);
        let refused = match self.check(u, &b, &braked, PROPOSED) {
            Ok(state) => {
                self.give(state, *u);
                return None;
            }
            Err(violation) => violation,
        };
        let (mut low, mut high) = (0.0, 1.0);
        let mut best = (braked, b);
        for _ in 0..BISECTIONS {
            let k = 0.5 * (low + high);
            let candidate = blend(&b, u, k);
            match self.check(&candidate, &b, &braked, SEARCHED) {
                Ok(state) => {
                    low = k;
                    best = (state, candidate);
                }
                Err(_) => high = k,
            }
        }
        self.give(best.0, best.1);
        Some((refused, low))
    }

    /// The state that `candidate` leads to, if everything about it and its stop holds. `b` needs no check: it
    /// lies on the stop that was verified before.
    fn check(
        &mut self,
        candidate: &Setpoint,
        b: &Setpoint,
        braked: &ArmState,
        effort: Effort,
    ) -> Result<ArmState, Violation> {
        if same_bits(&candidate.position_rad, &b.position_rad) {
            check_statement(candidate, braked, self.rules.config())?;
            return Ok(*braked);
        }
        let after = self.state.moved_to(&candidate.position_rad);
        let share = self.joint_speed_share();
        let speed_limits = self.speed_limits();
        let Rules {
            limits,
            law,
            path,
            sweep,
            singularity,
            slow_speeds,
            ..
        } = &mut self.rules;
        let (config, law) = (limits.config(), &*law);
        check_joints(&self.state, &after, law, share, config)?;
        check_statement(candidate, &after, config)?;
        let forward = self.chain.forward(&after.q);
        self.checked = (after.q, forward);
        if let (Some(check), Some(limits)) = (singularity, &config.singularity) {
            let most = config.velocity_max_rad_s.map(|most| share * most);
            check.check(&self.chain, &self.forward, &after, &forward, &most, limits)?;
        }
        let motion = HandMotion::new(&forward, &after.v);
        self.contact.check(&motion, sweep.hand())?;
        if let Some(limits) = &config.effort {
            self.effort.check(&self.chain, &after, &forward, limits)?;
        }
        let speeds = SpeedQuestion {
            chain: &self.chain,
            given: &self.state,
            candidate: &after,
            forward: &forward,
            drift: &late::drift(&after, config.reaction_ticks),
            law,
            halvings: effort.halvings,
        };
        self.speed.check(&speeds, path, &speed_limits)?;
        self.threats.stop_takes(late::stop_s(&after, law));
        let mut question = Question {
            given: &self.state,
            given_forward: &self.forward,
            candidate: &after,
            forward: &forward,
            late: &Apart::new(&after, law, config.reaction_ticks),
            threats: &self.threats,
            pressed: self.contact.pressed(),
            speed_m_s: f64::INFINITY,
            recovers: self.mode == SafetyMode::Recovery,
            samples_max: effort.samples,
        };
        sweep.check(Group::Hard, &question, path, law, config)?;
        // Who is in a slow zone can go slowly: that is no violation to be recovered from.
        question.recovers = false;
        if sweep.nears_slow_zones(&question, law, config) {
            // The slowest limit that the motion keeps: zones that allow as much don't matter. Whoever keeps one keeps the
            // faster ones.
            let too_slow = slow_speeds.partition_point(|speed| {
                let limits = SpeedLimits::of_points(*speed);
                self.speed.check(&speeds, path, &limits).is_err()
            });
            if let Some(speed) = slow_speeds.get(too_slow) {
                question.speed_m_s = *speed;
            }
            sweep.check(Group::Slow, &question, path, law, config)?;
        }
        Ok(after)
    }

    /// Width and force within their limits, and the violation if one had to be clamped.
    pub(super) fn gripper(&self, proposed: &Setpoint) -> (f64, f64, Option<Violation>) {
        let c = self.rules.config();
        let width = clamped(
            proposed.gripper_width_m,
            c.gripper_width_min_m,
            c.gripper_width_max_m,
        );
        let force = clamped(proposed.gripper_force_n, 0.0, c.gripper_force_max_n);
        let violation = |index, limit_value, asked| {
            Some(Violation {
                limit: LimitKind::Gripper,
                index: Some(index),
                limit_value,
                asked,
            })
        };
        let refused = if width != proposed.gripper_width_m {
            violation(0, width, proposed.gripper_width_m)
        } else if force != proposed.gripper_force_n {
            violation(1, force, proposed.gripper_force_n)
        } else {
            None
        };
        (width, force, refused)
    }

    fn limited_verdict(&mut self, violation: Violation, scale: f64) -> Verdict {
        self.limited_total += 1;
        self.reason = violation.limit;
        let joint = violation
            .index
            .map_or(0, |index| (index as usize).min(JOINTS - 1));
        let given = match violation.limit {
            LimitKind::Position => self.state.q[joint],
            LimitKind::Velocity => self.state.v[joint].abs(),
            LimitKind::Acceleration => self.state.a[joint].abs(),
            LimitKind::Gripper => violation.limit_value,
            _ => 0.0,
        };
        Verdict {
            kind: VerdictKind::Limited,
            limit: violation.limit,
            index: violation.index,
            limit_value: violation.limit_value,
            asked: violation.asked,
            given,
            scale,
            ..Verdict::PASS
        }
    }
}
