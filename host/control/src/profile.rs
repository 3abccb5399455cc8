//! Jerk-limited motion of one coordinate: from any state to rest, as quickly as its form allows.
//!
//! A profile is at most seven pieces of constant jerk: a change of velocity to a peak, a cruise, and a
//! change of velocity to zero; and up to three before them where the start has to be eased first. For a start with
//! velocity and acceleration the peak velocity is found by false position, with bisections to fall back on:
//! the distance covered without a cruise is a continuous function of the peak, so a bracket always holds a
//! solution, the number of steps is bounded, and nothing but `+ - * / √` is used, which gives the same bits
//! on every machine. From rest this is time-optimal; with motion at the start it is too, except where a start
//! that brakes already has its target barely beyond the stop.
//!
//! Units are those of the coordinate (rad, m, or a share of a path) per s, s², s³.

/// Steps of false position in the search for the peak velocity: a dozen is usual.
const FALSE_POSITION_STEPS: usize = 40;
/// Bisections after that: enough to exhaust an `f64`.
const BISECTION_STEPS: usize = 60;
/// A peak whose way is short of the distance by no more than this is the peak: a tick's rounding is more.
const SHORT_OF: f64 = 1e-16;
/// Steps of the bisection that stretches a profile to a longer duration.
const STRETCH_STEPS: usize = 50;
/// A target this near to the end of the quickest stop is the end of the quickest stop: planning again on
/// the way of a stop must not start a correction that only rounding asks for.
const SAME_PLACE: f64 = 1e-12;
/// A stretched profile that is off by more than this is not used, s.
const STRETCH_TOLERANCE_S: f64 = 1e-6;

/// Position, velocity and acceleration of one coordinate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisState {
    /// Position.
    pub position: f64,
    /// Velocity.
    pub velocity: f64,
    /// Acceleration.
    pub acceleration: f64,
}

impl AxisState {
    /// At rest at a position.
    #[must_use]
    pub const fn resting_at(position: f64) -> Self {
        Self {
            position,
            velocity: 0.0,
            acceleration: 0.0,
        }
    }

    fn mirrored(self, sign: f64) -> Self {
        Self {
            position: sign * self.position,
            velocity: sign * self.velocity,
            acceleration: sign * self.acceleration,
        }
    }

    /// The state after `time_s` of constant jerk.
    #[must_use]
    pub fn after(self, time_s: f64, jerk: f64) -> Self {
        let Self {
            position: p,
            velocity: v,
            acceleration: a,
        } = self;
        Self {
            position: p + time_s * (v + time_s * (a / 2.0 + time_s * jerk / 6.0)),
            velocity: v + time_s * (a + time_s * jerk / 2.0),
            acceleration: a + time_s * jerk,
        }
    }
}

/// Largest magnitudes of one coordinate; all above zero and finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisLimits {
    /// Velocity.
    pub velocity: f64,
    /// Acceleration.
    pub acceleration: f64,
    /// Jerk.
    pub jerk: f64,
}

