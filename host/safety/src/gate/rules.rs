//! Everything that follows from the configuration and the arm alone: worked out beside the tick, swapped as a whole.

use sinew_kinematics::Chain;

use crate::brake::StopLaw;
use crate::limits::{SafetyConfig, SafetyLimits};
use crate::singularity::SingularityCheck;
use crate::stop::StopPath;
use crate::sweep::Sweep;
use crate::zones::slow_speeds;

/// The limits, and what is made of them.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) limits: SafetyLimits,
    /// How the robot brakes.
    pub(super) law: StopLaw,
    /// A stop by that law, written down.
    pub(super) path: StopPath,
    pub(super) sweep: Sweep,
    pub(super) singularity: Option<SingularityCheck>,
    /// Speeds that slow zones allow, ascending, m/s.
    pub(super) slow_speeds: Vec<f64>,
}

impl Rules {
    /// Allocates: not for the tick.
    pub(super) fn new(limits: SafetyLimits, chain: &Chain) -> Self {
        let config = limits.config();
        Self {
            law: StopLaw::new(&config.stop_acceleration_rad_s2, &config.stop_jerk_rad_s3),
            path: StopPath::new(),
            singularity: (config.singularity.as_ref())
                .map(|limits| SingularityCheck::new(chain, limits)),
            slow_speeds: slow_speeds(&config.zones),
            sweep: Sweep::new(chain.clone(), &limits),
            limits,
        }
    }

    pub(super) fn config(&self) -> &SafetyConfig {
        self.limits.config()
    }
}
