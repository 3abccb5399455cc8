//! What is proposed: schemes that are drawn, and targets that are searched for.

use nalgebra::Vector3;
use sinew_kinematics::Chain;
use sinew_messages::{JOINTS, JointVector, LimitKind, Setpoint};
use sinew_safety::SafetyConfig;
use sinew_units::TICK_S;

use crate::judge::{nearness, to_itself};
use crate::stream::Stream;

/// Targets that are looked at for one that leads as close to something as can be.
const TRIES: usize = 12;
/// Ticks that a scheme lasts, on average.
const PATIENCE: u64 = 250;
/// Joint that stretches the arm at its lower end, and that which puts two axes of the wrist into one at 0.
const STRETCHING: usize = 3;
const ALIGNING: usize = 5;
/// Of the least squares that find the way into a contact.
const PRESS_DAMPING: f64 = 0.05;

/// What the adversary is up to for a while.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    /// As hard as allowed, or harder, toward the target.
    Push(Push),
    /// The target at once.
    Jump,
    /// From one end of the limits to the other and back.
    Oscillate { half_period: u64 },
    /// An old setpoint again.
    Replay,
    /// Garbage in one field now and then.
    Sprinkle,
    /// Nothing, stale.
    Stale,
    /// The braking step with something small on top: what a search for the last bit would try.
    Nibble { by: f64 },
}

/// How hard.
#[derive(Clone, Copy, Debug)]
struct Push {
    share: f64,
    jerk_share: f64,
    brakes: bool,
    straight: bool,
}

/// The adversary of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    scheme: Scheme,
    /// Ticks until another one, on average.
    pub(crate) patience: u64,
    target: JointVector,
    old: Setpoint,
}

impl Attack {
    pub(crate) fn new(given: &Setpoint) -> Self {
        Self {
            scheme: Scheme::Stale,
            patience: PATIENCE,
            target: given.position_rad,
            old: *given,
        }
    }

    /// Another scheme, with a target searched for: of some random ones that which comes nearest to a zone, an
    /// edge or another link on the straight way there.
    pub(crate) fn change(
        &mut self,
        given: &Setpoint,
        chain: &Chain,
        config: &SafetyConfig,
        stream: &mut Stream,
    ) {
        self.scheme = match stream.below(14) {
            0 => Scheme::Jump,
            1 => Scheme::Oscillate {
                half_period: 5 + stream.below(80),
            },
            2 => Scheme::Replay,
            3 => Scheme::Sprinkle,
            4 => Scheme::Stale,
            5 => Scheme::Nibble {
                by: [1e-9, 1e-7, 1e-6, 1e-5][stream.below(4) as usize],
            },
            _ => Scheme::Push(Push {
                share: [0.1, 0.3, 0.7, 1.0, 1.0, 1.3][stream.below(6) as usize],
                jerk_share: [0.2, 0.999, 1.0][stream.below(3) as usize],
                brakes: stream.one_in(3),
                straight: stream.one_in(2),
            }),
        };
        let from = given.position_rad;
        self.patience = PATIENCE;
        if stream.one_in(4) {
            // One joint alone, to the end of its limits: that is a long way.
            self.patience = 3 * PATIENCE;
            let joint = stream.below(JOINTS as u64) as usize;
            self.target = from;
            self.target[joint] =
                stream.joints(config)[joint] + [-3.0, 3.0][stream.below(2) as usize];
            return;
        }
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            let mut target = stream.joints(config);
            if stream.one_in(3) {
                // One joint alone gets to its limit where all of them would meet a zone first.
                let joint = stream.below(JOINTS as u64) as usize;
                let goal = target[joint];
                target = from;
                target[joint] = goal;
            }
            let near = (1..=4)
                .map(|n| {
                    let share = f64::from(n) / 4.0;
                    let q = core::array::from_fn(|j| from[j] + share * (target[j] - from[j]));
                    nearness(chain, config, &q)
                        .abs()
                        .min(to_itself(chain, config, &q).abs())
                })
                .fold(f64::INFINITY, f64::min);
            if near < best {
                best = near;
                self.target = target;
            }
        }
        if config.singularity.is_some() && stream.one_in(4) {
            // Through postures in which the arm is stretched, or two axes of the wrist fall together.
            if stream.one_in(2) {
                self.target[STRETCHING] = chain.joints()[STRETCHING].lower_rad;
            } else {
                self.target[ALIGNING] = 0.0;
            }
        }
    }

    /// Goes on into what is touched: `into` is a unit vector.
    pub(crate) fn press(
        &mut self,
        given: &Setpoint,
        chain: &Chain,
        into: &Vector3<f64>,
        stream: &mut Stream,
    ) {
        let mut part = || stream.between(-0.5, 0.5);
        let aside = Vector3::new(part(), part(), part());
        let forward = chain.forward(&given.position_rad);
        let way = chain.velocities_for(&forward, &(0.3 * (into + aside)), PRESS_DAMPING);
        for (target, (q, way)) in (self.target.iter_mut()).zip(given.position_rad.iter().zip(&way))
        {
            *target = q + way;
        }
        self.scheme = Scheme::Push(Push {
            share: [0.02, 0.1, 0.5, 1.0][stream.below(4) as usize],
            jerk_share: 0.999,
            brakes: false,
            straight: !stream.one_in(3),
        });
    }

    /// The proposal of one tick. `before` is where the robot was given to be one tick before `given`.
    pub(crate) fn propose(
        &mut self,
        tick: u64,
        given: &Setpoint,
        before: &JointVector,
        config: &SafetyConfig,
        stream: &mut Stream,
    ) -> (Setpoint, Option<LimitKind>) {
        let here = Setpoint {
            velocity_rad_s: [0.0; JOINTS],
            acceleration_rad_s2: [0.0; JOINTS],
            ..*given
        };
        let mut stale = None;
        let mut proposed = match self.scheme {
            Scheme::Push(push) => push.toward(given, before, &self.target, config),
            Scheme::Jump => Setpoint {
                position_rad: self.target,
                ..*given
            },
            Scheme::Oscillate { half_period } => Setpoint {
                position_rad: if (tick / half_period).is_multiple_of(2) {
                    config.position_min_rad
                } else {
                    config.position_max_rad
                },
                gripper_width_m: if tick.is_multiple_of(2) { -1.0 } else { 1.0 },
                gripper_force_n: 1e6,
                ..*given
            },
            Scheme::Replay => self.old,
            Scheme::Sprinkle => {
                let push = Push {
                    share: 1.0,
                    jerk_share: 1.0,
                    brakes: false,
                    straight: false,
                };
                let toward = push.toward(given, before, &self.target, config);
                if stream.one_in(50) {
                    spoil(toward, stream)
                } else {
                    toward
                }
            }
            Scheme::Stale => {
                stale = Some(LimitKind::Stale);
                here
            }
            Scheme::Nibble { by } => {
                let mut nibble = *given;
                for (q, v) in nibble.position_rad.iter_mut().zip(&given.velocity_rad_s) {
                    *q += TICK_S * v + by * stream.between(-1.0, 1.0);
                }
                nibble
            }
        };
        // Stated velocities mostly agree with the positions; a lie is worth a try.
        if matches!(self.scheme, Scheme::Nibble { .. } | Scheme::Jump) && !stream.one_in(10) {
            for j in 0..JOINTS {
                let v = (proposed.position_rad[j] - given.position_rad[j]) / TICK_S;
                proposed.velocity_rad_s[j] = v;
                proposed.acceleration_rad_s2[j] = (v - given.velocity_rad_s[j]) / TICK_S;
            }
        }
        if stream.one_in(500) && proposed.is_finite() {
            self.old = proposed;
        }
        (proposed, stale)
    }
}