impl AxisLimits {
    /// True if all three are finite and above zero.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        [self.velocity, self.acceleration, self.jerk]
            .iter()
            .all(|limit| limit.is_finite() && *limit > 0.0)
    }

    /// Velocity times `speed`, acceleration and jerk times `acceleration`.
    #[must_use]
    pub fn scaled(self, speed: f64, acceleration: f64) -> Self {
        Self {
            velocity: self.velocity * speed,
            acceleration: self.acceleration * acceleration,
            jerk: self.jerk * acceleration,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Piece {
    time_s: f64,
    jerk: f64,
}

/// Pieces of a [`Profile`]: three that may ease its start, and seven.
const PIECES: usize = 10;

/// A jerk-limited motion of one coordinate that ends at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    start: AxisState,
    pieces: [Piece; PIECES],
    end_position: f64,
    duration_s: f64,
}

impl Profile {
    /// Resting at a position for ever.
    #[must_use]
    pub fn resting_at(position: f64) -> Self {
        Self {
            start: AxisState::resting_at(position),
            pieces: [Piece::default(); PIECES],
            end_position: position,
            duration_s: 0.0,
        }
    }

    /// The quickest stop. Ends wherever the stop ends.
    #[must_use]
    pub fn stop(start: AxisState, limits: &AxisLimits) -> Self {
        let mut pieces = [Piece::default(); PIECES];
        pieces[3..6].copy_from_slice(&change_velocity(start, 0.0, limits));
        let end = run(start, &pieces);
        Self {
            start,
            pieces,
            end_position: end.position,
            duration_s: pieces.iter().map(|piece| piece.time_s).sum(),
        }
    }

    /// The quickest way to rest at `target`.
    ///
    /// A start beyond the limits is brought within them first.
    #[must_use]
    pub fn to_rest_at(target: f64, start: AxisState, limits: &AxisLimits) -> Self {
        let stop = Self::stop(start, limits);
        if (stop.end_position - target).abs() <= SAME_PLACE {
            return Self {
                end_position: target,
                ..stop
            };
        }
        Plan::new(target, start, limits).quickest()
    }

    /// A way to rest at `target` that takes `duration_s`; the quickest one if that takes longer, or if the
    /// motion at the start rules this duration out (then it arrives early).
    #[must_use]
    pub fn to_rest_in(duration_s: f64, target: f64, start: AxisState, limits: &AxisLimits) -> Self {
        let plan = Plan::new(target, start, limits);
        let quickest = plan.quickest();
        if quickest.duration_s >= duration_s {
            return quickest;
        }
        plan.stretched(duration_s).unwrap_or(quickest)
    }

    /// Time until rest, s.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.duration_s
    }

    /// Where it comes to rest.
    #[must_use]
    pub fn end_position(&self) -> f64 {
        self.end_position
    }

    /// The state at `time_s` after the start; resting exactly at the end position from the duration on.
    #[must_use]
    pub fn at(&self, time_s: f64) -> AxisState {
        if time_s >= self.duration_s {
            return AxisState::resting_at(self.end_position);
        }
        let mut state = self.start;
        let mut left_s = time_s;
        for piece in &self.pieces {
            if left_s <= piece.time_s {
                return state.after(left_s, piece.jerk);
            }
            state = state.after(piece.time_s, piece.jerk);
            left_s -= piece.time_s;
        }
        state
    }
}

/// What a coordinate can, and where it may be, whatever share of it a motion gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AxisBounds {
    /// Largest magnitudes.
    pub(crate) limits: AxisLimits,
    /// Lowest position.
    pub(crate) lower: f64,
    /// Highest position.
    pub(crate) upper: f64,
}

/// A start with motion, for a profile whose limits are a share of what the coordinate can.
///
/// The share may be too little for the motion at the start: before a small jerk has taken an acceleration away, or
/// a small acceleration a velocity, the coordinate is beyond its bounds. Then what it can does so, before the
/// profile begins. What could have come to rest within the velocity in any way can do so with that: with the
/// whole jerk an acceleration adds least to the velocity before it is gone.
#[derive(Debug)]
pub(crate) struct Eased {
    start: AxisState,
    easing: [Piece; 3],
    then: AxisState,
    limits: AxisLimits,
}

impl Eased {
    /// As it is: the motion at the start is within `limits`.
    pub(crate) fn unchanged(start: AxisState, limits: AxisLimits) -> Self {
        Self::by([Piece::default(); 3], start, limits)
    }

    /// Eased as little as keeps it within `bounds`.
    pub(crate) fn within(bounds: &AxisBounds, start: AxisState, limits: AxisLimits) -> Self {
        let whole = &bounds.limits;
        let mut easing = [Piece::default(); 3];
        if velocity_left(start, limits.jerk).abs() > whole.velocity {
            easing[0] = Piece {
                time_s: start.acceleration.abs() / whole.jerk,
                jerk: -whole.jerk.copysign(start.acceleration),
            };
        }
        let eased = Self::by(easing, start, limits);
        let end = Profile::stop(eased.then, &limits).end_position();
        let turn = turning_position(eased.then, limits.jerk);
        if end.min(turn) < bounds.lower || end.max(turn) > bounds.upper {
            return Self::by(change_velocity(start, 0.0, whole), start, limits);
        }
        eased
    }

    fn by(easing: [Piece; 3], start: AxisState, limits: AxisLimits) -> Self {
        Self {
            start,
            easing,
            then: run(start, &easing),
            limits,
        }
    }

