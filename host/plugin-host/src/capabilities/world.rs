//! `world`: what is perceived, read-only.

use std::sync::Arc;

use sinew_messages::LoopStatus;
use sinew_world::{Place, WorldReader, WorldSnapshot};

use crate::grants::Grant;
use crate::link::Interface;
use crate::state::until;
use crate::wire::{self, Error};

pub(crate) fn link(world: &mut Interface<'_>) -> wasmtime::Result<()> {
    world.ready("newest", |state, (): ()| {
        let reader = &state.ports.world;
        look(reader, &reader.snapshot(), &state.grant)
    })?;
    world.waits("wait-newer", |state, (tick,): (u64,)| {
        Box::pin(async move {
            let (reader, grant) = (&state.ports.world, &state.grant);
            until(&state.shared, state.mode, |_| {
                let snapshot = reader.snapshot();
                let newer = snapshot.sequence > 0 && snapshot.image_tick > tick;
                (newer || snapshot.is_stalled()).then(|| look(reader, &snapshot, grant))
            })
            .await
        })
    })?;
    world.ready("places", |state, (): ()| {
        let places = state.ports.world.places();
        Ok(places
            .iter()
            .map(|place| wire::Place {
                name: Arc::clone(&place.name),
                kind: place.kind.clone(),
                pose: (&place.pose).into(),
                size: place.size_m.into(),
            })
            .collect::<Vec<_>>())
    })?;
    world.ready("robot", |state, (): ()| {
        robot_state(state.shared().status.as_ref())
    })
}

/// The robot as the guest may see it, once the loop has reported.
pub(crate) fn robot_state(status: Option<&LoopStatus>) -> Result<wire::RobotState, Error> {
    let Some(status) = status else {
        return Err(Error::unavailable(
            "",
            "the control loop has not reported yet",
        ));
    };
    Ok(wire::RobotState {
        tick: status.frame.tick,
        tool: (&status.tool_pose).into(),
        joints: status.frame.position_rad.to_vec(),
        gripper_width: status.frame.gripper_width_m,
        gripper_force: status.frame.gripper_force_n,
        tool_force: status.frame.tool_force_n.into(),
        stopped: crate::desk::is_stopped(status),
    })
}

/// What the guest may see of the snapshot, unless it is history.
pub(crate) fn look(
    reader: &WorldReader,
    snapshot: &WorldSnapshot,
    grant: &Grant,
) -> Result<wire::Snapshot, Error> {
    if snapshot.image_tick == 0 {
        return Err(Error::unavailable(
            "sensor-stall",
            "not every camera has given an image yet",
        ));
    }
    if let Some(camera) = snapshot.cameras.iter().find(|camera| camera.stalled) {
        let words = format!(
            "camera `{}` shows nothing new since tick {}",
            camera.name, camera.newest_tick
        );
        return Err(Error::unavailable("sensor-stall", words));
    }
    let seen = (snapshot.objects.iter()).filter(|object| grant.allows_class(&object.class));
    let objects = seen.map(|object| wire::Object {
        id: object.id,
        class: Arc::clone(&object.class),
        color: Arc::clone(&object.color),
        pose: (&object.pose).into(),
        velocity: object.velocity_m_s.into(),
        size: object.size_m.into(),
        confidence: object.confidence,
        position_sigma: object.position_sigma_m,
        first_seen: object.first_seen_tick,
        last_seen: object.last_seen_tick,
        place: place_of(reader.places(), object.pose.position_m),
    });
    Ok(wire::Snapshot {
        tick: snapshot.image_tick,
        objects: objects.collect(),
    })
}

/// Name of the smallest place that holds the point: a pocket rather than the tray around it.
fn place_of(places: &[Place], point_m: [f64; 3]) -> Arc<str> {
    let area = |place: &Place| place.size_m[0] * place.size_m[1];
    places
        .iter()
        .filter(|place| place.contains(point_m))
        .min_by(|a, b| area(a).total_cmp(&area(b)))
        .map_or_else(Arc::default, |place| Arc::clone(&place.name))
}
