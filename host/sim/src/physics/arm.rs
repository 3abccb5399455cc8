//! The robot as one multibody: seven revolute joints, the hand as part of the last link, two coupled fingers.
//!
//! The drives are force-based motors with real torque limits and velocity feed-forward. Links don't feel
//! gravity: this stands for the drives' own gravity compensation, so measured efforts are without it.

use rapier3d::prelude as rp;
use sinew_description::RobotDescription;
use sinew_messages::{JOINTS, JointVector, Setpoint};

use super::convert;
use super::groups;
use crate::solids::{RobotFrame, robot_solids};

/// Reflected rotor inertia of a joint, kg·m², and of a finger drive, kg.
const ARMATURE: f32 = 0.1;
/// Viscous friction of a joint, N·m·s/rad, and of a finger, N·s/m.
const JOINT_DAMPING: f32 = 1.0;
const FINGER_DAMPING: f32 = 10.0;
/// Room between the limits of the description and the mechanical end stops, rad.
const END_STOP_RAD: f64 = 0.03;
/// Speed below which a braking joint's brake closes, rad/s.
const BRAKE_CLOSES_RAD_S: f64 = 0.02;
/// Motor axis of a revolute joint whose axis was turned to x.
const ANG_X: usize = rp::JointAxis::AngX as usize;
/// Motor axis of a prismatic joint whose axis was turned to x.
const LIN_X: usize = rp::JointAxis::LinX as usize;

/// What the drives do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Drive {
    /// Brake with the torque that there is, and hold where that ends. The gripper keeps its grip.
    Brake,
    /// Follow a setpoint.
    Follow(Setpoint),
}

/// Measured state of arm and gripper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) position_rad: JointVector,
    pub(crate) velocity_rad_s: JointVector,
    pub(crate) effort_nm: JointVector,
    pub(crate) width_m: f64,
    pub(crate) width_rate_m_s: f64,
}

impl Measured {
    pub(crate) fn is_finite(&self) -> bool {
        self.position_rad
            .iter()
            .chain(&self.velocity_rad_s)
            .chain(&self.effort_nm)
            .chain([&self.width_m, &self.width_rate_m_s])
            .all(|value| value.is_finite())
    }
}

pub(super) struct Arm {
    base: rp::RigidBodyHandle,
    links: [rp::RigidBodyHandle; JOINTS],
    /// The hand in the last link's frame.
    hand: rp::Pose,
    fingers: [rp::RigidBodyHandle; 2],
    joints: [rp::MultibodyJointHandle; JOINTS],
    /// Colliders of the two pads.
    pub(super) pads: [rp::ColliderHandle; 2],
    /// Colliders of hand, fingers and pads.
    pub(super) hand_colliders: Vec<rp::ColliderHandle>,
    drives: [sinew_description::Drive; JOINTS],
    width_range_m: [f64; 2],
    force_max_n: f64,
    speed_max_m_s: f64,
    /// Target of each joint, rad and rad/s; while braking it follows the joint until the brake closes.
    target: [(f64, f64); JOINTS],
    brake_closed: [bool; JOINTS],
    grip: Grip,
    /// Fault injection: upper bound of the grip force.
    pub(super) grip_cap_n: Option<f64>,
}

/// Target of the fingers.
#[derive(Clone, Copy, Debug)]
struct Grip {
    width_m: f64,
    rate_m_s: f64,
    force_n: f64,
}

