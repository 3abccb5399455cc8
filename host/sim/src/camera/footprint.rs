//! The pixels that a solid can cover: a range of columns for each row.

use core::ops::Range;

/// Corners of a box that an edge joins; corner `i` is on the high side of axis `a` if bit `a` of `i` is set.
pub(crate) const EDGES: [(usize, usize); 12] = [
    (0, 1),
    (2, 3),
    (4, 5),
    (6, 7),
    (0, 2),
    (1, 3),
    (4, 6),
    (5, 7),
    (0, 4),
    (1, 5),
    (2, 6),
    (3, 7),
];
/// Pixels added on both sides: far more than the projection's rounding.
const SLACK: f32 = 1.0;

/// Ranges of columns for a run of rows.
pub(crate) struct Footprint {
    first_row: usize,
    columns: Vec<Range<usize>>,
}

impl Footprint {
    /// The rectangle around these pixels.
    pub(crate) fn of_points(
        pixels: impl Iterator<Item = [f32; 2]>,
        width: usize,
        height: usize,
    ) -> Option<Self> {
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for pixel in pixels {
            for axis in 0..2 {
                low[axis] = low[axis].min(pixel[axis]);
                high[axis] = high[axis].max(pixel[axis]);
            }
        }
        let columns = covered(low[0], high[0], width);
        let rows = covered(low[1], high[1], height);
        if columns.is_empty() || rows.is_empty() {
            return None;
        }
        Some(Self {
            first_row: rows.start,
            columns: vec![columns; rows.len()],
        })
    }

    /// What lies inside the outline of a box whose corners are at these pixels.
    pub(crate) fn of_box(corners: &[[f32; 2]; 8], width: usize, height: usize) -> Option<Self> {
        let mut low = f32::INFINITY;
        let mut high = f32::NEG_INFINITY;
        for [_, v] in corners {
            low = low.min(*v);
            high = high.max(*v);
        }
        let rows = covered(low, high, height);
        if rows.is_empty() {
            return None;
        }
        let mut bounds = vec![[f32::INFINITY, f32::NEG_INFINITY]; rows.len()];
        for (from, to) in EDGES {
            widen(&mut bounds, rows.start, corners[from], corners[to]);
        }
        let columns = bounds
            .iter()
            .map(|[left, right]| covered(*left, *right, width))
            .collect();
        Some(Self {
            first_row: rows.start,
            columns,
        })
    }

    /// Rows and their columns.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        (self.first_row..).zip(self.columns.iter().cloned())
    }
}

/// Rows or columns, out of `size`, whose middles can lie between `low` and `high`.
fn covered(low: f32, high: f32, size: usize) -> Range<usize> {
    // Saturates at zero on the low side, as float-to-integer casts do.
    let end = ((high + SLACK) as usize).min(size);
    ((low - SLACK) as usize).min(end)..end
}

/// Widens the rows that an edge runs through by the part of the edge that lies in them.
fn widen(bounds: &mut [[f32; 2]], first_row: usize, a: [f32; 2], b: [f32; 2]) {
    let ([u_low, v_low], [u_high, v_high]) = if a[1] <= b[1] { (a, b) } else { (b, a) };
    let height = v_high - v_low;
    let slope = (u_high - u_low) / height;
    let start = (v_low.max(0.0) as usize).saturating_sub(first_row);
    let end = ((v_high + SLACK).max(0.0) as usize).saturating_sub(first_row);
    let end = end.min(bounds.len());
    for (offset, [left, right]) in bounds.iter_mut().enumerate().take(end).skip(start) {
        // An edge along the row has no slope to go by.
        let (first, last) = if height < 1.0 {
            (u_low, u_high)
        } else {
            let v = (first_row + offset) as f32;
            let at = |v: f32| u_low + (v.clamp(v_low, v_high) - v_low) * slope;
            (at(v), at(v + 1.0))
        };
        *left = left.min(first.min(last));
        *right = right.max(first.max(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box seen along its z axis, turned by 45°.
    fn diamond(center: [f32; 2], reach: f32) -> [[f32; 2]; 8] {
        let [u, v] = center;
        core::array::from_fn(|corner| match corner & 3 {
            0 => [u, v - reach],
            1 => [u + reach, v],
            2 => [u - reach, v],
            _ => [u, v + reach],
        })
    }

    #[test]
    fn every_pixel_inside_the_outline_is_covered_and_few_others() {
        let (width, height) = (60, 40);
        for center in [[30.0, 20.0], [2.0, 3.5], [58.3, 39.9], [30.2, -4.0]] {
            let reach = 11.3;
            let footprint = Footprint::of_box(&diamond(center, reach), width, height);
            let mut covered = vec![false; width * height];
            for (row, columns) in footprint.expect("it is seen").rows() {
                covered[row * width..][columns].fill(true);
            }
            for (pixel, is_covered) in covered.iter().enumerate() {
                let u = (pixel % width) as f32 + 0.5;
                let v = (pixel / width) as f32 + 0.5;
                let distance = (u - center[0]).abs() + (v - center[1]).abs();
                assert!(*is_covered || distance > reach, "{center:?}: {u} {v}");
                assert!(!is_covered || distance < reach + 4.0, "{center:?}: {u} {v}");
            }
        }
    }

    #[test]
    fn what_lies_beside_the_image_covers_nothing() {
        for center in [[30.0, 60.0], [30.0, -20.0]] {
            assert!(Footprint::of_box(&diamond(center, 11.3), 60, 40).is_none());
        }
        let beside = Footprint::of_box(&diamond([90.0, 20.0], 11.3), 60, 40);
        let pixels: usize = beside
            .iter()
            .flat_map(Footprint::rows)
            .map(|(_, columns)| columns.len())
            .sum();
        assert_eq!(pixels, 0);
    }
}
