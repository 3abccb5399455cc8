//! RGB-D images by ray casting.
//!
//! Every solid is tested only at the pixels that the outline of its box covers on the image. Shadows are
//! cast by one distant light: the plane across the light's direction is divided into tiles, and a lit point
//! asks only the solids that lie over its tile, and of those only the ones whose box lies over the point.
//! All cullings are conservative, so the picture is that of a full ray caster. No trigonometry, no threads,
//! no state: equal input gives equal bytes.

use core::ops::Range;

use nalgebra::Matrix3;

use super::footprint::{EDGES, Footprint};
use super::lens::View;
use super::solid::{Directions, Entry, Kind, STRIP, Solid, Strip, V3};

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

    /// Where the solid can be seen.
    fn footprint(&self, solid: &Solid) -> Option<Footprint> {
        let to_camera = self.rotation.transpose();
        let corners = solid
            .corners()
            .map(|corner| to_camera * (corner - self.eye));
        let pixel = |p: &V3| {
            [0, 1].map(|axis| self.center[axis] + self.focal[axis] * p[axis] / p.z.max(NEAREST_M))
        };
        if corners.iter().all(|p| p.z > NEAREST_M) {
            return Footprint::of_box(&corners.map(|p| pixel(&p)), self.width, self.height);
        }
        // What is left of the box when what is too near is cut off.
        let ahead = corners.into_iter().filter(|p| p.z > NEAREST_M);
        let cuts = EDGES.iter().filter_map(|&(from, to)| {
            let (a, b) = (corners[from], corners[to]);
            let is_cut = (a.z > NEAREST_M) != (b.z > NEAREST_M);
            is_cut.then(|| a + (b - a) * ((NEAREST_M - a.z) / (b.z - a.z)))
        });
        let pixels = ahead.chain(cuts).map(|p| pixel(&p));
        Footprint::of_points(pixels, self.width, self.height)
    }

    /// Calls `see` with each pixel at which the solid is entered before `depth_m`, and lowers that depth.
    fn scan(&self, solid: &Solid, depth_m: &mut [f32], see: impl FnMut(usize, &Entry)) {
        let Some(footprint) = self.footprint(solid) else {
            return;
        };
        let to_solid = solid.rotation.transpose();
        let scan = Scan {
            rays: self,
            footprint,
            origin: to_solid * (self.eye - solid.position),
            camera_to_solid: to_solid * self.rotation,
        };
        match &solid.kind {
            Kind::Block { half } => scan.block(half, depth_m, see),
            // Each kind has a loop of its own, so that what depends on the solid alone stays outside.
            kind @ Kind::Capsule { .. } => scan.any(kind, depth_m, see),
            kind @ Kind::Cylinder { .. } => scan.any(kind, depth_m, see),
            kind => scan.any(kind, depth_m, see),
        }
    }

    /// Pixels at which the solid is entered.
    fn count(&self, solid: &Solid) -> usize {
        let mut pixels = 0;
        let mut depth_m = vec![f32::INFINITY; self.width * self.height];
        self.scan(solid, &mut depth_m, |_, _| pixels += 1);
        pixels
    }

    fn cast(&self, solids: &[Solid]) -> Hits {
        let pixels = self.width * self.height;
        let mut depth_m = vec![f32::INFINITY; pixels];
        let mut seen = vec![NOTHING; pixels];
        let mut normal = vec![V3::zeros(); pixels];
        for (index, solid) in solids.iter().enumerate().take(usize::from(NOTHING)) {
            self.scan(solid, &mut depth_m, |pixel, entry| {
                seen[pixel] = index as u16;
                normal[pixel] = solid.rotation * entry.normal;
            });
        }
        Hits {
            solid: seen,
            depth_m,
            normal,
        }
    }
}

/// One solid's pixels.
struct Scan<'a> {
    rays: &'a Rays,
    footprint: Footprint,
    /// The eye in the solid's frame.
    origin: V3,
    camera_to_solid: Matrix3<f32>,
}

