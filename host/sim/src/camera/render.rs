//! RGB-D images by ray casting.
//!
//! Every solid is tested only at the pixels that its box covers on the image. Shadows are cast by one
//! distant light: the plane across the light's direction is divided into tiles, and a lit point asks only
//! the solids that lie over its tile. Both cullings are conservative, so the picture is that of a full
//! ray caster. No trigonometry, no threads, no state: equal input gives equal bytes.

use nalgebra::Matrix3;

use super::lens::View;
use super::solid::{Solid, V3};

/// One distant light and the light from everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Illumination {
    /// Unit vector towards the light.
    pub(crate) towards: V3,
    pub(crate) direct: f32,
    pub(crate) ambient: f32,
}

/// An image without noise.
pub(crate) struct Image {
    /// Linear colour, 0 to about 1.
    pub(crate) color: Vec<[f32; 3]>,
    /// Depth along the camera's axis, m; infinity where nothing is.
    pub(crate) depth_m: Vec<f32>,
}

/// Colour of what lies beyond all solids.
const BACKDROP: [f32; 3] = [0.22, 0.23, 0.25];
/// Nothing nearer to the camera than this is seen.
const NEAREST_M: f32 = 5e-3;
const NOTHING: u16 = u16::MAX;
const TILES: usize = 48;
/// Shadow rays start this far outside the surface.
const SHADOW_BIAS_M: f32 = 2e-4;

/// What every pixel sees: solid index, depth and normal.
struct Hits {
    solid: Vec<u16>,
    depth_m: Vec<f32>,
    normal: Vec<V3>,
}

struct Rays {
    width: usize,
    height: usize,
    rotation: Matrix3<f32>,
    eye: V3,
    inverse_focal: [f32; 2],
    center: [f32; 2],
    focal: [f32; 2],
}

impl Rays {
    fn new(view: &View) -> Self {
        let k = &view.intrinsics;
        let rotation = view.pose.rotation.to_rotation_matrix().into_inner();
        Self {
            width: k.width as usize,
            height: k.height as usize,
            rotation: rotation.map(|c| c as f32),
            eye: view.pose.translation.vector.map(|c| c as f32),
            inverse_focal: [(1.0 / k.fx) as f32, (1.0 / k.fy) as f32],
            center: [k.cx as f32, k.cy as f32],
            focal: [k.fx as f32, k.fy as f32],
        }
    }

    fn camera_direction(&self, x: usize, y: usize) -> V3 {
        V3::new(
            (x as f32 + 0.5 - self.center[0]) * self.inverse_focal[0],
            (y as f32 + 0.5 - self.center[1]) * self.inverse_focal[1],
            1.0,
        )
    }

    /// Pixels that the solid can cover: x from, x to, y from, y to (exclusive).
    fn footprint(&self, solid: &Solid) -> Option<[usize; 4]> {
        let to_camera = self.rotation.transpose();
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        let mut behind = 0;
        for corner in solid.corners() {
            let p = to_camera * (corner - self.eye);
            if p.z <= NEAREST_M {
                behind += 1;
                continue;
            }
            for axis in 0..2 {
                let pixel = self.center[axis] + self.focal[axis] * p[axis] / p.z;
                low[axis] = low[axis].min(pixel);
                high[axis] = high[axis].max(pixel);
            }
        }
        let size = [self.width, self.height];
        if behind == 8 {
            return None;
        }
        if behind > 0 {
            return Some([0, size[0], 0, size[1]]);
        }
        let mut range = [0; 4];
        for axis in 0..2 {
            // Half a pixel of slack covers the rounding of the projection.
            range[2 * axis] = (low[axis] - 1.0).max(0.0) as usize;
            range[2 * axis + 1] = ((high[axis] + 1.0).max(0.0) as usize).min(size[axis]);
            if range[2 * axis] >= range[2 * axis + 1] {
                return None;
            }
        }
        Some(range)
    }

    /// Pixels at which the solid is entered.
    fn count(&self, solid: &Solid) -> usize {
        let Some([x_from, x_to, y_from, y_to]) = self.footprint(solid) else {
            return 0;
        };
        let to_solid = solid.rotation.transpose();
        let origin = to_solid * (self.eye - solid.position);
        let camera_to_solid = to_solid * self.rotation;
        let mut pixels = 0;
        for y in y_from..y_to {
            for x in x_from..x_to {
                let direction = camera_to_solid * self.camera_direction(x, y);
                let entry = solid
                    .kind
                    .enter(&origin, &direction, &(NEAREST_M..f32::INFINITY));
                pixels += usize::from(entry.is_some());
            }
        }
        pixels
    }

    fn cast(&self, solids: &[Solid]) -> Hits {
        let pixels = self.width * self.height;
        let mut hits = Hits {
            solid: vec![NOTHING; pixels],
            depth_m: vec![f32::INFINITY; pixels],
            normal: vec![V3::zeros(); pixels],
        };
        for (index, solid) in solids.iter().enumerate().take(usize::from(NOTHING)) {
            let Some([x_from, x_to, y_from, y_to]) = self.footprint(solid) else {
                continue;
            };
            let to_solid = solid.rotation.transpose();
            let origin = to_solid * (self.eye - solid.position);
            let camera_to_solid = to_solid * self.rotation;
            for y in y_from..y_to {
                for x in x_from..x_to {
                    let pixel = y * self.width + x;
                    let direction = camera_to_solid * self.camera_direction(x, y);
                    if let Some(entry) =
                        solid
                            .kind
                            .enter(&origin, &direction, &(NEAREST_M..hits.depth_m[pixel]))
                    {
                        hits.depth_m[pixel] = entry.t;
                        hits.solid[pixel] = index as u16;
                        hits.normal[pixel] = solid.rotation * entry.normal;
                    }
                }
            }
        }
        hits
    }
}

