//! The robot description: what a file says about the robot, checked, as plain data.

use nalgebra::{Translation3, UnitQuaternion};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sinew_kinematics::{
    Body, CAPSULES_MAX, Chain, HAND, Isometry, Joint, LinkCapsule, Masses, Point,
};
use sinew_messages::{JOINTS, JointVector};

use crate::error::{DescriptionError, Source};
use crate::name;

/// The robot that comes with Sinew.
const BUILTIN: &str = include_str!("../robots/sinew-arm-7.toml");

/// Mass of a link, in the link's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkMass {
    /// Mass, kg.
    pub mass_kg: f64,
    /// Centre of mass, m.
    pub com_m: [f64; 3],
    /// Principal moments of inertia about the centre of mass, axes parallel to the link's, kg·m².
    pub inertia_kg_m2: [f64; 3],
}

/// Drive of a joint: torque = stiffness · position error + damping · velocity error, up to the effort limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive {
    /// Position gain, N·m/rad.
    pub stiffness_nm_rad: f64,
    /// Velocity gain, N·m·s/rad.
    pub damping_nm_s_rad: f64,
    /// Largest torque, N·m.
    pub effort_max_nm: f64,
}

/// One joint with the link that it turns.
#[derive(Clone, Debug, PartialEq)]
pub struct JointDescription {
    /// Unique name.
    pub name: String,
    /// From the frame of the link before to this joint's frame at position zero; the axis is z.
    pub origin: Isometry,
    /// Lower position limit, rad.
    pub position_min_rad: f64,
    /// Upper position limit, rad.
    pub position_max_rad: f64,
    /// Velocity limit of motions, rad/s.
    pub velocity_max_rad_s: f64,
    /// Acceleration limit of motions, rad/s².
    pub acceleration_max_rad_s2: f64,
    /// Jerk limit of motions, rad/s³.
    pub jerk_max_rad_s3: f64,
    /// The joint's drive.
    pub drive: Drive,
    /// Mass of the link.
    pub link: LinkMass,
}

/// The hand: fixed to the last link, carries the fingers.
#[derive(Clone, Debug, PartialEq)]
pub struct HandDescription {
    /// Hand frame in the last link's frame.
    pub origin: Isometry,
    /// Mass without the fingers.
    pub mass: LinkMass,
    /// Middle of the body's box, hand frame, m.
    pub body_center_m: [f64; 3],
    /// Half extents of the body's box, m.
    pub body_half_extents_m: [f64; 3],
    /// TCP in the hand frame, m; the axes are the hand's.
    pub tcp_m: [f64; 3],
}

/// The parallel gripper: two coupled fingers that move along the hand's y axis.
#[derive(Clone, Debug, PartialEq)]
pub struct GripperDescription {
    /// Smallest distance between the pads, m.
    pub width_min_m: f64,
    /// Largest distance between the pads, m.
    pub width_max_m: f64,
    /// Largest rate of the width, m/s.
    pub speed_max_m_s: f64,
    /// Largest grip force, N.
    pub force_max_n: f64,
    /// Position gain of the fingers, N/m.
    pub stiffness_n_m: f64,
    /// Velocity gain of the fingers, N·s/m.
    pub damping_n_s_m: f64,
    /// Mass of one finger, kg.
    pub finger_mass_kg: f64,
    /// Half extents of one finger's box, m; its inner face is at half the width from the middle.
    pub finger_half_extents_m: [f64; 3],
    /// Height of the finger's middle, hand frame, m.
    pub finger_center_z_m: f64,
    /// Half extents of the pad, m; its inner face is the finger's.
    pub pad_half_extents_m: [f64; 3],
    /// Height of the pad's middle, hand frame, m.
    pub pad_center_z_m: f64,
}

/// A joint position with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPose {
    /// Unique name.
    pub name: String,
    /// Joint positions, rad, base to tool.
    pub joints_rad: JointVector,
}

