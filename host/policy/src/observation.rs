//! From snapshot and status to the observation vector.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use sinew_messages::LoopStatus;
use sinew_world::ObjectTrack;

use crate::heading::{wrap_half_turn, wrap_turn};
use crate::{Heading, Manifest, YawSymmetry};

/// One value of an observation frame. Lengths in metres, in the heading frame of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Object centre from the tool.
    ObjectX,
    /// Object centre from the tool.
    ObjectY,
    /// Object centre from the tool.
    ObjectZ,
    /// Sine of twice the angle from the tool's heading to the nearest grasp heading (period half a turn).
    YawSin2,
    /// Cosine of the same.
    YawCos2,
    /// Height of the tool above the base plane.
    ToolZ,
    /// Measured distance between the pads.
    GripperWidth,
    /// Distance between the pads that the gripper is being sent to.
    GripperCommand,
    /// Measured force on the pads, N.
    GripperForce,
    /// Way of the tool since the frame before.
    ToolDx,
    /// Way of the tool since the frame before.
    ToolDy,
    /// Way of the tool since the frame before.
    ToolDz,
    /// Turn of the tool since the frame before, rad.
    ToolDyaw,
    /// Extent of the object across the grasp.
    GraspWidth,
    /// Height of the object.
    ObjectHeight,
}

/// What is known about the object that the run is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    heading: Heading,
    size_m: [f64; 3],
    symmetry: YawSymmetry,
}

impl Target {
    pub(crate) fn new(track: &ObjectTrack, symmetry: YawSymmetry) -> Self {
        Self {
            heading: Heading::of(&track.pose),
            size_m: track.size_m,
            symmetry,
        }
    }

    /// Extent across the grasp: the finger opening lies along the object's y axis.
    pub(crate) fn grasp_width_m(&self) -> f64 {
        self.size_m[1]
    }

    fn follow(&mut self, track: &ObjectTrack) {
        self.heading = Heading::of(&track.pose);
        self.size_m = track.size_m;
    }
}

/// Builds the observation of a run, one frame a step.
pub(crate) struct Observer {
    manifest: Arc<Manifest>,
    /// Oldest first.
    frames: VecDeque<Vec<f64>>,
    tool_before: Option<Heading>,
    pub(crate) target: Target,
}

impl Observer {
    pub(crate) fn new(manifest: &Arc<Manifest>, target: Target) -> Self {
        Self {
            manifest: Arc::clone(manifest),
            frames: VecDeque::new(),
            tool_before: None,
            target,
        }
    }

    /// Adds a frame seen from `tool`. `held` says that the part is between the pads.
    pub(crate) fn observe(
        &mut self,
        tool: Heading,
        status: &LoopStatus,
        track: Option<&ObjectTrack>,
        held: bool,
    ) {
        if let Some(track) = track
            && !held
            && !self.hides(&tool)
        {
            self.target.follow(track);
        }
        let before = self.tool_before.replace(tool).unwrap_or(tool);
        let frame = self.frame(status, &tool, &before);
        if self.frames.is_empty() {
            // The run starts here: what came before looked the same.
            self.frames.extend(std::iter::repeat_n(
                frame,
                self.manifest.observation.history,
            ));
        } else {
            self.frames.pop_front();
            self.frames.push_back(frame);
        }
    }

    /// True if the hand is so close to where the object was that no camera sees it well.
    fn hides(&self, tool: &Heading) -> bool {
        let [x, y, z] = tool.localise(self.target.heading.position_m);
        -z < self.manifest.observation.freeze_height_m
            && libm::hypot(x, y) < self.manifest.observation.freeze_radius_m
    }

    fn frame(&self, status: &LoopStatus, tool: &Heading, before: &Heading) -> Vec<f64> {
        let object = tool.localise(self.target.heading.position_m);
        let way = tool.localise(before.position_m).map(|value| -value);
        let yaw_error = match self.target.symmetry {
            YawSymmetry::HalfTurn => wrap_half_turn(self.target.heading.yaw_rad - tool.yaw_rad),
            YawSymmetry::Free => 0.0,
        };
        self.manifest
            .observation
            .features
            .iter()
            .map(|feature| match feature {
                Feature::ObjectX => object[0],
                Feature::ObjectY => object[1],
                Feature::ObjectZ => object[2],
                Feature::YawSin2 => libm::sin(2.0 * yaw_error),
                Feature::YawCos2 => libm::cos(2.0 * yaw_error),
                Feature::ToolZ => tool.position_m[2],
                Feature::GripperWidth => status.frame.gripper_width_m,
                Feature::GripperCommand => status.setpoint.gripper_width_m,
                Feature::GripperForce => status.frame.gripper_force_n,
                Feature::ToolDx => way[0],
                Feature::ToolDy => way[1],
                Feature::ToolDz => way[2],
                Feature::ToolDyaw => wrap_turn(tool.yaw_rad - before.yaw_rad),
                Feature::GraspWidth => self.target.grasp_width_m(),
                Feature::ObjectHeight => self.target.size_m[2],
            })
            .collect()
    }