impl Scan<'_> {
    fn any(&self, kind: &Kind, depth_m: &mut [f32], mut see: impl FnMut(usize, &Entry)) {
        for (y, columns) in self.footprint.rows() {
            for x in columns {
                let pixel = y * self.rays.width + x;
                let direction = self.camera_to_solid * self.rays.camera_direction(x, y);
                let span = NEAREST_M..depth_m[pixel];
                if let Some(entry) = kind.enter(&self.origin, &direction, &span) {
                    depth_m[pixel] = entry.t;
                    see(pixel, &entry);
                }
            }
        }
    }

    fn block(&self, half: &V3, depth_m: &mut [f32], mut see: impl FnMut(usize, &Entry)) {
        for (y, columns) in self.footprint.rows() {
            for start in columns.clone().step_by(STRIP) {
                let directions = self.directions(start, y);
                let strip = Strip::enter_block(half, &self.origin, &directions);
                for (ray, x) in (start..columns.end.min(start + STRIP)).enumerate() {
                    let pixel = y * self.rays.width + x;
                    let t = strip.t[ray];
                    if t > NEAREST_M && t < depth_m[pixel] {
                        let axis = strip.axis[ray] as usize;
                        let mut normal = V3::zeros();
                        normal[axis] = -directions[axis][ray].signum();
                        depth_m[pixel] = t;
                        see(pixel, &Entry { t, normal });
                    }
                }
            }
        }
    }

    /// Directions of the rays through the pixels from `x` on, in the solid's frame.
    #[inline]
    fn directions(&self, x: usize, y: usize) -> Directions {
        let rays = self.rays;
        let down = (y as f32 + 0.5 - rays.center[1]) * rays.inverse_focal[1];
        let first = x as f32;
        let right: [f32; STRIP] = core::array::from_fn(|ray| {
            (first + ray as f32 + 0.5 - rays.center[0]) * rays.inverse_focal[0]
        });
        core::array::from_fn(|axis| {
            let row = self.camera_to_solid.row(axis);
            let (across, below) = (row[0], row[1] * down);
            right.map(|right| across * right + below + row[2])
        })
    }
}

/// What can cast a shadow.
struct Caster<'a> {
    kind: &'a Kind,
    /// Index of the solid.
    index: u16,
    /// What its box covers of the plane across the light: from and to.
    across: [Range<f32>; 2],
    /// End of its box towards the light.
    top: f32,
    to_solid: Matrix3<f32>,
    position: V3,
    /// Towards the light, in the solid's frame.
    towards: V3,
}

/// Added to the boxes of shadow casters on all sides, m: far more than their rounding.
const CASTER_SLACK_M: f32 = 1e-4;

impl<'a> Caster<'a> {
    fn new(index: usize, solid: &'a Solid, plane: &[V3; 2], towards: &V3) -> Self {
        let corners = solid.corners();
        let extent = |axis: &V3| {
            let start = f32::INFINITY..f32::NEG_INFINITY;
            let range = corners.iter().fold(start, |range, corner| {
                let along = corner.dot(axis);
                range.start.min(along)..range.end.max(along)
            });
            range.start - CASTER_SLACK_M..range.end + CASTER_SLACK_M
        };
        let to_solid = solid.rotation.transpose();
        Self {
            kind: &solid.kind,
            index: index as u16,
            across: [extent(&plane[0]), extent(&plane[1])],
            top: extent(towards).end,
            to_solid,
            position: solid.position,
            towards: to_solid * towards,
        }
    }
}

