//! A robot for the tests: a chain, limits, a plant that follows at once, and the judge.

use nalgebra::{Translation3, UnitQuaternion, Vector3};
use sinew_kinematics::{
    Aabb, Body, Chain, HAND, HalfSpace, Isometry, Joint, LinkCapsule, Masses, PlacedCapsule, Point,
};
use sinew_messages::{
    DriveStatus, JOINTS, JointVector, LimitKind, ObstacleFrame, RequestCounts, SafetyInputs,
    SensorFrame, Setpoint, VerdictKind,
};
use sinew_safety::{
    BodyRegion, Cone, ContactLimits, EffortLimits, ForceReaction, Gate, GripLimits, Inputs,
    ModeLimits, PowerDemand, SafeCommand, SafetyConfig, SafetyLimits, SelfCollision,
    SeparationConfig, Singularity, Verdict, YieldLimits, Zone, ZoneShape,
};

use crate::oracle::Motion;

pub(crate) const T: f64 = 1e-3;
/// A posture with the tool above the table.
pub(crate) const HOME: JointVector = [0.0, -0.21, 0.0, 2.11, 0.0, 1.24, 0.0];

pub(crate) fn chain() -> Chain {
    let quarter = std::f64::consts::FRAC_PI_2;
    let place = |y: f64, z: f64, roll: f64| {
        Isometry::from_parts(
            Translation3::new(0.0, y, z),
            UnitQuaternion::from_axis_angle(&Vector3::x_axis(), roll),
        )
    };
    let joints = [
        (place(0.0, 0.2, 0.0), -2.9, 2.9),
        (place(0.0, 0.16, -quarter), -1.6, 1.9),
        (place(-0.2, 0.0, quarter), -2.8, 2.8),
        (place(0.0, 0.15, -quarter), 0.1, 2.7),
        (place(-0.25, 0.0, quarter), -2.9, 2.9),
        (place(0.0, 0.25, -quarter), -0.2, 2.3),
        (place(-0.05, 0.0, quarter), -2.9, 2.9),
    ]
    .map(|(origin, lower_rad, upper_rad)| Joint {
        origin,
        lower_rad,
        upper_rad,
    });
    let capsule = |link, a: [f64; 3], b: [f64; 3], radius_m| LinkCapsule {
        link,
        a: Point::from(a),
        b: Point::from(b),
        radius_m,
    };
    let capsules = [
        capsule(0, [0.0, 0.0, 0.09], [0.0, 0.0, 0.2], 0.085),
        capsule(1, [0.0, 0.0, 0.02], [0.0, 0.0, 0.16], 0.075),
        capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.07),
        capsule(3, [0.0; 3], [0.0, 0.0, 0.15], 0.065),
        capsule(4, [0.0; 3], [0.0, -0.25, 0.0], 0.058),
        capsule(5, [0.0; 3], [0.0, 0.0, 0.25], 0.052),
        capsule(6, [0.0; 3], [0.0, -0.03, 0.0], 0.05),
        capsule(7, [0.0; 3], [0.0, 0.0, 0.03], 0.045),
        capsule(HAND, [0.0, -0.042, 0.028], [0.0, 0.042, 0.028], 0.041),
        capsule(HAND, [0.0, -0.047, 0.056], [0.0, -0.047, 0.1135], 0.0125),
        capsule(HAND, [0.0, 0.047, 0.056], [0.0, 0.047, 0.1135], 0.0125),
    ];
    Chain::new(
        joints,
        Isometry::from_parts(
            Translation3::new(0.0, 0.0, 0.05),
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI),
        ),
        Isometry::translation(0.0, 0.0, 0.12),
        &capsules,
        HOME,
    )
    .expect("the test arm is valid")
    .with_masses(masses())
}

/// Like those of a small arm.
fn masses() -> Masses {
    let body = |mass_kg, com_m| Body {
        mass_kg,
        com_m,
        inertia_kg_m2: [0.012, 0.012, 0.008],
    };
    Masses {
        links: [
            body(3.6, [0.0, 0.0, 0.09]),
            body(2.6, [0.0, -0.09, 0.0]),
            body(2.4, [0.0, 0.0, 0.08]),
            body(2.2, [0.0, -0.11, 0.0]),
            body(1.5, [0.0, 0.0, 0.11]),
            body(1.2, [0.0, -0.02, 0.0]),
            body(0.7, [0.0, 0.0, 0.02]),
        ],
        hand: body(0.9, [0.0, 0.0, 0.04]),
    }
}