    /// The normalised vector: all frames, oldest first.
    pub(crate) fn vector(&self) -> Vec<f32> {
        let values: Vec<f64> = self.frames.iter().flatten().copied().collect();
        self.manifest.normalise(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::NORMALISED_MAX;
    use crate::runner::fixture::{manifest, status, track};
    use crate::tool_down;

    fn observe(
        observer: &mut Observer,
        status: &LoopStatus,
        track: Option<&ObjectTrack>,
        held: bool,
    ) {
        observer.observe(Heading::of(&status.tool_pose), status, track, held);
    }

    fn observer() -> Observer {
        let track = track(7, [0.5, -0.2, 0.015], 0.0);
        Observer::new(
            &Arc::new(manifest()),
            Target::new(&track, YawSymmetry::HalfTurn),
        )
    }

    fn value(observer: &Observer, feature: Feature) -> f64 {
        let at = observer
            .manifest
            .observation
            .features
            .iter()
            .position(|f| *f == feature);
        observer.frames.back().expect("a frame")[at.expect("a feature of the fixture")]
    }

    #[test]
    fn the_object_is_seen_from_the_tool() {
        let mut observer = observer();
        let yaw = core::f64::consts::FRAC_PI_2;
        observe(
            &mut observer,
            &status(tool_down([0.5, -0.1, 0.2], yaw)),
            None,
            false,
        );
        // The tool looks along base y; the object lies 0.1 m behind it and 0.185 m below.
        assert!((value(&observer, Feature::ObjectX) + 0.1).abs() < 1e-9);
        assert!(value(&observer, Feature::ObjectY).abs() < 1e-9);
        assert!((value(&observer, Feature::ObjectZ) + 0.185).abs() < 1e-9);
        assert!((value(&observer, Feature::YawCos2) + 1.0).abs() < 1e-9);
    }

    #[test]
    fn history_starts_filled_and_then_moves() {
        let mut observer = observer();
        observe(
            &mut observer,
            &status(tool_down([0.5, -0.2, 0.20], 0.0)),
            None,
            false,
        );
        assert_eq!(observer.frames.len(), 2);
        assert_eq!(observer.frames[0], observer.frames[1]);
        observe(
            &mut observer,
            &status(tool_down([0.5, -0.2, 0.18], 0.0)),
            None,
            false,
        );
        assert!((value(&observer, Feature::ToolDz) + 0.02).abs() < 1e-12);
        assert_ne!(observer.frames[0], observer.frames[1]);
        assert_eq!(observer.vector().len(), manifest().observation_len());
    }

    #[test]
    fn the_last_pose_stays_while_the_hand_hides_the_object() {
        let mut observer = observer();
        let moved = track(7, [0.52, -0.2, 0.015], 0.0);
        let above = status(tool_down([0.5, -0.2, 0.03], 0.0));
        observe(&mut observer, &above, Some(&moved), false);
        assert!(
            value(&observer, Feature::ObjectX).abs() < 1e-9,
            "it was hidden"
        );
        let away = status(tool_down([0.5, -0.2, 0.2], 0.0));
        observe(&mut observer, &away, Some(&moved), true);
        assert!(
            value(&observer, Feature::ObjectX).abs() < 1e-9,
            "it was held"
        );
        observe(&mut observer, &away, Some(&moved), false);
        assert!((value(&observer, Feature::ObjectX) - 0.02).abs() < 1e-9);
    }

    #[test]
    fn an_absurd_value_is_cut_and_a_nan_is_not_hidden() {
        let mut observer = observer();
        let mut status = status(tool_down([0.5, -0.2, 0.2], 0.0));
        status.frame.gripper_force_n = 1e9;
        observe(&mut observer, &status, None, false);
        assert!(
            observer
                .vector()
                .iter()
                .all(|v| v.abs() <= NORMALISED_MAX as f32)
        );
        status.frame.gripper_force_n = f64::NAN;
        observe(&mut observer, &status, None, false);
        assert!(observer.vector().iter().any(|v| v.is_nan()));
    }
}
