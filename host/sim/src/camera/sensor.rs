//! From the ideal image to what an RGB-D sensor delivers: gain, colour noise, depth noise and holes.
//!
//! The noise of a pixel depends on (seed, pixel) alone, so the same exposure develops to the same bytes
//! on any thread and in any order.

use super::render::Image;

/// Noise of one camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorNoise {
    /// Standard deviation of the colour noise, in steps of 0…255.
    pub color_sigma: f32,
    /// Standard deviation of the depth, m.
    pub depth_sigma_m: f32,
    /// Chance that a pixel at a depth edge has no depth.
    pub edge_hole: f32,
    /// Chance that any other pixel has no depth.
    pub hole: f32,
    /// Farthest depth returned, m.
    pub range_m: f32,
}

impl Default for SensorNoise {
    fn default() -> Self {
        Self {
            color_sigma: 4.0,
            depth_sigma_m: 2.0e-3,
            edge_hole: 0.5,
            hole: 0.002,
            range_m: 3.0,
        }
    }
}

/// Neighbours whose depth differs by more than this are an edge, m.
const EDGE_M: f32 = 0.012;
/// Standard deviation of the sum of four 16-bit uniforms, of two 8-bit ones.
const SIGMA_FOUR_U16: f32 = 65_536.0 * 0.577_350_3;
const SIGMA_TWO_U8: f32 = 256.0 * 0.408_248_3;

/// RGB bytes and depth in metres (0 where there is none).
pub(crate) fn read_out(
    image: &Image,
    width: usize,
    noise: &SensorNoise,
    seed: u64,
) -> (Vec<u8>, Vec<f32>) {
    let mut rgb = vec![0; 3 * image.color.len()];
    let mut depth_m = Vec::with_capacity(image.depth_m.len());
    if width == 0 {
        return (rgb, depth_m);
    }
    let row_bytes = 3 * width;
    let mut is_edge = vec![false; width];
    let mut grain = vec![0.0; row_bytes];
    let rows = image.color.chunks_exact(width);
    for (row, (colors, bytes)) in rows.zip(rgb.chunks_exact_mut(row_bytes)).enumerate() {
        for (pixel, grain) in (row * width..).zip(grain.chunks_exact_mut(3)) {
            let bits = mix(seed ^ (2 * pixel as u64));
            for (channel, grain) in grain.iter_mut().enumerate() {
                let pair = bits >> (16 * channel);
                *grain = ((pair & 0xff) + (pair >> 8 & 0xff)) as f32 - 255.0;
            }
        }
        // A loop of its own, without branches, so that the compiler can use vector instructions.
        for ((byte, value), unit) in bytes.iter_mut().zip(colors.as_flattened()).zip(&grain) {
            let level = encode(*value) + unit / SIGMA_TWO_U8 * noise.color_sigma;
            // Saturates at both ends.
            *byte = (level + 0.5) as u8;
        }
        mark_edges(&image.depth_m, row, &mut is_edge);
        for (pixel, is_edge) in (row * width..).zip(&is_edge) {
            let hole = if *is_edge {
                noise.edge_hole
            } else {
                noise.hole
            };
            let ideal = image.depth_m[pixel];
            depth_m.push(read_depth(
                ideal,
                hole,
                noise,
                seed ^ (2 * pixel as u64 + 1),
            ));
        }
    }
    (rgb, depth_m)
}

/// Marks the pixels of a row whose depth differs much from that of a neighbour.
fn mark_edges(depth_m: &[f32], row: usize, is_edge: &mut [bool]) {
    let width = is_edge.len();
    let jumps = |a: f32, b: f32| (a - b).abs() > EDGE_M;
    let (before, from_row) = depth_m.split_at(row * width);
    let (own, after) = from_row.split_at(width);
    is_edge.fill(false);
    for (is_edge, pair) in is_edge.iter_mut().zip(own.windows(2)) {
        *is_edge |= jumps(pair[0], pair[1]);
    }
    for (is_edge, pair) in is_edge.iter_mut().skip(1).zip(own.windows(2)) {
        *is_edge |= jumps(pair[0], pair[1]);
    }
    let above = before.chunks_exact(width).next_back();
    let below = after.chunks_exact(width).next();
    for neighbours in above.into_iter().chain(below) {
        for ((is_edge, own), other) in is_edge.iter_mut().zip(own).zip(neighbours) {
            *is_edge |= jumps(*own, *other);
        }
    }
}

/// What one pixel delivers of its depth.
#[inline]
fn read_depth(ideal: f32, hole: f32, noise: &SensorNoise, seed: u64) -> f32 {
    let bits = mix(seed);
    let is_lost = ((bits >> 40) as f32) < hole * 16_777_216.0;
    let bits = mix(bits);
    let sum = (0..4)
        .map(|i| (bits >> (16 * i) & 0xffff) as f32)
        .sum::<f32>()
        - 131_070.0;
    if is_lost || ideal > noise.range_m {
        return 0.0;
    }
    (ideal + sum / SIGMA_FOUR_U16 * noise.depth_sigma_m).max(1e-3)
}

/// The output function of SplitMix64: neighbouring inputs give unrelated outputs.
pub(crate) fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Linear light to the byte scale: a square root stands in for the sRGB curve and needs no `pow`.
pub(crate) fn encode(linear: f32) -> f32 {
    255.0 * linear.clamp(0.0, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(pixels: usize, depth_m: f32) -> Image {
        Image {
            color: vec![[0.25; 3]; pixels],
            depth_m: vec![depth_m; pixels],
        }
    }

    #[test]
    fn noise_has_the_stated_spread_and_no_bias() {
        let noise = SensorNoise::default();
        let (rgb, depth_m) = read_out(&flat(40_000, 0.8), 200, &noise, 7);
        let seen: Vec<f64> = depth_m
            .iter()
            .filter(|d| **d > 0.0)
            .map(|d| f64::from(*d))
            .collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let sigma =
            (seen.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / seen.len() as f64).sqrt();
        assert!((mean - 0.8).abs() < 5e-5, "mean {mean}");
        assert!((sigma - 2e-3).abs() < 5e-5, "sigma {sigma}");
        assert!(
            seen.len() < 40_000 && seen.len() > 39_800,
            "{} pixels",
            seen.len()
        );
        let mean = rgb.iter().map(|b| f64::from(*b)).sum::<f64>() / rgb.len() as f64;
        assert!((mean - 127.5).abs() < 0.3, "mean colour {mean}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
        let image = flat(500, 0.5);
        let noise = SensorNoise::default();
        assert_eq!(
            read_out(&image, 50, &noise, 1),
            read_out(&image, 50, &noise, 1)
        );
        assert_ne!(
            read_out(&image, 50, &noise, 1),
            read_out(&image, 50, &noise, 2)
        );
    }

    #[test]
    fn depth_edges_lose_pixels() {
        let mut image = flat(10_000, 0.5);
        for (pixel, depth) in image.depth_m.iter_mut().enumerate() {
            if pixel % 2 == 0 {
                *depth = 0.6;
            }
        }
        let (_, depth_m) = read_out(&image, 100, &SensorNoise::default(), 3);
        let holes = depth_m.iter().filter(|d| **d == 0.0).count();
        assert!((4_700..5_300).contains(&holes), "{holes} holes");
    }
}