pub(crate) fn config() -> SafetyConfig {
    let zone = |name: &str, min: [f64; 3], max: [f64; 3]| Zone {
        name: name.into(),
        shape: ZoneShape::Box(Aabb {
            min: Point::from(min),
            max: Point::from(max),
        }),
        speed_max_m_s: None,
    };
    SafetyConfig {
        position_min_rad: [-2.9, -1.6, -2.8, 0.1, -2.9, -0.2, -2.9],
        position_max_rad: [2.9, 1.9, 2.8, 2.7, 2.9, 2.3, 2.9],
        velocity_max_rad_s: [2.4, 2.4, 2.6, 2.8, 3.3, 3.3, 3.8],
        acceleration_max_rad_s2: [15.0, 15.0, 18.0, 18.0, 24.0, 24.0, 30.0],
        jerk_max_rad_s3: [1500.0, 1500.0, 1500.0, 1500.0, 2500.0, 2500.0, 2500.0],
        stop_acceleration_rad_s2: [16.0, 16.0, 20.0, 20.0, 26.0, 26.0, 32.0],
        stop_jerk_rad_s3: [2000.0, 2000.0, 2000.0, 2000.0, 3000.0, 3000.0, 3000.0],
        reaction_ticks: 3,
        tool_speed_max_m_s: 1.2,
        elbow_speed_max_m_s: 1.2,
        reduced: ModeLimits {
            speed_max_m_s: 0.25,
            joint_speed_share: 0.5,
        },
        recovery: ModeLimits {
            speed_max_m_s: 0.1,
            joint_speed_share: 0.2,
        },
        cone: None,
        self_collision: Some(SelfCollision {
            margin_m: 0.005,
            ignored: vec![[0, 2], [2, 4], [5, 7]],
        }),
        effort: None,
        separation: None,
        envelope_min_m: [-0.6, -1.0, -0.018],
        envelope_max_m: [1.1, 1.0, 1.35],
        zones: vec![
            zone("camera", [0.41, -0.06, 0.89], [0.53, 0.06, 1.35]),
            zone("cabinet", [-0.6, -0.4, -0.02], [-0.4, 0.4, 0.4]),
            zone("post", [0.3, 0.4, 0.0], [0.4, 0.5, 0.5]),
            Zone {
                name: "operator".into(),
                shape: ZoneShape::HalfSpace(HalfSpace {
                    normal: -Vector3::x(),
                    offset_m: -1.0,
                }),
                speed_max_m_s: None,
            },
        ],
        gripper_width_min_m: 0.0,
        gripper_width_max_m: 0.08,
        gripper_force_max_n: 60.0,
        tracking_margin_m: 0.015,
        following_error_max_rad: [0.05, 0.05, 0.05, 0.05, 0.06, 0.06, 0.06],
        following_error_ticks: 50,
        force_stop_n: 60.0,
        force_reaction: ForceReaction::Hold,
        contact: None,
        grip: None,
        singularity: None,
        heartbeat_ticks: 100,
        standstill_rad_s: 0.05,
    }
}

/// With everything there that may be left out.
pub(crate) fn full() -> SafetyConfig {
    let mut c = config();
    c.zones[1].speed_max_m_s = Some(0.2);
    SafetyConfig {
        cone: Some(Cone {
            axis: [0.0, 0.0, -1.0],
            half_angle_rad: 1.0,
        }),
        effort: Some(EffortLimits {
            max_nm: [100.0; JOINTS],
            rate_max_nm_s: [1e4; JOINTS],
            load_max_kg: 1.0,
            measured_ticks: 50,
        }),
        separation: Some(SeparationConfig {
            approach_speed_m_s: 1.6,
            intrusion_m: 0.1,
            robot_uncertainty_m: 0.02,
            silent_ticks: 100,
        }),
        force_reaction: ForceReaction::Yield(YieldLimits {
            admittance_m_s_n: 0.002,
            speed_max_m_s: 0.05,
            distance_max_m: 0.03,
        }),
        contact: Some(ContactLimits {
            regions: vec![BodyRegion {
                name: "face".into(),
                force_max_n: 65.0,
                transient_factor: 2.0,
                stiffness_n_m: 75_000.0,
                mass_kg: 4.4,
            }],
            transient_ticks: 500,
            power_max_w: 80.0,
            momentum_max_kg_m_s: 25.0,
        }),
        grip: Some(GripLimits {
            empty_width_m: 0.005,
            lost_force_n: 1.0,
            lost_ticks: 50,
        }),
        singularity: Some(Singularity {
            characteristic_length_m: 0.3,
            slow_above: 15.0,
            stop_above: 40.0,
            slow_share: 0.2,
        }),
        ..c
    }
}

