//! Watches that the tool does not leave the zones that a plugin was granted, whatever moves it.
//!
//! A goal whose target or straight way is forbidden is refused when it is given. The way of a joint move and of a
//! policy is only known while it goes on: once a brain step the tool is looked at, and what moves it is braked
//! before it gets where it may not be. That keeps a plugin to its place; what keeps the robot off people and things
//! are the safety gate's own zones, which know the whole arm and the verified stop.

use sinew_messages::LoopStatus;

use crate::grants::Zones;

/// Time that passes until a look comes to something: up to one brain step before the next look, and the way of the goal to
/// the loop.
const REACTION_S: f64 = 0.03;
/// Share of the tool's own deceleration that is counted on: the joints can have less to give where they are.
const BRAKING_SHARE: f64 = 0.75;
/// How far beyond a border the tool may be, m: what braking may be off by. Whoever began farther out may come back, and get
/// no farther.
const BEYOND_M: f64 = 0.02;

/// The look at the tool.
pub(crate) struct Fence {
    zones: Zones,
    /// What the tool surely brakes with, m/s².
    braking_m_s2: f64,
    /// Tick and place of the last look, m.
    last: Option<(u64, [f64; 3])>,
    /// Least that it was outside of where it is to stay, m.
    least_outside: f64,
    /// Least that it was inside of each zone that it is to keep out of, m.
    least_depths: Vec<f64>,
}

impl Fence {
    pub(crate) fn new(zones: Zones, braking_m_s2: f64) -> Self {
        Self {
            least_outside: f64::INFINITY,
            least_depths: vec![f64::INFINITY; zones.outside.len()],
            zones,
            braking_m_s2: BRAKING_SHARE * braking_m_s2,
            last: None,
        }
    }

    pub(crate) fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Why what moves the tool has to brake now, if it has to. Looks at every step, whatever was given meanwhile: a goal that
    /// is given again and again is no way round it.
    pub(crate) fn look(&mut self, status: &LoopStatus) -> Option<String> {
        if self.zones.narrow_nothing() {
            return None;
        }
        let here = status.tool_pose.position_m;
        let ahead = self.ahead(status.tick, &here);
        let mut reason = None;
        for (zone, least) in self.zones.outside.iter().zip(&mut self.least_depths) {
            let is_in = zone.contains(&here);
            *least = least.min(zone.depth(&here));
            let enters = if is_in {
                zone.depth(&ahead) > least.max(BEYOND_M)
            } else {
                zone.share_of(&here, &ahead).is_some()
            };
            if enters {
                reason = Some(format!(
                    "the tool was about to enter `{}`, which it is to keep out of",
                    zone.name
                ));
            }
        }
        if !self.zones.inside.is_empty() {
            let outside = |point: &[f64; 3]| {
                let distances = self.zones.inside.iter().map(|zone| zone.distance(point));
                distances.fold(f64::INFINITY, f64::min)
            };
            let now = outside(&here);
            self.least_outside = self.least_outside.min(now);
            let leaves = if now > 0.0 {
                outside(&ahead) > self.least_outside.max(BEYOND_M)
            } else {
                !self.zones.covers(&here, &ahead)
            };
            if leaves {
                let words = "the tool was about to leave the zones that it is to stay in";
                reason = Some(words.to_owned());
            }
        }
        reason
    }