/// Shadow casters by tile of the plane across the light.
struct Shade<'a> {
    solids: &'a [Solid],
    towards: V3,
    across: [V3; 2],
    low: [f32; 2],
    tiles_per_metre: [f32; 2],
    /// Start of each tile's list in `casters`; one more than there are tiles.
    starts: Vec<u32>,
    casters: Vec<u16>,
}

impl<'a> Shade<'a> {
    fn new(solids: &'a [Solid], towards: V3) -> Self {
        let reference = if towards.x.abs() < 0.7 {
            V3::x()
        } else {
            V3::y()
        };
        let first = towards.cross(&reference).normalize();
        let across = [first, towards.cross(&first)];
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        let mut boxes = Vec::with_capacity(solids.len());
        for (index, solid) in solids.iter().enumerate() {
            if !solid.casts_shadow {
                continue;
            }
            let mut own = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
            for corner in solid.corners() {
                for axis in 0..2 {
                    let along = corner.dot(&across[axis]);
                    own[0][axis] = own[0][axis].min(along);
                    own[1][axis] = own[1][axis].max(along);
                }
            }
            for axis in 0..2 {
                low[axis] = low[axis].min(own[0][axis]);
                high[axis] = high[axis].max(own[1][axis]);
            }
            boxes.push((index as u16, own));
        }
        let tiles_per_metre =
            core::array::from_fn(|axis| TILES as f32 / (high[axis] - low[axis]).max(1e-6));
        let mut shade = Self {
            solids,
            towards,
            across,
            low,
            tiles_per_metre,
            starts: Vec::new(),
            casters: Vec::new(),
        };
        let mut lists = vec![Vec::new(); TILES * TILES];
        for (index, own) in boxes {
            let from: [usize; 2] = core::array::from_fn(|axis| shade.tile(own[0][axis], axis));
            let to: [usize; 2] = core::array::from_fn(|axis| shade.tile(own[1][axis], axis));
            for row in from[1]..=to[1] {
                for column in from[0]..=to[0] {
                    lists[row * TILES + column].push(index);
                }
            }
        }
        shade.starts.reserve(lists.len() + 1);
        shade.starts.push(0);
        for list in &lists {
            shade.casters.extend_from_slice(list);
            shade.starts.push(shade.casters.len() as u32);
        }
        shade
    }

    fn tile(&self, along: f32, axis: usize) -> usize {
        // Saturates at zero on the low side, as float-to-integer casts do.
        (((along - self.low[axis]) * self.tiles_per_metre[axis]) as usize).min(TILES - 1)
    }

    fn covers(&self, point: &V3, own: u16) -> bool {
        let along: [f32; 2] = core::array::from_fn(|axis| point.dot(&self.across[axis]));
        let tile = self.tile(along[1], 1) * TILES + self.tile(along[0], 0);
        let list = &self.casters[self.starts[tile] as usize..self.starts[tile + 1] as usize];
        list.iter().any(|&index| {
            // A convex solid shades itself only where it is turned away from the light.
            if index == own {
                return false;
            }
            let solid = &self.solids[usize::from(index)];
            let to_solid = solid.rotation.transpose();
            let origin = to_solid * (point - solid.position);
            let direction = to_solid * self.towards;
            solid
                .kind
                .enter(&origin, &direction, &(0.0..f32::INFINITY))
                .is_some()
        })
    }
}

/// What the camera sees of `solids`. Up to `u16::MAX` of them are drawn.
pub(crate) fn render(view: &View, solids: &[Solid], light: &Illumination) -> Image {
    let rays = Rays::new(view);
    let hits = rays.cast(solids);
    let shade = Shade::new(solids, light.towards);
    let mut color = vec![BACKDROP; hits.solid.len()];
    for (pixel, rgb) in color.iter_mut().enumerate() {
        let index = hits.solid[pixel];
        let Some(solid) = solids.get(usize::from(index)) else {
            continue;
        };
        let (x, y) = (pixel % rays.width, pixel / rays.width);
        let normal = hits.normal[pixel];
        let facing = normal.dot(&light.towards);
        let mut received = light.ambient * (0.8 + 0.2 * normal.z);
        if facing > 0.0 {
            let direction = rays.rotation * rays.camera_direction(x, y);
            let point = rays.eye + direction * hits.depth_m[pixel] + normal * SHADOW_BIAS_M;
            if !shade.covers(&point, index) {
                received += light.direct * facing;
            }
        }
        *rgb = core::array::from_fn(|channel| solid.albedo[channel] * received);
    }
    Image {
        color,
        depth_m: hits.depth_m,
    }
}

/// Pixels of one solid: how many are seen, and how many would be seen if nothing stood before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visibility {
    pub(crate) seen: usize,
    pub(crate) alone: usize,
}

/// How much of each solid the camera sees, in the order of `solids`.
pub(crate) fn visibility(view: &View, solids: &[Solid]) -> Vec<Visibility> {
    let rays = Rays::new(view);
    let mut counts = vec![Visibility::default(); solids.len()];
    for index in rays.cast(solids).solid {
        if let Some(count) = counts.get_mut(usize::from(index)) {
            count.seen += 1;
        }
    }
    for (solid, count) in solids.iter().zip(&mut counts) {
        count.alone = rays.count(solid);
    }
    counts
}