/// What the gate gets to see in one tick.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) frame: SensorFrame,
    pub(crate) obstacles: ObstacleFrame,
    pub(crate) requests: RequestCounts,
    pub(crate) proposed: Setpoint,
}

/// A gate with a plant that is where its last command was.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) gate: Gate,
    pub(crate) frame: SensorFrame,
    pub(crate) obstacles: ObstacleFrame,
    /// The scanner says every tick that it sees.
    pub(crate) scanner_sees: bool,
    pub(crate) requests: RequestCounts,
    /// The skill brain beats every tick.
    pub(crate) brain_alive: bool,
}

impl Rig {
    /// As after boot.
    pub(crate) fn booted(config: SafetyConfig) -> Self {
        let limits = SafetyLimits::new(config).expect("valid test limits");
        Self {
            gate: Gate::new(limits, chain()),
            frame: SensorFrame {
                tick: 0,
                time_ns: 5_000_000_000,
                position_rad: HOME,
                velocity_rad_s: [0.0; JOINTS],
                effort_nm: [0.0; JOINTS],
                gripper_width_m: 0.04,
                gripper_velocity_m_s: 0.0,
                gripper_force_n: 0.0,
                tool_force_n: [0.0; 3],
                drive_status: DriveStatus::POWERED,
                safety_inputs: SafetyInputs::ALL_CLOSED,
            },
            obstacles: ObstacleFrame::NONE,
            scanner_sees: false,
            requests: RequestCounts::default(),
            brain_alive: true,
        }
    }

    /// After the first reset.
    pub(crate) fn ready_with(config: SafetyConfig) -> Self {
        let mut rig = Self::booted(config);
        assert!(rig.hold().0.is_none());
        rig.reset();
        rig.hold();
        assert_eq!(rig.hold().1.kind, VerdictKind::Pass);
        rig
    }

    pub(crate) fn ready() -> Self {
        Self::ready_with(config())
    }

    pub(crate) fn reset(&mut self) -> Verdict {
        self.requests.reset += 1;
        self.hold().1
    }

    /// The setpoint that asks for nothing.
    pub(crate) fn here(&self) -> Setpoint {
        Setpoint {
            velocity_rad_s: [0.0; JOINTS],
            acceleration_rad_s2: [0.0; JOINTS],
            ..*self.gate.given()
        }
    }

    pub(crate) fn hold(&mut self) -> (Option<SafeCommand>, Verdict) {
        self.step(&self.here(), None)
    }

    pub(crate) fn step(
        &mut self,
        proposed: &Setpoint,
        stale: Option<LimitKind>,
    ) -> (Option<SafeCommand>, Verdict) {
        self.step_spoiled(proposed, stale, |_| {})
    }

    /// A tick in which the gate gets to see something else than what is.
    pub(crate) fn step_spoiled(
        &mut self,
        proposed: &Setpoint,
        stale: Option<LimitKind>,
        spoil: impl Fn(&mut Seen),
    ) -> (Option<SafeCommand>, Verdict) {
        self.frame.tick += 1;
        self.frame.time_ns += 1_000_000;
        if self.scanner_sees {
            self.obstacles.seen_tick = self.frame.tick;
        }
        if self.brain_alive {
            self.requests.heartbeat_tick = self.frame.tick;
        }
        let mut seen = Seen {
            frame: self.frame,
            obstacles: self.obstacles,
            requests: self.requests,
            proposed: *proposed,
        };
        spoil(&mut seen);
        let (command, verdict) = self.gate.filter(&Inputs {
            frame: &seen.frame,
            obstacles: &seen.obstacles,
            requests: &seen.requests,
            proposed: &seen.proposed,
            stale,
        });
        if let Some(command) = command {
            let to = command.setpoint();
            self.frame.velocity_rad_s =
                core::array::from_fn(|i| (to.position_rad[i] - self.frame.position_rad[i]) / T);
            self.frame.position_rad = to.position_rad;
            self.frame.gripper_width_m = to.gripper_width_m;
        } else {
            self.frame.velocity_rad_s = [0.0; JOINTS];
        }
        match self.gate.power() {
            PowerDemand::On => self.frame.drive_status |= DriveStatus::POWERED,
            PowerDemand::Off(_) => self.frame.drive_status &= !DriveStatus::POWERED,
            PowerDemand::Keep => {}
        }
        (command, verdict)
    }

