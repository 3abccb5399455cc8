//! What stands around a skill that is measured: a robot that stands still and a world of a few objects, new in every step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Zeroable as _;
use sinew_bench_sidecar::messages;
use sinew_messages::{LoopStatus, Mailbox, Pose};
use sinew_plugin_host::{Grants, HostPorts, Lease, Limits, Plugin, PluginHost, Run};
use sinew_units::Tick;
use sinew_world::{CameraHealth, ObjectTrack, WorldReader, WorldSnapshot, WorldWriter};

use super::PluginBench;
use crate::kit::{self, idle_ports, robot_port};
use crate::sources::Config;

/// What is seen: about what lies in the cell.
pub(super) const OBJECTS: u64 = 10;
/// The one that lies nearest to the tool.
pub(super) const NEAREST: u64 = 7;
/// What the guest of the benchmark may do.
const GRANTS: &str =
    "[plugins.\"sinew/bench-guest\"]\ninterfaces = [\"clock\", \"events\", \"world\"]\n";
/// Speaks in every step, and no run of a robot is that long.
const EVENTS_PER_SECOND: u32 = 1_000_000;

/// A host, and what its plugins see.
pub(super) struct Rig {
    pub(super) host: PluginHost,
    pub(super) ports: HostPorts,
    world: WorldWriter,
    mailbox: Arc<Mailbox>,
    status: LoopStatus,
    objects: Vec<ObjectTrack>,
}

impl Rig {
    pub(super) fn new(config: &Config, limits: Limits) -> anyhow::Result<Self> {
        let cell = sinew_sim::Cell::new(&config.robot, &config.cell);
        let (world, reader) =
            sinew_world::world(cell.places().into_iter().map(kit::place).collect());
        let mailbox = Arc::new(Mailbox::default());
        let goals = AtomicU64::new(1);
        let goal_ids = Arc::new(move || goals.fetch_add(1, Ordering::Relaxed));
        let ports = HostPorts {
            world: reader,
            robot: robot_port(config, &mailbox, goal_ids),
            ..idle_ports(config)
        };
        let grants = Grants::from_toml_str(GRANTS, "the benchmark's own grants")?;
        let grants = config.grants.clone().overridden_by(grants);
        let limits = Limits {
            events_per_second: EVENTS_PER_SECOND,
            ..limits
        };
        let mut status = LoopStatus::zeroed();
        status.tool_pose = at([0.5, 0.1, 0.2]);
        let mut rig = Self {
            host: PluginHost::new(limits, grants, ports.clone())?,
            ports,
            world,
            mailbox,
            status,
            objects: Vec::new(),
        };
        rig.tick();
        Ok(rig)
    }

    /// So many objects are seen from the next tick on.
    pub(super) fn see(&mut self, objects: u64) {
        self.objects = (1..=objects).map(object).collect();
    }

    pub(super) fn load(&self, what: &PluginBench<'_>) -> anyhow::Result<Arc<Plugin>> {
        Ok(self.host.load(&what.guest.bytes, &what.guest.origin)?)
    }

    pub(super) fn start(&self, plugin: &Arc<Plugin>, params: &str) -> anyhow::Result<Run> {
        let run = (self.host).start_skill(plugin, params, None, Lease::ALL, 1, self.now())?;
        Ok(run)
    }

    pub(super) fn now(&self) -> Tick {
        Tick(self.status.tick)
    }

    /// One tick: the loop reports, and the cameras have seen something newer.
    pub(super) fn tick(&mut self) {
        self.status.tick += 1;
        let tick = self.status.tick;
        self.mailbox.status.write(&self.status);
        for object in &mut self.objects {
            object.last_seen_tick = tick;
        }
        self.world.publish(WorldSnapshot {
            published_tick: tick,
            image_tick: tick,
            sequence: tick,
            objects: self.objects.clone(),
            cameras: vec![CameraHealth {
                name: "overhead".into(),
                newest_tick: tick,
                stalled: false,
                dropped: 0,
            }],
            robot: None,
        });
    }
}

/// What a sidecar has to be told of the same step: as much as a plugin is.
pub(super) fn observation(world: &WorldReader, mailbox: &Mailbox) -> messages::Observation {
    let snapshot = world.snapshot();
    let places = world.places();
    let place_of = |point_m: [f64; 3]| {
        let area = |place: &sinew_world::Place| place.size_m[0] * place.size_m[1];
        (places.iter())
            .filter(|place| place.contains(point_m))
            .min_by(|a, b| area(a).total_cmp(&area(b)))
            .map_or_else(String::new, |place| place.name.to_string())
    };
    let objects = snapshot.objects.iter().map(|object| messages::Object {
        id: object.id,
        class: object.class.to_string(),
        color: object.color.to_string(),
        pose: Some(pose(&object.pose)),
        velocity: object.velocity_m_s.to_vec(),
        size: object.size_m.to_vec(),
        confidence: object.confidence,
        position_sigma: object.position_sigma_m,
        first_seen: object.first_seen_tick,
        last_seen: object.last_seen_tick,
        place: place_of(object.pose.position_m),
    });
    messages::Observation {
        tick: snapshot.image_tick,
        objects: objects.collect(),
        robot: mailbox.status.latest().map(|status| messages::RobotState {
            tick: status.tick,
            tool: Some(pose(&status.tool_pose)),
            joints: status.frame.position_rad.to_vec(),
            gripper_width: status.frame.gripper_width_m,
            gripper_force: status.frame.gripper_force_n,
            tool_force: status.frame.tool_force_n.to_vec(),
            stopped: false,
        }),
    }
}

fn pose(pose: &Pose) -> messages::Pose {
    messages::Pose {
        position: pose.position_m.to_vec(),
        orientation: pose.orientation_xyzw.to_vec(),
    }
}

fn at(position_m: [f64; 3]) -> Pose {
    Pose {
        position_m,
        ..Pose::IDENTITY
    }
}

/// They lie in a row that begins at the nearest one.
fn object(id: u64) -> ObjectTrack {
    let away = id.abs_diff(NEAREST) as f64;
    ObjectTrack {
        id,
        class: "block".into(),
        color: "red".into(),
        pose: at([0.5 + 0.04 * away, 0.1, 0.015]),
        velocity_m_s: [0.0; 3],
        size_m: [0.05, 0.03, 0.03],
        confidence: 0.9,
        position_sigma_m: 0.001,
        first_seen_tick: 1,
        last_seen_tick: 1,
    }
}
