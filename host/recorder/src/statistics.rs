//! The few statistics that reports need.

use serde::{Deserialize, Serialize};

/// The percentile `p` (0 to 100) of `values` by linear interpolation between closest ranks (the default of
/// numpy and of most spreadsheets). `None` if there is no finite value; non-finite values are left out.
#[must_use]
pub fn percentile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let rank = (p.clamp(0.0, 100.0) / 100.0) * last as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    let share = rank - below as f64;
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

/// The percentiles that a report shows, in the unit of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median; `null` without values.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Percentiles {
    /// The percentiles of `values`.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        Self {
            p50: percentile(values, 50.0),
            p90: percentile(values, 90.0),
            p99: percentile(values, 99.0),
        }
    }
}

/// Wilson's 95 % score interval of a success rate, `[low, high]`; `[0, 1]` without trials.
///
/// Wilson (1927): `(p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n)` with z = 1.959964.
#[must_use]
pub fn wilson95(succeeded: u64, trials: u64) -> [f64; 2] {
    if trials == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = trials as f64;
    let rate = succeeded.min(trials) as f64 / n;
    let centre = rate + Z * Z / (2.0 * n);
    let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // At the ends the bound is exact; rounding would miss it.
    [
        if succeeded == 0 {
            0.0
        } else {
            (centre - half) / scale
        },
        if succeeded >= trials {
            1.0
        } else {
            (centre + half) / scale
        },
    ]
}

/// Two-sided exact McNemar test on paired outcomes: the probability, if both ways were equally good, of a
/// split of the discordant pairs at least as uneven as `only_first` against `only_second`.
///
/// The binomial tail is summed in logarithms, so that large counts neither overflow nor vanish.
#[must_use]
pub fn mcnemar_exact(only_first: u64, only_second: u64) -> f64 {
    let n = only_first + only_second;
    if n == 0 {
        return 1.0;
    }
    let smaller = only_first.min(only_second);
    let log_half_n = n as f64 * 0.5_f64.ln();
    let mut log_choose = 0.0_f64;
    let mut tail = 0.0_f64;
    for k in 0..=smaller {
        if k > 0 {
            log_choose += ((n - k + 1) as f64).ln() - (k as f64).ln();
        }
        tail += (log_choose + log_half_n).exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_and_leave_out_what_is_not_finite() {
        let cases: [(&[f64], f64, Option<f64>); 6] = [
            (&[], 50.0, None),
            (&[f64::NAN], 50.0, None),
            (&[3.0], 99.0, Some(3.0)),
            (&[1.0, 2.0, 3.0, 4.0], 50.0, Some(2.5)),
            (&[4.0, 1.0, f64::INFINITY, 3.0, 2.0], 100.0, Some(4.0)),
            (&[1.0, 2.0], -5.0, Some(1.0)),
        ];
        for (values, p, expected) in cases {
            assert_eq!(percentile(values, p), expected, "{values:?} at {p}");
        }
    }

    #[test]
    fn wilson_agrees_with_published_values() {
        // 10 of 10: lower bound 0.7225 (Brown, Cai, DasGupta 2001); 0 of 10 mirrors it.
        let [low, high] = wilson95(10, 10);
        assert!((low - 0.7225).abs() < 1e-4 && high == 1.0, "{low} {high}");
        let [low, high] = wilson95(0, 10);
        assert!(low == 0.0 && (high - 0.2775).abs() < 1e-4, "{low} {high}");
        assert_eq!(wilson95(0, 0), [0.0, 1.0]);
        let [low, high] = wilson95(196, 200);
        assert!(
            (low - 0.9497).abs() < 1e-4 && (high - 0.9922).abs() < 1e-4,
            "{low} {high}"
        );
    }

    #[test]
    fn mcnemar_agrees_with_the_binomial_by_hand() {
        assert_eq!(mcnemar_exact(0, 0), 1.0);
        // 5 : 0 is 2 · 2⁻⁵; 6 : 0 is 2 · 2⁻⁶.
        assert!((mcnemar_exact(5, 0) - 0.0625).abs() < 1e-12);
        assert!((mcnemar_exact(0, 6) - 0.031_25).abs() < 1e-12);
        // 8 : 2 is 2 · (1 + 10 + 45) / 1024.
        assert!((mcnemar_exact(8, 2) - 0.109_375).abs() < 1e-12);
        assert_eq!(mcnemar_exact(3, 3), 1.0);
        assert!(mcnemar_exact(2_000, 1_000) < 1e-60);
    }
}