    /// Steps with stale input until the robot stands.
    pub(crate) fn brake(&mut self) {
        for _ in 0..512 {
            self.step(&self.here(), Some(LimitKind::Stale));
        }
    }
}

/// A motion source that goes for a joint target as hard as its limits allow, from what was given.
#[derive(Clone, Copy)]
pub(crate) struct Eager {
    pub(crate) velocity: f64,
    pub(crate) acceleration: f64,
    pub(crate) jerk: f64,
    /// Brake before the target, or run through it.
    pub(crate) brakes: bool,
    /// Joints move in proportion, as in planned motions: one that has hardly anywhere to go is not in a hurry.
    pub(crate) straight: bool,
}

/// At every limit, and not braking for the target.
pub(crate) const HARD: Eager = Eager {
    velocity: 2.4,
    acceleration: 15.0,
    jerk: 1499.0,
    brakes: false,
    straight: false,
};

/// As motions are planned.
pub(crate) const GENTLE: Eager = Eager {
    velocity: 0.8,
    acceleration: 6.0,
    jerk: 300.0,
    brakes: true,
    straight: true,
};

impl Eager {
    pub(crate) fn toward(
        &self,
        given: &Setpoint,
        before: &JointVector,
        target: &JointVector,
    ) -> Setpoint {
        let farthest = (0..JOINTS)
            .map(|i| (target[i] - given.position_rad[i]).abs())
            .fold(1e-9, f64::max);
        let mut out = *given;
        for i in 0..JOINTS {
            let q = given.position_rad[i];
            let share = if self.straight {
                ((target[i] - q).abs() / farthest).max(1e-6)
            } else {
                1.0
            };
            let v = (q - before[i]) / T;
            let a = given.acceleration_rad_s2[i];
            let away = target[i] - q;
            let most_a = share * self.acceleration;
            let mut fastest = share * self.velocity;
            if self.brakes {
                fastest = fastest.min((away.abs() * most_a).sqrt());
            }
            let wanted_v = fastest.copysign(away);
            let wanted_a = ((wanted_v - v) / (20.0 * T)).clamp(-most_a, most_a);
            let step = share * self.jerk * T;
            let next_a = wanted_a.clamp(a - step, a + step);
            let next_v = v + T * next_a;
            out.position_rad[i] = q + T * next_v;
            out.velocity_rad_s[i] = next_v;
            out.acceleration_rad_s2[i] = next_a;
        }
        out
    }
}

/// Clearance of every moving capsule to the envelope and all zones, computed on its own.
pub(crate) fn clearances(chain: &Chain, c: &SafetyConfig, q: &JointVector) -> Vec<f64> {
    let forward = chain.forward(q);
    chain
        .place_capsules(&forward)
        .filter(|capsule| capsule.link > 0)
        .map(|capsule| clearance(&capsule, c))
        .collect()
}

fn clearance(capsule: &PlacedCapsule, c: &SafetyConfig) -> f64 {
    let mut least = f64::INFINITY;
    for end in [capsule.a, capsule.b] {
        for axis in 0..3 {
            least = least
                .min(end[axis] - capsule.radius_m - c.envelope_min_m[axis])
                .min(c.envelope_max_m[axis] - end[axis] - capsule.radius_m);
        }
    }
    for zone in &c.zones {
        if zone.speed_max_m_s.is_none() {
            least = least.min(zone.shape.clearance(capsule));
        }
    }
    least
}

/// Looks at every command and says what is wrong with it.
#[derive(Clone)]
pub(crate) struct Judge {
    chain: Chain,
    config: SafetyConfig,
    q: JointVector,
    v: JointVector,
    a: JointVector,
    /// Least clearance seen, m.
    pub(crate) least_clearance: f64,
    /// Least room to a position limit seen, rad.
    pub(crate) least_room: f64,
}