/// A robot: seven joints, a hand, a gripper, a camera on the hand, named poses. Checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RobotDescription {
    /// Name of the robot.
    pub name: String,
    /// SHA-256 of the file that describes it, 64 hexadecimal digits: the gate goes by what it says of links and masses.
    pub sha256: String,
    /// Joints, base to tool.
    pub joints: [JointDescription; JOINTS],
    /// The hand.
    pub hand: HandDescription,
    /// The gripper.
    pub gripper: GripperDescription,
    /// Wrist camera in the hand frame: z forward, x right, y down in the image.
    pub wrist_camera: Isometry,
    /// Named poses, in the order of their names.
    pub poses: Vec<NamedPose>,
    chain: Chain,
}

impl RobotDescription {
    /// The robot that comes with Sinew, `sinew-arm-7`.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_toml_str(BUILTIN, "sinew-arm-7.toml (built in)")
            .expect("the embedded file is checked by this crate's tests")
    }

    /// Reads and checks a description; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`DescriptionError`] with the line, for anything that isn't a possible robot.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, DescriptionError> {
        let source = Source { text, origin };
        let file: file::Robot = source.parse()?;
        build(&source, file).map(|robot| Self {
            sha256: sha256(text),
            ..robot
        })
    }

    /// The kinematic chain with its capsules.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.chain.clone().with_masses(self.masses())
    }

    /// What the parts weigh: each link, and the hand with its fingers.
    fn masses(&self) -> Masses {
        let body = |mass: &LinkMass| Body {
            mass_kg: mass.mass_kg,
            com_m: mass.com_m,
            inertia_kg_m2: mass.inertia_kg_m2,
        };
        let hand = body(&self.hand.mass);
        // The two fingers count as one mass between them: how far they are apart hardly matters.
        let fingers_kg = 2.0 * self.gripper.finger_mass_kg;
        let at = [0.0, 0.0, self.gripper.finger_center_z_m];
        let mass_kg = hand.mass_kg + fingers_kg;
        let com_m =
            core::array::from_fn(|i| (hand.mass_kg * hand.com_m[i] + fingers_kg * at[i]) / mass_kg);
        // Steiner's theorem, for both about the common centre of mass.
        let moved = |mass: f64, from: &[f64; 3], axis: usize| -> f64 {
            (0..3)
                .filter(|i| *i != axis)
                .map(|i| mass * (from[i] - com_m[i]) * (from[i] - com_m[i]))
                .sum()
        };
        let inertia_kg_m2 = core::array::from_fn(|axis| {
            hand.inertia_kg_m2[axis]
                + moved(hand.mass_kg, &hand.com_m, axis)
                + moved(fingers_kg, &at, axis)
        });
        Masses {
            links: core::array::from_fn(|i| body(&self.joints[i].link)),
            hand: Body {
                mass_kg,
                com_m,
                inertia_kg_m2,
            },
        }
    }

    /// The pose of a name.
    #[must_use]
    pub fn pose(&self, name: &str) -> Option<&JointVector> {
        self.poses
            .iter()
            .find(|pose| pose.name == name)
            .map(|pose| &pose.joints_rad)
    }

    /// One value a joint.
    #[must_use]
    pub fn per_joint(&self, value: impl Fn(&JointDescription) -> f64) -> JointVector {
        core::array::from_fn(|i| value(&self.joints[i]))
    }
}

/// The file's own shape.
mod file {
    use std::collections::BTreeMap;

