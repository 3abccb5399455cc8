//! The physics of the cell on rapier3d, one step a millisecond, the same bits for the same commands.
//!
//! The solver's settings were chosen by measurement: with contact recycling on, every grasp by a multibody
//! ends in NaN; softer contacts let the pads sink millimetres into a part.

mod arm;
mod convert;
mod forces;
mod groups;

use std::sync::Arc;

use rapier3d::prelude as rp;
use sinew_description::RobotDescription;
use sinew_kinematics::isometry_to_pose;
use sinew_messages::{JointVector, Pose};

pub(crate) use arm::{Drive, Measured};

use crate::config::CellConfig;
use crate::draw::SceneDraw;
use crate::scene::{SceneModel, SceneState, Shape, Solid};
use crate::solids;

/// Contact stiffness: natural frequency in Hz, and damping ratio. Static contacts are twice as stiff.
const CONTACT_HZ: f32 = 240.0;
const CONTACT_DAMPING_RATIO: f32 = 2.0;
/// Distance at which contacts are predicted, m.
const PREDICTION_M: f32 = 0.004;
/// Height from which objects settle, m.
const DROP_M: f64 = 0.0005;
/// Longest settling, steps, and the speed below which an object counts as settled, m/s.
const SETTLE_STEPS_MAX: usize = 3_000;
const SETTLE_STEPS_MIN: usize = 300;
const SETTLED_M_S: f32 = 0.002;
/// How long an object lies still before it sleeps, s.
const SLEEP_AFTER_S: f32 = 0.25;
/// Damping of the rotation of round objects: rolling resistance, 1/s.
const ROLLING_DAMPING: f32 = 4.0;

/// A loose object.
pub(crate) struct Loose {
    pub(crate) class: String,
    pub(crate) color: String,
    pub(crate) is_part: bool,
    half_height_m: f64,
    body: rp::RigidBodyHandle,
    collider: rp::ColliderHandle,
}

/// What a solid of the scene follows.
enum Follows {
    Nothing(Pose),
    Body(rp::RigidBodyHandle, rp::Pose),
}

/// Where a loose object is and how it moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LooseState {
    pub(crate) pose: nalgebra::Isometry3<f64>,
    pub(crate) speed_m_s: f64,
    /// Touches hand or fingers.
    pub(crate) is_touched: bool,
    /// Is between the pads.
    pub(crate) is_held: bool,
    pub(crate) half_height_m: f64,
}

/// The world of one cycle.
pub(crate) struct Physics {
    world: rp::PhysicsWorld,
    arm: arm::Arm,
    forces: forces::Forces,
    loose: Vec<Loose>,
    model: Arc<SceneModel>,
    follows: Vec<Follows>,
    tool_in_hand: nalgebra::Isometry3<f64>,
    measured: Measured,
    hash: u64,
}

/// The solver's collider for a shape; `None` for points without volume.
fn collider(shape: &Shape) -> Option<rp::ColliderBuilder> {
    let v = convert::vector;
    Some(match shape {
        Shape::Box { half_m } => {
            let [x, y, z] = half_m.map(|half| half as f32);
            rp::ColliderBuilder::cuboid(x, y, z)
        }
        Shape::Cylinder {
            radius_m,
            half_height_m,
        } => {
            // The solver's cylinders stand along y.
            let upright = rp::Vector::new(core::f32::consts::FRAC_PI_2, 0.0, 0.0);
            rp::ColliderBuilder::cylinder(*half_height_m as f32, *radius_m as f32).rotation(upright)
        }
        Shape::Sphere { radius_m } => rp::ColliderBuilder::ball(*radius_m as f32),
        Shape::Capsule { a_m, b_m, radius_m } => {
            rp::ColliderBuilder::capsule_from_endpoints(v(*a_m), v(*b_m), *radius_m as f32)
        }
        Shape::Prism { points_m } => {
            let points: Vec<_> = points_m.iter().map(|point| v(*point)).collect();
            rp::ColliderBuilder::convex_hull(&points)?
        }
    })
}

fn empty_world() -> rp::PhysicsWorld {
    let mut world = rp::PhysicsWorld::new();
    world.gravity = rp::Vector::new(0.0, 0.0, -9.81);
    let parameters = &mut world.integration_parameters;
    parameters.dt = sinew_units::TICK_S as f32;
    parameters.num_solver_iterations = 2;
    parameters.num_internal_pgs_iterations = 1;
    parameters.num_internal_stabilization_iterations = 1;
    parameters.contact_softness = rp::SpringCoefficients::new(CONTACT_HZ, CONTACT_DAMPING_RATIO);
    parameters.static_contact_softness =
        rp::SpringCoefficients::new(2.0 * CONTACT_HZ, CONTACT_DAMPING_RATIO);
    parameters.friction_in_bias_pass = false;
    parameters.contact_recycling = false;
    parameters.max_ccd_substeps = 0;
    parameters.normalized_prediction_distance = PREDICTION_M;
    parameters.friction_model = rp::FrictionModel::Coulomb;
    world
}