impl Push {
    fn toward(
        &self,
        given: &Setpoint,
        before: &JointVector,
        target: &JointVector,
        c: &SafetyConfig,
    ) -> Setpoint {
        let farthest = (0..JOINTS)
            .map(|i| (target[i] - given.position_rad[i]).abs())
            .fold(1e-9, f64::max);
        let mut out = *given;
        for i in 0..JOINTS {
            let q = given.position_rad[i];
            let v = (q - before[i]) / TICK_S;
            let a = given.acceleration_rad_s2[i];
            let away = target[i] - q;
            let share = if self.straight {
                self.share * (away.abs() / farthest).max(1e-6)
            } else {
                self.share
            };
            let most_a = share * c.acceleration_max_rad_s2[i];
            let mut fastest = share * c.velocity_max_rad_s[i];
            if self.brakes {
                fastest = fastest.min((away.abs() * most_a).sqrt());
            }
            let wanted_a = ((fastest.copysign(away) - v) / (20.0 * TICK_S)).clamp(-most_a, most_a);
            let step = self.jerk_share * c.jerk_max_rad_s3[i] * TICK_S;
            let next_a = wanted_a.clamp(a - step, a + step);
            let next_v = v + TICK_S * next_a;
            out.position_rad[i] = q + TICK_S * next_v;
            out.velocity_rad_s[i] = next_v;
            out.acceleration_rad_s2[i] = next_a;
        }
        out
    }
}

/// One field becomes what no setpoint should have.
fn spoil(mut u: Setpoint, stream: &mut Stream) -> Setpoint {
    let bad = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE / 2.0,
        -0.0,
    ][stream.below(6) as usize];
    let joint = stream.below(JOINTS as u64) as usize;
    match stream.below(5) {
        0 => u.position_rad[joint] = bad,
        1 => u.velocity_rad_s[joint] = bad,
        2 => u.acceleration_rad_s2[joint] = bad,
        3 => u.gripper_width_m = bad,
        _ => u.gripper_force_n = bad,
    }
    u
}
