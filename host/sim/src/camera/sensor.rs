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
    let mut rgb = Vec::with_capacity(3 * image.color.len());
    let mut depth_m = Vec::with_capacity(image.depth_m.len());
    let height = image.depth_m.len() / width.max(1);
    for (pixel, color) in image.color.iter().enumerate() {
        let bits = mix(seed ^ (2 * pixel as u64));
        for (channel, value) in color.iter().enumerate() {
            let pair = bits >> (16 * channel);
            let unit = ((pair & 0xff) + (pair >> 8 & 0xff)) as f32 - 255.0;
            let level = encode(*value) + unit / SIGMA_TWO_U8 * noise.color_sigma;
            // Saturates at both ends.
            rgb.push((level + 0.5) as u8);
        }
        let ideal = image.depth_m[pixel];
        let (x, y) = (pixel % width, pixel / width);
        let edge = (x > 0 && (image.depth_m[pixel - 1] - ideal).abs() > EDGE_M)
            || (x + 1 < width && (image.depth_m[pixel + 1] - ideal).abs() > EDGE_M)
            || (y > 0 && (image.depth_m[pixel - width] - ideal).abs() > EDGE_M)
            || (y + 1 < height && (image.depth_m[pixel + width] - ideal).abs() > EDGE_M);
        let hole = if edge { noise.edge_hole } else { noise.hole };
        let bits = mix(seed ^ (2 * pixel as u64 + 1));
        let lost = ((bits >> 40) as f32) < hole * 16_777_216.0;
        if lost || ideal > noise.range_m {
            depth_m.push(0.0);
            continue;
        }
        let bits = mix(bits);
        let sum = (0..4)
            .map(|i| (bits >> (16 * i) & 0xffff) as f32)
            .sum::<f32>()
            - 131_070.0;
        depth_m.push((ideal + sum / SIGMA_FOUR_U16 * noise.depth_sigma_m).max(1e-3));
    }
    (rgb, depth_m)
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