    /// [`Profile::to_rest_at`].
    pub(crate) fn to_rest_at(&self, target: f64) -> Profile {
        self.begin(Profile::to_rest_at(target, self.then, &self.limits))
    }

    /// [`Profile::to_rest_in`].
    pub(crate) fn to_rest_in(&self, duration_s: f64, target: f64) -> Profile {
        let left_s = duration_s - self.duration_s();
        self.begin(Profile::to_rest_in(left_s, target, self.then, &self.limits))
    }

    fn duration_s(&self) -> f64 {
        self.easing.iter().map(|piece| piece.time_s).sum()
    }

    fn begin(&self, profile: Profile) -> Profile {
        let mut pieces = profile.pieces;
        pieces[..3].copy_from_slice(&self.easing);
        Profile {
            start: self.start,
            pieces,
            duration_s: self.duration_s() + profile.duration_s,
            ..profile
        }
    }
}

/// The pieces that bring `start` to `velocity` with no acceleration left, in the shortest time.
fn change_velocity(start: AxisState, velocity: f64, limits: &AxisLimits) -> [Piece; 3] {
    let AxisLimits {
        acceleration: a_max,
        jerk: j_max,
        ..
    } = *limits;
    let free = velocity_left(start, j_max);
    let sign = if velocity >= free { 1.0 } else { -1.0 };
    let change = sign * (velocity - start.velocity);
    let a = sign * start.acceleration;
    // Without a piece of constant acceleration the peak follows from the two ramps' areas.
    let peak = (j_max * change + a * a / 2.0).max(0.0).sqrt();
    let (up, hold, down) = if peak <= a_max {
        (
            Piece {
                time_s: ((peak - a) / j_max).max(0.0),
                jerk: j_max,
            },
            0.0,
            peak / j_max,
        )
    } else {
        let ramp = if a <= a_max { 1.0 } else { -1.0 };
        let ramp_change = ramp * (a_max * a_max - a * a) / (2.0 * j_max);
        let hold = (change - ramp_change - a_max * a_max / (2.0 * j_max)) / a_max;
        (
            Piece {
                time_s: (a_max - a).abs() / j_max,
                jerk: ramp * j_max,
            },
            hold.max(0.0),
            a_max / j_max,
        )
    };
    [
        Piece {
            time_s: up.time_s,
            jerk: sign * up.jerk,
        },
        Piece {
            time_s: hold,
            jerk: 0.0,
        },
        Piece {
            time_s: down,
            jerk: -sign * j_max,
        },
    ]
}

/// The velocity that is left when the acceleration is taken away as quickly as the jerk allows.
fn velocity_left(state: AxisState, j_max: f64) -> f64 {
    state.velocity + state.acceleration * state.acceleration.abs() / (2.0 * j_max)
}

/// Where the velocity changes its sign while the acceleration is taken away; the position itself if it doesn't.
fn turning_position(state: AxisState, j_max: f64) -> f64 {
    let (v, a) = (state.velocity.abs(), state.acceleration.abs());
    let turns = velocity_left(state, j_max) * state.velocity < 0.0;
    if !turns {
        return state.position;
    }
    let time_s = 2.0 * v / (a + (a * a - 2.0 * j_max * v).max(0.0).sqrt());
    state
        .after(time_s, -j_max.copysign(state.acceleration))
        .position
}

fn run(start: AxisState, pieces: &[Piece]) -> AxisState {
    pieces
        .iter()
        .fold(start, |state, piece| state.after(piece.time_s, piece.jerk))
}

/// The search for a peak velocity, mirrored so that the target lies beyond the quickest stop and the peak
/// is not negative.
struct Plan<'a> {
    limits: &'a AxisLimits,
    sign: f64,
    /// Mirrored, at position zero.
    start: AxisState,
    origin: f64,
    target: f64,
    /// Mirrored, from the start.
    distance: f64,
}

/// What a peak velocity leads to.
struct Trial {
    up: [Piece; 3],
    down: [Piece; 3],
    distance: f64,
    duration_s: f64,
}

impl<'a> Plan<'a> {
    fn new(target: f64, start: AxisState, limits: &'a AxisLimits) -> Self {
        let distance = target - start.position;
        let at_zero = AxisState {
            position: 0.0,
            ..start
        };
        let stop = run(at_zero, &change_velocity(at_zero, 0.0, limits)).position;
        let sign = if distance >= stop { 1.0 } else { -1.0 };
        Self {
            limits,
            sign,
            start: at_zero.mirrored(sign),
            origin: start.position,
            target,
            distance: sign * distance,
        }
    }