impl Physics {
    /// Builds the world of a drawn scene, robot at home, and lets the objects settle.
    pub(crate) fn new(
        config: &CellConfig,
        robot: &RobotDescription,
        home_rad: &JointVector,
        draw: &SceneDraw,
    ) -> Self {
        let mut world = empty_world();
        let contact = &config.contact;
        let mut solids = Vec::new();
        let mut follows = Vec::new();
        let ground = world.insert_body(rp::RigidBodyBuilder::fixed());
        for (solid, pose) in solids::fixtures(config) {
            if let Some(builder) = collider(&solid.shape) {
                let builder = builder
                    .position(convert::pose(&convert::message_isometry(&pose)))
                    .friction(contact.fixture_friction as f32)
                    .friction_combine_rule(rp::CoefficientCombineRule::Average)
                    .collision_groups(groups::world());
                world
                    .colliders
                    .insert_with_parent(builder, ground, &mut world.bodies);
            }
            solids.push(solid);
            follows.push(Follows::Nothing(pose));
        }
        let arm = arm::Arm::new(
            &mut world,
            robot,
            home_rad,
            (contact.pad_friction, contact.fixture_friction),
        );
        for piece in solids::robot_solids(robot) {
            let (body, frame) = arm.place(piece.frame);
            follows.push(Follows::Body(body, frame * convert::pose(&piece.local)));
            solids.push(piece.solid);
        }
        let mut loose = Vec::new();
        for placement in &draw.placements {
            let name = format!("object-{}", loose.len() + 1);
            let Some(solid) = solids::loose_solid(config, &placement.class, &placement.color, name)
            else {
                continue;
            };
            let Some(class) = config.class(&placement.class) else {
                continue;
            };
            let Some(object) = insert_loose(&mut world, class, &solid, placement, loose.len())
            else {
                continue;
            };
            follows.push(Follows::Body(object.body, rp::Pose::IDENTITY));
            solids.push(solid);
            loose.push(object);
        }
        let measured = arm.measure(&world);
        let mut physics = Self {
            world,
            arm,
            forces: forces::Forces::default(),
            loose,
            model: Arc::new(SceneModel {
                solids,
                light: draw.light,
            }),
            follows,
            tool_in_hand: *robot.chain().tool_in_hand(),
            measured,
            hash: HASH_START,
        };
        physics.settle();
        physics
    }

    fn settle(&mut self) {
        for step in 0..SETTLE_STEPS_MAX {
            self.step(&Drive::Brake);
            let is_still = self.loose.iter().all(|object| {
                self.world
                    .bodies
                    .get(object.body)
                    .is_none_or(|body| body.linvel().length() < SETTLED_M_S)
            });
            if step >= SETTLE_STEPS_MIN && is_still {
                break;
            }
        }
        self.hash = HASH_START;
        self.fold_state();
    }

    /// Advances by one millisecond.
    pub(crate) fn step(&mut self, drive: &Drive) {
        self.arm.drive(&mut self.world, drive);
        self.world.step();
        self.forces.update(&self.world, &self.arm, &self.loose);
        self.measured = self.arm.measure(&self.world);
        self.fold_state();
    }

    /// Robot state after the last step.
    pub(crate) fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Low-passed mean normal force on the pads, N.
    pub(crate) fn grip_force_n(&self) -> f64 {
        self.forces.grip_n
    }

    /// Low-passed external force on hand and held object, base frame, N.
    pub(crate) fn tool_force_n(&self) -> [f64; 3] {
        self.forces.tool_n
    }

    /// Fault injection: bounds the grip force, or stops to.
    pub(crate) fn cap_grip(&mut self, force_n: Option<f64>) {
        self.arm.grip_cap_n = force_n;
    }

    /// Fault injection: gives a loose object a push that changes its horizontal velocity.
    pub(crate) fn push(&mut self, index: usize, velocity_m_s: [f64; 2]) {
        let body = self
            .loose
            .get(index)
            .and_then(|object| self.world.bodies.get_mut(object.body));
        if let Some(body) = body {
            let [x, y] = velocity_m_s;
            let impulse = convert::vector([x, y, 0.0]) * body.mass();
            body.apply_impulse(impulse, true);
        }
    }

