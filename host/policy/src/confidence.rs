//! Confidence from the disagreement of overlapping chunks, calibrated on runs that succeeded.

use serde::Deserialize;

use crate::chunk::Disagreement;

/// How disagreement becomes confidence.
///
/// The score of one inference is the mean of the three disagreements, each in units of its usual value
/// in successful runs; it is smoothed exponentially over the inferences. Confidence is the share of
/// successful runs whose worst score was at least as bad: uniform over successes, near zero where no
/// success ever was.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Usual disagreement in position, m.
    pub position_m: f64,
    /// Usual disagreement in yaw, rad.
    pub yaw_rad: f64,
    /// Usual disagreement of the gripper channel.
    pub gripper: f64,
    /// Weight of the newest inference in the smoothed score, (0, 1].
    pub smoothing: f64,
    /// Worst scores of successful runs at evenly spaced quantiles, ascending.
    pub worst_scores: Vec<f64>,
    /// A run whose confidence falls below this ends as `low-confidence`; 0 never ends one.
    pub low_below: f64,
}

impl Calibration {
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if ![self.position_m, self.yaw_rad, self.gripper, self.smoothing]
            .into_iter()
            .all(positive)
            || self.smoothing > 1.0
        {
            return Err("confidence scales must be above zero, smoothing at most 1".into());
        }
        if self.worst_scores.len() < 2
            || !self.worst_scores.iter().copied().all(positive)
            || !self.worst_scores.is_sorted()
        {
            return Err(
                "confidence.worst_scores must be two or more ascending values above zero".into(),
            );
        }
        if !(0.0..1.0).contains(&self.low_below) {
            return Err("confidence.low_below must lie in 0 to 1".into());
        }
        Ok(())
    }

    pub(crate) fn score(&self, apart: &Disagreement) -> f64 {
        (apart.position_m / self.position_m
            + apart.yaw_rad / self.yaw_rad
            + apart.gripper / self.gripper)
            / 3.0
    }

    /// Confidence of a run with this worst score so far.
    pub(crate) fn confidence(&self, worst: f64) -> f64 {
        let scores = &self.worst_scores;
        let intervals = (scores.len() - 1) as f64;
        let above = scores.partition_point(|score| *score < worst);
        if above == 0 {
            return 1.0;
        }
        let highest = scores[scores.len() - 1];
        if above == scores.len() {
            // Worse than every success: falls with the square of the distance.
            return 0.5 / intervals * (highest / worst) * (highest / worst);
        }
        let (low, high) = (scores[above - 1], scores[above]);
        let within = (worst - low) / (high - low).max(f64::MIN_POSITIVE);
        // The last quantile keeps half an interval, which the tail above uses up.
        (1.0 - ((above - 1) as f64 + within) / intervals).max(0.5 / intervals)
    }
}

/// Confidence of one run.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    smoothed: Option<f64>,
    worst: f64,
}

impl Doubt {
    /// Takes in one disagreement and returns the run's worst score so far.
    pub(crate) fn add(&mut self, calibration: &Calibration, apart: &Disagreement) -> f64 {
        let score = calibration.score(apart);
        let before = self.smoothed.unwrap_or(score);
        let smoothed = before + calibration.smoothing * (score - before);
        self.smoothed = Some(smoothed);
        self.worst = self.worst.max(smoothed);
        self.worst
    }

    pub(crate) fn worst(&self) -> f64 {
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        Calibration {
            position_m: 0.01,
            yaw_rad: 0.1,
            gripper: 0.1,
            smoothing: 0.5,
            worst_scores: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            low_below: 0.05,
        }
    }

    #[test]
    fn confidence_falls_with_the_score_and_stays_in_range() {
        let calibration = calibration();
        let mut before = 1.0;
        for tenth in 0..200 {
            let confidence = calibration.confidence(f64::from(tenth) / 10.0);
            assert!((0.0..=1.0).contains(&confidence));
            assert!(confidence <= before + 1e-12, "rose at {tenth}");
            before = confidence;
        }
        assert_eq!(calibration.confidence(0.5), 1.0);
        assert!((calibration.confidence(3.0) - 0.5).abs() < 1e-12);
        assert!(calibration.confidence(20.0) < calibration.low_below);
    }

    #[test]
    fn one_bad_inference_counts_less_than_two() {
        let calibration = calibration();
        let apart = |position_m| Disagreement {
            position_m,
            ..Disagreement::default()
        };
        let mut once = Doubt::default();
        once.add(&calibration, &apart(0.0));
        once.add(&calibration, &apart(0.3));
        let mut twice = Doubt::default();
        twice.add(&calibration, &apart(0.0));
        twice.add(&calibration, &apart(0.3));
        twice.add(&calibration, &apart(0.3));
        assert!(once.worst() < twice.worst());
    }
}
