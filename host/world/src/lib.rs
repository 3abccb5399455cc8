//! One writer, immutable snapshots of what the robot knows.

use std::sync::Arc;

use arc_swap::ArcSwap;
use sinew_messages::{LoopStatus, Pose};

/// A tracked object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectTrack {
    /// Stable for as long as the track lives.
    pub id: u64,
    /// Class name from the detector's manifest.
    pub class: Arc<str>,
    /// Colour name; empty if not known.
    pub color: Arc<str>,
    /// Pose in the base frame: origin at the object's centre.
    pub pose: Pose,
    /// Velocity, m/s, base frame.
    pub velocity_m_s: [f64; 3],
    /// Full extents along the object's own axes, m.
    pub size_m: [f64; 3],
    /// 0 to 1.
    pub confidence: f64,
    /// Standard deviation of the position, m.
    pub position_sigma_m: f64,
    /// Tick of the first image that showed it.
    pub first_seen_tick: u64,
    /// Tick of the image that last showed it.
    pub last_seen_tick: u64,
}

/// A named, fixed region of the cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Unique name.
    pub name: Arc<str>,
    /// `bin`, `pocket`, `search`, …: free text of the cell's configuration.
    pub kind: String,
    /// Centre of its floor, base frame.
    pub pose: Pose,
    /// Full extents, m.
    pub size_m: [f64; 3],
}

impl Place {
    /// True if a point of the base frame lies inside (turned boxes included, about z only as everything else).
    #[must_use]
    pub fn contains(&self, point_m: [f64; 3]) -> bool {
        let [x, y, z, w] = self.pose.orientation_xyzw;
        let yaw_sin = 2.0 * (w * z + x * y);
        let yaw_cos = 1.0 - 2.0 * (y * y + z * z);
        let [dx, dy, dz] = core::array::from_fn(|i| point_m[i] - self.pose.position_m[i]);
        let along = dx * yaw_cos + dy * yaw_sin;
        let across = dy * yaw_cos - dx * yaw_sin;
        along.abs() <= self.size_m[0] / 2.0
            && across.abs() <= self.size_m[1] / 2.0
            && (-0.02..=self.size_m[2]).contains(&dz)
    }
}

/// State of one camera as perception sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraHealth {
    /// Name of the camera.
    pub name: Arc<str>,
    /// Tick of the newest image consumed.
    pub newest_tick: u64,
    /// No image for longer than the configured limit, or the same image again and again.
    pub stalled: bool,
    /// Exposures that never arrived.
    pub dropped: u64,
}

/// What the robot knew at one moment. Immutable.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSnapshot {
    /// Tick at which it was published.
    pub published_tick: u64,
    /// Oldest exposure among the newest images of all cameras that see the work: everything in the
    /// snapshot is at least this new.
    pub image_tick: u64,
    /// Counts published snapshots.
    pub sequence: u64,
    /// Tracked objects in the order of their ids.
    pub objects: Vec<ObjectTrack>,
    /// Cameras in the order of the configuration.
    pub cameras: Vec<CameraHealth>,
    /// Robot state at publication.
    pub robot: Option<LoopStatus>,
}

impl WorldSnapshot {
    /// The snapshot before anything was seen.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            published_tick: 0,
            image_tick: 0,
            sequence: 0,
            objects: Vec::new(),
            cameras: Vec::new(),
            robot: None,
        }
    }

    /// The track with this id.
    #[must_use]
    pub fn object(&self, id: u64) -> Option<&ObjectTrack> {
        self.objects.iter().find(|object| object.id == id)
    }

    /// True if any camera is stalled: the objects are history, not the world.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.cameras.iter().any(|camera| camera.stalled)
    }
}

struct Shared {
    snapshot: ArcSwap<WorldSnapshot>,
    places: Vec<Place>,
}

/// The one writer.
pub struct WorldWriter(Arc<Shared>);

/// A reader; clone freely.
#[derive(Clone)]
pub struct WorldReader(Arc<Shared>);

/// A new world with the fixed places of the cell.
#[must_use]
pub fn world(places: Vec<Place>) -> (WorldWriter, WorldReader) {
    let shared = Arc::new(Shared {
        snapshot: ArcSwap::from_pointee(WorldSnapshot::empty()),
        places,
    });
    (WorldWriter(Arc::clone(&shared)), WorldReader(shared))
}

impl WorldWriter {
    /// Replaces the snapshot.
    pub fn publish(&mut self, snapshot: WorldSnapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }
}

impl WorldReader {
    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<WorldSnapshot> {
        self.0.snapshot.load_full()
    }

    /// The fixed places of the cell.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.0.places
    }
}