    fn trial(&self, peak: f64) -> Trial {
        let up = change_velocity(self.start, peak, self.limits);
        let cruising = AxisState {
            velocity: peak,
            ..AxisState::default()
        };
        let down = change_velocity(cruising, 0.0, self.limits);
        Trial {
            distance: run(self.start, &up).position + run(cruising, &down).position,
            duration_s: up.iter().chain(&down).map(|piece| piece.time_s).sum(),
            up,
            down,
        }
    }

    fn quickest(&self) -> Profile {
        let peak_max = self.limits.velocity;
        let fastest = self.trial(peak_max);
        if fastest.distance <= self.distance {
            let cruise_s = (self.distance - fastest.distance) / peak_max;
            return self.profile(&fastest, cruise_s);
        }
        // At a peak of zero the motion is the quickest stop, which is not beyond the target.
        let excess = |trial: &Trial| trial.distance - self.distance;
        let mut low = (0.0, self.trial(0.0));
        let mut high = (peak_max, excess(&fastest));
        let free = velocity_left(self.start, self.limits.jerk);
        if free > 0.0 && free < peak_max {
            let trial = self.trial(free);
            let over = excess(&trial);
            if over <= 0.0 {
                low = (free, trial);
            } else {
                high = (free, over);
            }
        }
        // The Illinois rule: an end that stays a second time counts half, so that both ends come near.
        let mut weights = [1.0; 2];
        let mut was_low = None;
        for step in 0..FALSE_POSITION_STEPS + BISECTION_STEPS {
            let short = -excess(&low.1);
            if short <= SHORT_OF {
                break;
            }
            let (short, over) = (weights[0] * short, weights[1] * high.1);
            let crossing = low.0 + (high.0 - low.0) * (short / (short + over));
            let is_inside = low.0 < crossing && crossing < high.0;
            let peak = if is_inside && step < FALSE_POSITION_STEPS {
                crossing
            } else {
                0.5 * (low.0 + high.0)
            };
            if peak <= low.0 || peak >= high.0 {
                break;
            }
            let trial = self.trial(peak);
            let over = excess(&trial);
            let is_low = over <= 0.0;
            let stays = usize::from(is_low);
            weights[1 - stays] = 1.0;
            if was_low == Some(is_low) {
                weights[stays] *= 0.5;
            }
            was_low = Some(is_low);
            if is_low {
                low = (peak, trial);
            } else {
                high = (peak, over);
            }
        }
        self.profile(&low.1, 0.0)
    }

    fn stretched(&self, duration_s: f64) -> Option<Profile> {
        let cruise = |trial: &Trial, peak: f64| {
            let left = self.distance - trial.distance;
            (peak > 0.0 && left >= 0.0).then(|| left / peak)
        };
        let (mut low, mut high) = (0.0, self.limits.velocity);
        let mut best = None;
        for _ in 0..STRETCH_STEPS {
            let middle = 0.5 * (low + high);
            let trial = self.trial(middle);
            match cruise(&trial, middle) {
                Some(cruise_s) if trial.duration_s + cruise_s > duration_s => low = middle,
                Some(cruise_s) => {
                    best = Some((trial, cruise_s));
                    high = middle;
                }
                // Too fast to fit the distance at all.
                None => high = middle,
            }
        }
        let (trial, cruise_s) = best?;
        let off_s = duration_s - (trial.duration_s + cruise_s);
        (off_s <= STRETCH_TOLERANCE_S).then(|| self.profile(&trial, cruise_s))
    }

    fn profile(&self, trial: &Trial, cruise_s: f64) -> Profile {
        let mut pieces = [Piece::default(); PIECES];
        pieces[3..6].copy_from_slice(&trial.up);
        pieces[6].time_s = cruise_s;
        pieces[7..].copy_from_slice(&trial.down);
        for piece in &mut pieces {
            piece.jerk *= self.sign;
        }
        Profile {
            start: AxisState {
                position: self.origin,
                ..self.start.mirrored(self.sign)
            },
            pieces,
            end_position: self.target,
            duration_s: trial.duration_s + cruise_s,
        }
    }
}
