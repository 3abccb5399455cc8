//! What the tool touches: somebody who pushes it, and walls that stand in its way.

use nalgebra::Vector3;

use crate::stream::Stream;

/// Ticks between two touches, on average.
const EVERY: u64 = 2_000;

/// What is there while it lasts.
#[derive(Clone, Copy, Debug)]
enum Thing {
    /// A force that comes within some ticks and stays, N.
    Push {
        force: Vector3<f64>,
        rise: f64,
        age: f64,
    },
    /// A half-space that the tool presses into: a force that grows with how deep, N/m.
    Wall {
        at: Vector3<f64>,
        normal: Vector3<f64>,
        stiffness_n_m: f64,
    },
}

/// What is touched, if anything is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Touch {
    thing: Option<Thing>,
    left: u64,
}

impl Touch {
    /// One tick. `tool` is where the tool truly is, `way` what it went in the last tick, m. `limit_n` is the force that
    /// stops.
    pub(crate) fn step(
        &mut self,
        tool: &Vector3<f64>,
        way: &Vector3<f64>,
        limit_n: f64,
        stream: &mut Stream,
    ) {
        if self.thing.is_none() {
            if stream.one_in(EVERY) {
                self.thing = Some(draw(tool, way, limit_n, stream));
                self.left = 20 + stream.below(800);
            }
            return;
        }
        if let Some(Thing::Push { age, force, .. }) = &mut self.thing {
            *age += 1.0;
            // Who pushes may turn round.
            if stream.one_in(500) {
                *force = -*force;
            }
        }
        self.left -= 1;
        if self.left == 0 {
            self.thing = None;
        }
    }

    /// Force of the world on the hand, N.
    pub(crate) fn force(&self, tool: &Vector3<f64>) -> Vector3<f64> {
        match self.thing {
            None => Vector3::zeros(),
            Some(Thing::Push { force, rise, age }) => force * (age / rise).min(1.0),
            Some(Thing::Wall {
                at,
                normal,
                stiffness_n_m,
            }) => normal * (stiffness_n_m * normal.dot(&(at - tool)).max(0.0)),
        }
    }

    /// Into what is touched, a unit vector.
    pub(crate) fn inward(&self) -> Option<Vector3<f64>> {
        self.thing.map(|thing| match thing {
            Thing::Push { force, .. } => -force.normalize(),
            Thing::Wall { normal, .. } => -normal,
        })
    }
}

fn draw(tool: &Vector3<f64>, way: &Vector3<f64>, limit_n: f64, stream: &mut Stream) -> Thing {
    let mut part = || stream.between(-1.0, 1.0);
    let any = Vector3::new(part(), part(), part());
    // Mostly what is met is in the way.
    let ahead = if way.norm() > 1e-6 && !stream.one_in(4) {
        way.normalize()
    } else {
        Vector3::z()
    };
    let normal = (0.6 * any - ahead).normalize();
    if stream.one_in(2) {
        Thing::Push {
            force: normal * (limit_n * stream.between(0.4, 3.0)),
            rise: 1.0 + stream.below(100) as f64,
            age: 0.0,
        }
    } else {
        Thing::Wall {
            at: tool - normal * stream.between(0.0, 0.02),
            normal,
            stiffness_n_m: [500.0, 5e3, 3e4][stream.below(3) as usize],
        }
    }
}