impl Arm {
    /// Builds the robot at rest at `home_rad` with open fingers.
    pub(super) fn new(
        world: &mut rp::PhysicsWorld,
        robot: &RobotDescription,
        home_rad: &JointVector,
        friction: (f64, f64),
    ) -> Self {
        let forward = robot.chain().forward(home_rad);
        let to_z = rp::Rotation::from_rotation_arc(rp::Vector::X, rp::Vector::Z);
        let base = world.insert_body(rp::RigidBodyBuilder::fixed());
        let hand = convert::pose(&robot.hand.origin);
        let mut parent = base;
        let mut links = [base; JOINTS];
        let mut joints = [rp::MultibodyJointHandle::invalid(); JOINTS];
        for (i, description) in robot.joints.iter().enumerate() {
            let mut mass = mass_of(&description.link);
            if i + 1 == JOINTS {
                mass += mass_of(&robot.hand.mass).transform_by(&hand);
            }
            let body = world.insert_body(
                rp::RigidBodyBuilder::dynamic()
                    .gravity_scale(0.0)
                    .can_sleep(false)
                    .additional_mass_properties(mass)
                    .pose(convert::pose(&forward.links[i])),
            );
            let origin = convert::pose(&description.origin);
            let drive = &description.drive;
            let joint = rp::GenericJointBuilder::new(rp::JointAxesMask::LOCKED_REVOLUTE_AXES)
                .local_frame1(rp::Pose::from_parts(
                    origin.translation,
                    origin.rotation * to_z,
                ))
                .local_frame2(rp::Pose::from_rotation(to_z))
                .limits(
                    rp::JointAxis::AngX,
                    [
                        (description.position_min_rad - END_STOP_RAD) as f32,
                        (description.position_max_rad + END_STOP_RAD) as f32,
                    ],
                )
                .motor_model(rp::JointAxis::AngX, rp::MotorModel::ForceBased)
                .set_motor(
                    rp::JointAxis::AngX,
                    home_rad[i] as f32,
                    0.0,
                    drive.stiffness_nm_rad as f32,
                    drive.damping_nm_s_rad as f32,
                )
                .motor_max_force(rp::JointAxis::AngX, drive.effort_max_nm as f32)
                .contacts_enabled(false)
                .build();
            joints[i] = insert(world, parent, body, joint);
            links[i] = body;
            parent = body;
        }
        let fingers = Self::insert_fingers(world, robot, parent, &forward.hand);
        let mut arm = Self {
            base,
            links,
            hand,
            fingers,
            joints,
            pads: [rp::ColliderHandle::invalid(); 2],
            hand_colliders: Vec::new(),
            drives: core::array::from_fn(|i| robot.joints[i].drive),
            width_range_m: [robot.gripper.width_min_m, robot.gripper.width_max_m],
            force_max_n: robot.gripper.force_max_n,
            speed_max_m_s: robot.gripper.speed_max_m_s,
            target: home_rad.map(|q| (q, 0.0)),
            brake_closed: [true; JOINTS],
            grip: Grip {
                width_m: robot.gripper.width_max_m,
                rate_m_s: 0.0,
                force_n: robot.gripper.force_max_n / 2.0,
            },
            grip_cap_n: None,
        };
        arm.insert_colliders(world, robot, friction);
        arm.settle_at(world, home_rad);
        arm
    }

    fn insert_fingers(
        world: &mut rp::PhysicsWorld,
        robot: &RobotDescription,
        last_link: rp::RigidBodyHandle,
        hand_frame: &nalgebra::Isometry3<f64>,
    ) -> [rp::RigidBodyHandle; 2] {
        let gripper = &robot.gripper;
        let half_range = [gripper.width_min_m / 2.0, gripper.width_max_m / 2.0];
        let mut fingers = [last_link; 2];
        let hand = convert::pose(&robot.hand.origin);
        for (finger, side) in [1.0, -1.0].into_iter().enumerate() {
            let frame =
                hand_frame * nalgebra::Isometry3::translation(0.0, side * half_range[1], 0.0);
            let body = world.insert_body(
                rp::RigidBodyBuilder::dynamic()
                    .pose(convert::pose(&frame))
                    .gravity_scale(0.0)
                    .can_sleep(false)
                    .additional_mass_properties(rp::MassProperties::new(
                        convert::vector([
                            0.0,
                            side * gripper.finger_half_extents_m[1],
                            gripper.finger_center_z_m,
                        ]),
                        gripper.finger_mass_kg as f32,
                        rp::Vector::new(1e-4, 1e-4, 1e-5),
                    )),
            );
            let axis = rp::Vector::new(0.0, side as f32, 0.0);
            let turn = rp::Rotation::from_rotation_arc(rp::Vector::X, axis);
            let joint = rp::GenericJointBuilder::new(rp::JointAxesMask::LOCKED_PRISMATIC_AXES)
                .local_frame1(hand * rp::Pose::from_rotation(turn))
                .local_frame2(rp::Pose::from_rotation(turn))
                .limits(rp::JointAxis::LinX, half_range.map(|w| w as f32))
                .motor_model(rp::JointAxis::LinX, rp::MotorModel::ForceBased)
                .set_motor(
                    rp::JointAxis::LinX,
                    half_range[1] as f32,
                    0.0,
                    gripper.stiffness_n_m as f32,
                    gripper.damping_n_s_m as f32,
                )
                .motor_max_force(rp::JointAxis::LinX, gripper.force_max_n as f32)
                .contacts_enabled(false)
                .build();
            insert(world, last_link, body, joint);
            fingers[finger] = body;
        }
        fingers
    }