    use super::{Deserialize, JointVector};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Robot {
        pub(super) name: String,
        pub(super) rest_rad: JointVector,
        pub(super) base: Base,
        pub(super) joint: Vec<Joint>,
        pub(super) hand: Hand,
        pub(super) gripper: Gripper,
        pub(super) wrist_camera: Frame,
        #[serde(default)]
        pub(super) pose: BTreeMap<String, Pose>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Base {
        #[serde(default)]
        pub(super) capsule: Vec<Capsule>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Capsule {
        pub(super) a_m: [f64; 3],
        pub(super) b_m: [f64; 3],
        pub(super) radius_m: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Frame {
        pub(super) origin_m: [f64; 3],
        pub(super) origin_rpy_rad: [f64; 3],
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Joint {
        pub(super) name: String,
        pub(super) origin_m: [f64; 3],
        pub(super) origin_rpy_rad: [f64; 3],
        pub(super) position_min_rad: f64,
        pub(super) position_max_rad: f64,
        pub(super) velocity_max_rad_s: f64,
        pub(super) acceleration_max_rad_s2: f64,
        pub(super) jerk_max_rad_s3: f64,
        pub(super) effort_max_nm: f64,
        pub(super) stiffness_nm_rad: f64,
        pub(super) damping_nm_s_rad: f64,
        pub(super) mass_kg: f64,
        pub(super) com_m: [f64; 3],
        pub(super) inertia_kg_m2: [f64; 3],
        #[serde(default)]
        pub(super) capsule: Vec<Capsule>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Hand {
        pub(super) origin_m: [f64; 3],
        pub(super) origin_rpy_rad: [f64; 3],
        pub(super) mass_kg: f64,
        pub(super) com_m: [f64; 3],
        pub(super) inertia_kg_m2: [f64; 3],
        pub(super) body_center_m: [f64; 3],
        pub(super) body_half_extents_m: [f64; 3],
        pub(super) tcp_m: [f64; 3],
        #[serde(default)]
        pub(super) capsule: Vec<Capsule>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Gripper {
        pub(super) width_min_m: f64,
        pub(super) width_max_m: f64,
        pub(super) speed_max_m_s: f64,
        pub(super) force_max_n: f64,
        pub(super) stiffness_n_m: f64,
        pub(super) damping_n_s_m: f64,
        pub(super) finger_mass_kg: f64,
        pub(super) finger_half_extents_m: [f64; 3],
        pub(super) finger_center_z_m: f64,
        pub(super) pad_half_extents_m: [f64; 3],
        pub(super) pad_center_z_m: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Pose {
        pub(super) joints_rad: JointVector,
    }
}

/// Longest distance that a description may contain, m.
const REACH_MAX_M: f64 = 10.0;
/// Largest angle that a description may contain, rad: two turns.
const ANGLE_MAX_RAD: f64 = 4.0 * std::f64::consts::PI;

fn frame(
    source: &Source<'_>,
    at: &str,
    origin_m: [f64; 3],
    rpy_rad: [f64; 3],
) -> Result<Isometry, DescriptionError> {
    let [x, y, z] = source.point(&format!("{at}.origin_m"), origin_m, REACH_MAX_M)?;
    let [roll, pitch, yaw] =
        source.point(&format!("{at}.origin_rpy_rad"), rpy_rad, ANGLE_MAX_RAD)?;
    Ok(Isometry::from_parts(
        Translation3::new(x, y, z),
        UnitQuaternion::from_euler_angles(roll, pitch, yaw),
    ))
}

fn mass(
    source: &Source<'_>,
    at: &str,
    mass_kg: f64,
    com_m: [f64; 3],
    inertia_kg_m2: [f64; 3],
) -> Result<LinkMass, DescriptionError> {
    let mass_kg = source.positive(&format!("{at}.mass_kg"), mass_kg, 200.0)?;
    let com_m = source.point(&format!("{at}.com_m"), com_m, REACH_MAX_M)?;
    let key = format!("{at}.inertia_kg_m2");
    let inertia_kg_m2 = source.extents(&key, inertia_kg_m2, 100.0)?;
    let [x, y, z] = inertia_kg_m2;
    if x + y < z || y + z < x || z + x < y {
        return Err(source.refuse(
            &key,
            format!("{inertia_kg_m2:?}"),
            "moments of a real body: none is larger than the sum of the other two",
        ));
    }
    Ok(LinkMass {
        mass_kg,
        com_m,
        inertia_kg_m2,
    })
}

fn capsules(
    source: &Source<'_>,
    at: &str,
    link: usize,
    from: Vec<file::Capsule>,
    into: &mut Vec<LinkCapsule>,
) -> Result<(), DescriptionError> {
    for (index, capsule) in from.into_iter().enumerate() {
        let at = format!("{at}.capsule[{index}]");
        into.push(LinkCapsule {
            link,
            a: Point::from(source.point(&format!("{at}.a_m"), capsule.a_m, REACH_MAX_M)?),
            b: Point::from(source.point(&format!("{at}.b_m"), capsule.b_m, REACH_MAX_M)?),
            radius_m: source.positive(&format!("{at}.radius_m"), capsule.radius_m, 1.0)?,
        });
    }
    if into.len() > CAPSULES_MAX {
        return Err(source.refuse(
            at,
            format!("the {}th capsule", into.len()),
            &format!("at most {CAPSULES_MAX} capsules in the whole file"),
        ));
    }
    Ok(())
}

fn joint(
    source: &Source<'_>,
    at: &str,
    from: &file::Joint,
) -> Result<JointDescription, DescriptionError> {
    let key = |name: &str| format!("{at}.{name}");
    let position_min_rad = source.within(
        &key("position_min_rad"),
        from.position_min_rad,
        -ANGLE_MAX_RAD,
        ANGLE_MAX_RAD,
    )?;
    let position_max_rad = source.within(
        &key("position_max_rad"),
        from.position_max_rad,
        -ANGLE_MAX_RAD,
        ANGLE_MAX_RAD,
    )?;
    if position_min_rad >= position_max_rad {
        return Err(source.refuse(
            &key("position_max_rad"),
            position_max_rad.to_string(),
            &format!("above position_min_rad, which is {position_min_rad}"),
        ));
    }
    let drive = Drive {
        stiffness_nm_rad: source.positive(&key("stiffness_nm_rad"), from.stiffness_nm_rad, 1e6)?,
        damping_nm_s_rad: source.positive(&key("damping_nm_s_rad"), from.damping_nm_s_rad, 1e6)?,
        effort_max_nm: source.positive(&key("effort_max_nm"), from.effort_max_nm, 1e4)?,
    };
    Ok(JointDescription {
        name: from.name.clone(),
        origin: frame(source, at, from.origin_m, from.origin_rpy_rad)?,
        position_min_rad,
        position_max_rad,
        velocity_max_rad_s: source.positive(
            &key("velocity_max_rad_s"),
            from.velocity_max_rad_s,
            100.0,
        )?,
        acceleration_max_rad_s2: source.positive(
            &key("acceleration_max_rad_s2"),
            from.acceleration_max_rad_s2,
            1e4,
        )?,
        jerk_max_rad_s3: source.positive(&key("jerk_max_rad_s3"), from.jerk_max_rad_s3, 1e6)?,
        drive,
        link: mass(source, at, from.mass_kg, from.com_m, from.inertia_kg_m2)?,
    })
}

fn gripper(
    source: &Source<'_>,
    from: &file::Gripper,
) -> Result<GripperDescription, DescriptionError> {
    let width_min_m = source.within("gripper.width_min_m", from.width_min_m, 0.0, 1.0)?;
    let width_max_m = source.within("gripper.width_max_m", from.width_max_m, 0.0, 1.0)?;
    if width_min_m >= width_max_m {
        return Err(source.refuse(
            "gripper.width_max_m",
            width_max_m.to_string(),
            &format!("above width_min_m, which is {width_min_m}"),
        ));
    }
    Ok(GripperDescription {
        width_min_m,
        width_max_m,
        speed_max_m_s: source.positive("gripper.speed_max_m_s", from.speed_max_m_s, 10.0)?,
        force_max_n: source.positive("gripper.force_max_n", from.force_max_n, 1e4)?,
        stiffness_n_m: source.positive("gripper.stiffness_n_m", from.stiffness_n_m, 1e6)?,
        damping_n_s_m: source.positive("gripper.damping_n_s_m", from.damping_n_s_m, 1e6)?,
        finger_mass_kg: source.positive("gripper.finger_mass_kg", from.finger_mass_kg, 10.0)?,
        finger_half_extents_m: source.extents(
            "gripper.finger_half_extents_m",
            from.finger_half_extents_m,
            1.0,
        )?,
        finger_center_z_m: source.within(
            "gripper.finger_center_z_m",
            from.finger_center_z_m,
            -1.0,
            1.0,
        )?,
        pad_half_extents_m: source.extents(
            "gripper.pad_half_extents_m",
            from.pad_half_extents_m,
            1.0,
        )?,
        pad_center_z_m: source.within("gripper.pad_center_z_m", from.pad_center_z_m, -1.0, 1.0)?,
    })
}

fn sha256(text: &str) -> String {
    (Sha256::digest(text.as_bytes()).iter())
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn build(source: &Source<'_>, file: file::Robot) -> Result<RobotDescription, DescriptionError> {
    if file.joint.len() != JOINTS {
        return Err(source.refuse(
            "joint",
            format!("a list of {} joints", file.joint.len()),
            &format!("exactly {JOINTS} joints"),
        ));
    }
    let mut list = Vec::with_capacity(JOINTS);
    let mut covers = Vec::new();
    capsules(source, "base", 0, file.base.capsule, &mut covers)?;
    for (index, mut from) in file.joint.into_iter().enumerate() {
        let at = format!("joint[{index}]");
        list.push(joint(source, &at, &from)?);
        let own = std::mem::take(&mut from.capsule);
        capsules(source, &at, index + 1, own, &mut covers)?;
    }
    let joints: [JointDescription; JOINTS] = list
        .try_into()
        .expect("the number of joints was checked above");
    name::check(source, "name", &file.name)?;
    for (index, one) in joints.iter().enumerate() {
        name::check(source, &format!("joint[{index}].name"), &one.name)?;
        if joints[..index].iter().any(|other| other.name == one.name) {
            return Err(source.refuse(
                &format!("joint[{index}].name"),
                format!("{:?} a second time", one.name),
                "a name of its own for each joint",
            ));
        }
    }
    let hand = HandDescription {
        origin: frame(source, "hand", file.hand.origin_m, file.hand.origin_rpy_rad)?,
        mass: mass(
            source,
            "hand",
            file.hand.mass_kg,
            file.hand.com_m,
            file.hand.inertia_kg_m2,
        )?,
        body_center_m: source.point("hand.body_center_m", file.hand.body_center_m, 1.0)?,
        body_half_extents_m: source.extents(
            "hand.body_half_extents_m",
            file.hand.body_half_extents_m,
            1.0,
        )?,
        tcp_m: source.point("hand.tcp_m", file.hand.tcp_m, 1.0)?,
    };
    capsules(source, "hand", HAND, file.hand.capsule, &mut covers)?;
    let check_posture = |key: &str, posture: &JointVector| -> Result<(), DescriptionError> {
        for (index, (q, joint)) in posture.iter().zip(&joints).enumerate() {
            if !(joint.position_min_rad..=joint.position_max_rad).contains(q) {
                return Err(source.refuse(
                    key,
                    format!("{q} for joint {} ({})", index + 1, joint.name),
                    &format!("{} to {}", joint.position_min_rad, joint.position_max_rad),
                ));
            }
        }
        Ok(())
    };
    check_posture("rest_rad", &file.rest_rad)?;
    let mut poses = Vec::with_capacity(file.pose.len());
    for (name, pose) in file.pose {
        name::check(source, "pose", &name)?;
        check_posture(&format!("pose.{name}.joints_rad"), &pose.joints_rad)?;
        poses.push(NamedPose {
            name,
            joints_rad: pose.joints_rad,
        });
    }
    let [x, y, z] = hand.tcp_m;
    let chain = Chain::new(
        core::array::from_fn(|i| Joint {
            origin: joints[i].origin,
            lower_rad: joints[i].position_min_rad,
            upper_rad: joints[i].position_max_rad,
        }),
        hand.origin,
        Isometry::translation(x, y, z),
        &covers,
        file.rest_rad,
    )
    .map_err(|error| DescriptionError::Chain {
        origin: source.origin.to_owned(),
        source: error,
    })?;
    Ok(RobotDescription {
        sha256: String::new(),
        name: file.name,
        gripper: gripper(source, &file.gripper)?,
        wrist_camera: frame(
            source,
            "wrist_camera",
            file.wrist_camera.origin_m,
            file.wrist_camera.origin_rpy_rad,
        )?,
        joints,
        hand,
        poses,
        chain,
    })
}