    /// The loose objects, in the order in which they were drawn.
    pub(crate) fn loose(&self) -> &[Loose] {
        &self.loose
    }

    /// State of a loose object.
    pub(crate) fn loose_state(&self, index: usize) -> Option<LooseState> {
        let object = self.loose.get(index)?;
        let body = self.world.bodies.get(object.body)?;
        Some(LooseState {
            pose: convert::isometry(body.position()),
            speed_m_s: f64::from(body.linvel().length()),
            is_touched: self.forces.touched.contains(index),
            is_held: self.forces.held.contains(index),
            half_height_m: object.half_height_m,
        })
    }

    fn body_pose(&self, body: rp::RigidBodyHandle) -> rp::Pose {
        self.world
            .bodies
            .get(body)
            .map_or(rp::Pose::IDENTITY, |body| *body.position())
    }

    fn frame(&self, frame: solids::RobotFrame) -> nalgebra::Isometry3<f64> {
        let (body, local) = self.arm.place(frame);
        convert::isometry(&(self.body_pose(body) * local))
    }

    /// The tool frame.
    pub(crate) fn tool(&self) -> nalgebra::Isometry3<f64> {
        self.frame(solids::RobotFrame::Hand) * self.tool_in_hand
    }

    /// What there is to see now.
    pub(crate) fn scene(&self, tick: u64) -> SceneState {
        let poses = self
            .follows
            .iter()
            .map(|follows| match follows {
                Follows::Nothing(pose) => *pose,
                Follows::Body(body, local) => {
                    isometry_to_pose(&convert::isometry(&(self.body_pose(*body) * *local)))
                }
            })
            .collect();
        let flange = self.frame(solids::RobotFrame::Link(sinew_messages::JOINTS));
        SceneState {
            model: Arc::clone(&self.model),
            tick,
            poses,
            tool_pose: isometry_to_pose(&self.tool()),
            flange_pose: isometry_to_pose(&flange),
        }
    }

    /// A number that depends on every state since the world was built.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    fn fold_state(&mut self) {
        let mut hash = self.hash;
        let mut fold = |low: f32, high: f32| {
            let word = u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
            hash = (hash ^ word).wrapping_mul(HASH_PRIME);
            hash ^= hash >> 29;
        };
        for (_, body) in self.world.bodies.iter() {
            let (pose, v, w) = (body.position(), body.linvel(), body.angvel());
            let (t, r) = (pose.translation, pose.rotation);
            fold(t.x, t.y);
            fold(t.z, r.x);
            fold(r.y, r.z);
            fold(r.w, v.x);
            fold(v.y, v.z);
            fold(w.x, w.y);
            fold(w.z, 0.0);
        }
        self.hash = hash;
    }
}

/// Start and multiplier of 64-bit FNV-1a, folded by words instead of bytes.
const HASH_START: u64 = 0xCBF2_9CE4_8422_2325;
const HASH_PRIME: u64 = 0x0000_0100_0000_01B3;

fn insert_loose(
    world: &mut rp::PhysicsWorld,
    class: &crate::config::ObjectClass,
    solid: &Solid,
    placement: &crate::draw::Placement,
    index: usize,
) -> Option<Loose> {
    let half_height_m = solid.shape.half_extents_m()[2];
    let is_round = matches!(solid.shape, Shape::Sphere { .. } | Shape::Capsule { .. });
    let [x, y] = placement.position_m;
    let mut body = rp::RigidBodyBuilder::dynamic()
        .translation(convert::vector([
            x,
            y,
            placement.surface_m + half_height_m + DROP_M,
        ]))
        .rotation(convert::vector([0.0, 0.0, placement.yaw_rad]))
        .angular_damping(if is_round { ROLLING_DAMPING } else { 0.0 })
        .build();
    body.activation_mut().time_until_sleep = SLEEP_AFTER_S;
    let builder = collider(&solid.shape)?
        .mass(class.mass as f32)
        .friction(class.friction as f32)
        .friction_combine_rule(rp::CoefficientCombineRule::Average)
        .collision_groups(groups::world())
        .user_data(forces::tag(index));
    let body = world.insert_body(body);
    let collider = world
        .colliders
        .insert_with_parent(builder, body, &mut world.bodies);
    Some(Loose {
        class: placement.class.clone(),
        color: placement.color.clone(),
        is_part: placement.is_part,
        half_height_m,
        body,
        collider,
    })
}