    fn insert_colliders(
        &mut self,
        world: &mut rp::PhysicsWorld,
        robot: &RobotDescription,
        (pad_friction, body_friction): (f64, f64),
    ) {
        for piece in robot_solids(robot) {
            let Some(shape) = super::collider(&piece.solid.shape) else {
                continue;
            };
            let (body, local) = self.place(piece.frame);
            let is_pad = piece.solid.name.starts_with("pad-");
            let friction = if is_pad { pad_friction } else { body_friction };
            let builder = shape
                .position(local * convert::pose(&piece.local))
                .density(0.0)
                .friction(friction as f32)
                .friction_combine_rule(rp::CoefficientCombineRule::Average)
                .collision_groups(groups::robot());
            let handle = world
                .colliders
                .insert_with_parent(builder, body, &mut world.bodies);
            match piece.frame {
                RobotFrame::Link(_) => {}
                RobotFrame::Hand => self.hand_colliders.push(handle),
                RobotFrame::Finger(finger) => {
                    self.hand_colliders.push(handle);
                    if is_pad {
                        self.pads[finger] = handle;
                    }
                }
            }
        }
    }

    /// Gives the multibody its coordinates, rotor inertias, friction and the coupling of the fingers.
    fn settle_at(&self, world: &mut rp::PhysicsWorld, home_rad: &JointVector) {
        let Some((multibody, _)) = world.multibody_joints.get_mut(self.joints[0]) else {
            return;
        };
        multibody.set_self_contacts_enabled(false);
        // The root's pose must be read from its body before coordinates are applied on top of it.
        multibody.forward_kinematics(&world.bodies, true);
        let half_open = (self.width_range_m[1] / 2.0) as f32;
        let mut coordinates = home_rad.map(|q| q as f32).to_vec();
        coordinates.extend([half_open; 2]);
        multibody.apply_displacements(&coordinates);
        for dof in 0..multibody.ndofs() {
            multibody.armature_mut()[dof] = ARMATURE;
            multibody.damping_mut()[dof] = if dof < JOINTS {
                JOINT_DAMPING
            } else {
                FINGER_DAMPING
            };
        }
        let link_of = |multibody: &rp::Multibody, body: rp::RigidBodyHandle| {
            multibody
                .links()
                .find(|link| link.rigid_body_handle() == body)
                .map(rp::MultibodyLink::link_id)
        };
        if let (Some(link1), Some(link2)) = (
            link_of(multibody, self.fingers[0]),
            link_of(multibody, self.fingers[1]),
        ) {
            multibody.add_dof_coupling(rp::MultibodyDofCoupling {
                link1,
                dof1: 0,
                axis1: 0,
                link2,
                dof2: 0,
                axis2: 0,
                coeff: 1.0,
                offset: 0.0,
            });
        }
        multibody.forward_kinematics(&world.bodies, false);
        multibody.update_rigid_bodies(&mut world.bodies, true);
    }

    /// The body that a frame of the robot moves with, and the frame in that body.
    pub(super) fn place(&self, frame: RobotFrame) -> (rp::RigidBodyHandle, rp::Pose) {
        match frame {
            RobotFrame::Link(0) => (self.base, rp::Pose::IDENTITY),
            RobotFrame::Link(link) => (self.links[(link - 1).min(JOINTS - 1)], rp::Pose::IDENTITY),
            RobotFrame::Hand => (self.links[JOINTS - 1], self.hand),
            RobotFrame::Finger(finger) => (self.fingers[finger.min(1)], rp::Pose::IDENTITY),
        }
    }