    /// Where the tool comes to if it is braked after the reaction time.
    fn ahead(&mut self, tick: u64, here: &[f64; 3]) -> [f64; 3] {
        let last = self.last.replace((tick, *here));
        let Some((before, there)) = last.filter(|(before, _)| *before < tick) else {
            return *here;
        };
        let seconds = sinew_units::Ticks(tick - before).as_seconds();
        let velocity: [f64; 3] = std::array::from_fn(|axis| (here[axis] - there[axis]) / seconds);
        let speed = velocity.iter().map(|v| v * v).sum::<f64>().sqrt();
        let time = REACTION_S + 0.5 * speed / self.braking_m_s2;
        std::array::from_fn(|axis| here[axis] + velocity[axis] * time)
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;
    use crate::grants::Zone;

    fn fence() -> Fence {
        let zone = |name: &str, min: f64, max: f64| Zone {
            name: name.to_owned(),
            min_m: [min, -1.0, 0.0],
            max_m: [max, 1.0, 1.0],
        };
        let zones = Zones {
            inside: vec![zone("room", 0.0, 1.0)],
            outside: vec![zone("wall", 0.5, 0.6)],
        };
        Fence::new(zones, 2.0)
    }

    /// Looks every 20 ticks at a tool that goes along x with this speed; where it was told to brake, and why.
    fn walk(fence: &mut Fence, from: f64, speed: f64, looks: u64) -> Option<(f64, String)> {
        let mut status = LoopStatus::zeroed();
        status.tick = fence.last.map_or(0, |(tick, _)| tick + 10_000);
        (0..looks).find_map(|look| {
            status.tick += 20;
            let x = from + speed * 0.02 * look as f64;
            status.tool_pose.position_m = [x, 0.0, 0.5];
            fence.look(&status).map(|why| (x, why))
        })
    }

    #[test]
    fn what_comes_near_a_border_is_told_early_enough_to_brake() {
        for speed in [0.05, 0.3, 1.0] {
            let braking = speed * speed / (2.0 * BRAKING_SHARE * 2.0);
            let (at, why) = walk(&mut fence(), 0.1, speed, 1000).expect("it is told");
            assert!(why.contains("enter `wall`"), "{why}");
            let left = 0.5 - at - braking;
            assert!((0.0..0.06 * speed).contains(&left), "{speed}: {left}");
            let (at, why) = walk(&mut fence(), 0.61, speed, 1000).expect("it is told");
            assert!(why.contains("leave the zones"), "{why}");
            let left = 1.0 - at - braking;
            assert!((0.0..0.06 * speed).contains(&left), "{speed}: {left}");
        }
    }

    #[test]
    fn whoever_stands_where_it_may_not_be_may_go_back_and_not_farther_on() {
        // Out of the wall by the nearer side, and not to its middle.
        assert_eq!(walk(&mut fence(), 0.51, -0.1, 3), None);
        let (at, why) = walk(&mut fence(), 0.505, 0.1, 100).expect("it is told");
        assert!(at < 0.52 && why.contains("wall"), "{at} {why}");
        // Back into the room from outside, and no farther away than it ever was.
        assert_eq!(walk(&mut fence(), 1.2, -0.1, 100), None);
        let (at, why) = walk(&mut fence(), 1.2, 0.1, 100).expect("it is told");
        assert!(at < 1.21 && why.contains("leave"), "{at} {why}");
        let mut back_and_on = fence();
        assert_eq!(walk(&mut back_and_on, 1.2, -0.1, 75), None);
        let (at, _) = walk(&mut back_and_on, 1.05, 0.1, 100).expect("it is told");
        assert!(at < 1.07, "{at}");
        // Nothing is asked of a plugin without zones.
        let mut free = Fence::new(Zones::default(), 2.0);
        assert_eq!(walk(&mut free, -9.0, 1.0, 1000), None);
    }

    /// However slowly it goes, and however often it begins anew.
    #[test]
    fn nobody_creeps_out() {
        for speed in [1e-5, 1e-3] {
            let mut fence = fence();
            let looks = (1.0 / (speed * 0.02)) as u64;
            let (at, _) = walk(&mut fence, 0.999, speed, looks).expect("it is told");
            assert!(at <= 1.0, "{at}");
            let (at, _) = walk(&mut fence, 1.001, speed, looks).expect("it is told");
            assert!(at < 1.0 + BEYOND_M + 1e-3, "{at}");
        }
    }

    #[test]
    fn a_tool_that_stands_and_a_time_that_stands_are_no_motion() {
        let mut fence = fence();
        assert_eq!(walk(&mut fence, 0.499, 0.0, 10), None);
        let mut status = LoopStatus::zeroed();
        status.tick = 200;
        status.tool_pose.position_m = [0.499, 0.0, 0.5];
        assert_eq!(fence.look(&status), None);
        assert_eq!(fence.look(&status), None);
    }
}