/// Shadow casters by tile of the plane across the light.
struct Shade<'a> {
    towards: V3,
    across: [V3; 2],
    low: [f32; 2],
    tiles_per_metre: [f32; 2],
    casters: Vec<Caster<'a>>,
    /// Start of each tile's list in `members`; one more than there are tiles.
    starts: Vec<u32>,
    /// Indices into `casters`.
    members: Vec<u16>,
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
        let casters: Vec<_> = solids
            .iter()
            .enumerate()
            .take(usize::from(NOTHING))
            .filter(|(_, solid)| solid.casts_shadow)
            .map(|(index, solid)| Caster::new(index, solid, &across, &towards))
            .collect();
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for caster in &casters {
            for axis in 0..2 {
                low[axis] = low[axis].min(caster.across[axis].start);
                high[axis] = high[axis].max(caster.across[axis].end);
            }
        }
        let tiles_per_metre =
            core::array::from_fn(|axis| TILES as f32 / (high[axis] - low[axis]).max(1e-6));
        let mut shade = Self {
            towards,
            across,
            low,
            tiles_per_metre,
            casters,
            starts: Vec::new(),
            members: Vec::new(),
        };
        shade.fill_tiles();
        shade
    }

    /// Counts what lies over each tile, then writes the lists one after the other.
    fn fill_tiles(&mut self) {
        let tiles_of = |caster: &Caster<'_>| {
            let [columns, rows] = [0, 1].map(|axis| {
                let range = &caster.across[axis];
                self.tile(range.start, axis)..self.tile(range.end, axis) + 1
            });
            rows.flat_map(move |row| columns.clone().map(move |column| row * TILES + column))
        };
        let mut starts = vec![0_u32; TILES * TILES + 1];
        for tile in self.casters.iter().flat_map(tiles_of) {
            starts[tile + 1] += 1;
        }
        for tile in 0..TILES * TILES {
            starts[tile + 1] += starts[tile];
        }
        let mut members = vec![0; starts[TILES * TILES] as usize];
        let mut next = starts.clone();
        for (member, caster) in (0..).zip(&self.casters) {
            for tile in tiles_of(caster) {
                members[next[tile] as usize] = member;
                next[tile] += 1;
            }
        }
        self.starts = starts;
        self.members = members;
    }

    fn tile(&self, along: f32, axis: usize) -> usize {
        let tile = ((along - self.low[axis]) * self.tiles_per_metre[axis]) as i32;
        tile.clamp(0, TILES as i32 - 1) as usize
    }

    fn covers(&self, point: &V3, own: u16) -> bool {
        let along: [f32; 2] = core::array::from_fn(|axis| point.dot(&self.across[axis]));
        let height = point.dot(&self.towards);
        let tile = self.tile(along[1], 1) * TILES + self.tile(along[0], 0);
        let list = &self.members[self.starts[tile] as usize..self.starts[tile + 1] as usize];
        list.iter().any(|&member| {
            let caster = &self.casters[usize::from(member)];
            // A convex solid shades itself only where it is turned away from the light.
            if caster.index == own
                || height > caster.top
                || !caster.across[0].contains(&along[0])
                || !caster.across[1].contains(&along[1])
            {
                return false;
            }
            let origin = caster.to_solid * (point - caster.position);
            caster
                .kind
                .enter(&origin, &caster.towards, &(0.0..f32::INFINITY))
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
    for (y, row) in color.chunks_exact_mut(rays.width).enumerate() {
        let start = y * rays.width;
        for (x, rgb) in row.iter_mut().enumerate() {
            let index = hits.solid[start + x];
            let Some(solid) = solids.get(usize::from(index)) else {
                continue;
            };
            let normal = hits.normal[start + x];
            let facing = normal.dot(&light.towards);
            let mut received = light.ambient * (0.8 + 0.2 * normal.z);
            if facing > 0.0 {
                let direction = rays.rotation * rays.camera_direction(x, y);
                let point = rays.eye + direction * hits.depth_m[start + x] + normal * SHADOW_BIAS_M;
                if !shade.covers(&point, index) {
                    received += light.direct * facing;
                }
            }
            *rgb = solid.albedo.map(|albedo| albedo * received);
        }
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