    /// Hands the drives their targets for the next step.
    pub(super) fn drive(&mut self, world: &mut rp::PhysicsWorld, drive: &Drive) {
        match drive {
            Drive::Follow(setpoint) => {
                for i in 0..JOINTS {
                    self.target[i] = (setpoint.position_rad[i], setpoint.velocity_rad_s[i]);
                }
                self.brake_closed = [false; JOINTS];
                let [least, most] = self.width_range_m;
                let width_m = setpoint.gripper_width_m.clamp(least, most);
                self.grip = Grip {
                    width_m,
                    rate_m_s: ((width_m - self.grip.width_m) / sinew_units::TICK_S)
                        .clamp(-self.speed_max_m_s, self.speed_max_m_s),
                    force_n: setpoint.gripper_force_n.clamp(0.0, self.force_max_n),
                };
            }
            Drive::Brake => {
                let measured = self.measure(world);
                for i in 0..JOINTS {
                    if !self.brake_closed[i] {
                        self.target[i] = (measured.position_rad[i], 0.0);
                        self.brake_closed[i] =
                            measured.velocity_rad_s[i].abs() < BRAKE_CLOSES_RAD_S;
                    }
                }
                self.grip.rate_m_s = 0.0;
            }
        }
        let Some((multibody, _)) = world.multibody_joints.get_mut(self.joints[0]) else {
            return;
        };
        // Base, seven links, two fingers, in the order of insertion.
        for (i, (position, velocity)) in self.target.iter().enumerate() {
            if let Some(link) = multibody.link_mut(i + 1) {
                let motor = &mut link.joint.data.motors[ANG_X];
                motor.target_pos = *position as f32;
                motor.target_vel = *velocity as f32;
            }
        }
        let force = self
            .grip_cap_n
            .unwrap_or(f64::INFINITY)
            .min(self.grip.force_n);
        for finger in 0..2 {
            if let Some(link) = multibody.link_mut(JOINTS + 1 + finger) {
                let motor = &mut link.joint.data.motors[LIN_X];
                motor.target_pos = (self.grip.width_m / 2.0) as f32;
                motor.target_vel = (self.grip.rate_m_s / 2.0) as f32;
                motor.max_force = force as f32;
            }
        }
    }

    /// Reads joints, drives and gripper.
    pub(super) fn measure(&self, world: &rp::PhysicsWorld) -> Measured {
        let mut measured = Measured {
            position_rad: [f64::NAN; JOINTS],
            velocity_rad_s: [f64::NAN; JOINTS],
            effort_nm: [f64::NAN; JOINTS],
            width_m: f64::NAN,
            width_rate_m_s: f64::NAN,
        };
        let Some((multibody, _)) = world.multibody_joints.get(self.joints[0]) else {
            return measured;
        };
        let velocity = multibody.generalized_velocity();
        for i in 0..JOINTS {
            let Some(link) = multibody.link(i + 1) else {
                return measured;
            };
            let q = f64::from(link.joint.coords()[ANG_X]);
            let v = f64::from(velocity[i]);
            let (target, target_v) = self.target[i];
            let drive = &self.drives[i];
            let torque =
                drive.stiffness_nm_rad * (target - q) + drive.damping_nm_s_rad * (target_v - v);
            measured.position_rad[i] = q;
            measured.velocity_rad_s[i] = v;
            measured.effort_nm[i] = torque.clamp(-drive.effort_max_nm, drive.effort_max_nm);
        }
        let half = |finger: usize| {
            multibody
                .link(JOINTS + 1 + finger)
                .map_or(f64::NAN, |link| f64::from(link.joint.coords()[LIN_X]))
        };
        measured.width_m = half(0) + half(1);
        measured.width_rate_m_s = f64::from(velocity[JOINTS]) + f64::from(velocity[JOINTS + 1]);
        measured
    }
}

fn mass_of(link: &sinew_description::LinkMass) -> rp::MassProperties {
    rp::MassProperties::new(
        convert::vector(link.com_m),
        link.mass_kg as f32,
        convert::vector(link.inertia_kg_m2),
    )
}

/// Inserts a multibody joint. A refusal would mean a loop in the tree that this module builds, which it
/// cannot contain; the invalid handle then makes every reading NaN, which stops the robot.
fn insert(
    world: &mut rp::PhysicsWorld,
    parent: rp::RigidBodyHandle,
    body: rp::RigidBodyHandle,
    joint: rp::GenericJoint,
) -> rp::MultibodyJointHandle {
    world
        .multibody_joints
        .insert(parent, body, joint, true)
        .unwrap_or(rp::MultibodyJointHandle::invalid())
}