impl Judge {
    pub(crate) fn new(rig: &Rig) -> Self {
        Self {
            chain: chain(),
            config: rig.gate.limits().config().clone(),
            q: rig.gate.given().position_rad,
            v: [0.0; JOINTS],
            a: [0.0; JOINTS],
            least_clearance: f64::INFINITY,
            least_room: f64::INFINITY,
        }
    }

    /// Power was off: the next command starts at rest from where the robot is.
    pub(crate) fn restart(&mut self, q: &JointVector) {
        self.q = *q;
        self.v = [0.0; JOINTS];
        self.a = [0.0; JOINTS];
    }

    pub(crate) fn look(&mut self, command: &SafeCommand, verdict: &Verdict) -> Result<(), String> {
        let c = &self.config;
        let s = command.setpoint();
        if !s.is_finite() {
            return Err(format!("not finite: {s:?}"));
        }
        let tool_before = self.chain.forward(&self.q).tool.translation.vector;
        // A step of the stop is one whatever it is called: one that was proposed bit for bit is a pass.
        let mut stop = Motion {
            q: self.q,
            v: self.v,
            a: self.a,
        };
        stop.brake(c);
        let brakes = (0..JOINTS).all(|i| (stop.q[i] - s.position_rad[i]).abs() < 1e-11);
        if verdict.kind == VerdictKind::Stop && !brakes {
            return Err(format!("no step of the stop, {verdict:?}"));
        }
        for i in 0..JOINTS {
            let q = s.position_rad[i];
            let v = (q - self.q[i]) / T;
            let a = (v - self.v[i]) / T;
            let j = (a - self.a[i]) / T;
            let (a_max, j_max) = if brakes {
                (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i])
            } else {
                (c.acceleration_max_rad_s2[i], c.jerk_max_rad_s3[i])
            };
            // Whoever had more comes back at the jerk limit.
            let a_max = a_max.max(self.a[i].abs() - j_max * T);
            for (what, value, limit) in [
                ("velocity", v.abs(), c.velocity_max_rad_s[i] + 1e-9),
                ("acceleration", a.abs(), a_max + 1e-6),
                ("jerk", j.abs(), j_max + 1e-2),
            ] {
                // The stop may still gain speed while it takes back an acceleration.
                let limit = if what == "velocity" && brakes {
                    let a = a_max.max(c.acceleration_max_rad_s2[i]);
                    limit + 0.5 * a * a / c.stop_jerk_rad_s3[i]
                } else {
                    limit
                };
                if value > limit {
                    return Err(format!(
                        "{what} of joint {i}: {value} over {limit}, {verdict:?}"
                    ));
                }
            }
            let room = (q - c.position_min_rad[i]).min(c.position_max_rad[i] - q)
                - c.following_error_max_rad[i];
            self.least_room = self.least_room.min(room);
            if room < -1e-9 {
                return Err(format!("joint {i} at {q}: {room} rad of room"));
            }
            self.q[i] = q;
            self.v[i] = v;
            self.a[i] = a;
        }
        if !(c.gripper_width_min_m..=c.gripper_width_max_m).contains(&s.gripper_width_m)
            || !(0.0..=c.gripper_force_max_n).contains(&s.gripper_force_n)
        {
            return Err(format!("gripper: {s:?}"));
        }
        let tool = self.chain.forward(&self.q).tool.translation.vector;
        let speed = (tool - tool_before).norm() / T;
        if speed > c.tool_speed_max_m_s + 1e-9 {
            return Err(format!("tool speed {speed}"));
        }
        let least = clearances(&self.chain, c, &self.q)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        self.least_clearance = self.least_clearance.min(least);
        if least < c.tracking_margin_m - 1e-3 - 1e-9 {
            return Err(format!("clearance {least}, {verdict:?}"));
        }
        Ok(())
    }
}

/// A small deterministic stream.
#[derive(Clone)]
pub(crate) struct Stream(pub(crate) u64);

impl Stream {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A joint vector a little beyond the limits.
    pub(crate) fn joints(&mut self, c: &SafetyConfig) -> JointVector {
        core::array::from_fn(|i| {
            let (min, max) = (c.position_min_rad[i], c.position_max_rad[i]);
            min - 0.3 + (max - min + 0.6) * self.unit()
        })
    }
}
