//! The pixels that a solid can cover: a range of columns for each row.

use core::ops::Range;

/// Corners of a box that an edge joins; corner `i` is on the high side of axis `a` if bit `a` of `i` is set.
const EDGES: [(usize, usize); 12] = [
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
    /// The whole image.
    pub(crate) fn everywhere(width: usize, height: usize) -> Self {
        Self {
            first_row: 0,
            columns: vec![0..width; height],
        }
    }

    /// What lies inside the outline of a box whose corners are at these pixels.
    pub(crate) fn of_box(corners: &[[f32; 2]; 8], width: usize, height: usize) -> Option<Self> {
        let mut low = f32::INFINITY;
        let mut high = f32::NEG_INFINITY;
        for [_, v] in corners {
            low = low.min(*v);
            high = high.max(*v);
        }
        // Saturates at zero on the low side, as float-to-integer casts do.
        let first_row = (low - SLACK) as usize;
        let end_row = ((high + SLACK).max(0.0) as usize).min(height);
        if first_row >= end_row {
            return None;
        }
        let mut bounds = vec![[f32::INFINITY, f32::NEG_INFINITY]; end_row - first_row];
        for (from, to) in EDGES {
            widen(&mut bounds, first_row, corners[from], corners[to]);
        }
        let columns = bounds
            .iter()
            .map(|[left, right]| {
                let end = ((right + SLACK).max(0.0) as usize).min(width);
                ((left - SLACK).max(0.0) as usize).min(end)..end
            })
            .collect();
        Some(Self { first_row, columns })
    }

    /// Rows and their columns.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        (self.first_row..).zip(self.columns.iter().cloned())
    }
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
