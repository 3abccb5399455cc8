//! Watches that the tool does not leave the zones that a plugin was granted, whatever moves it.
//!
//! A goal whose target or straight way is forbidden is refused when it is given. The way of a joint move and of a
//! policy is only known while it goes on: once a brain step the tool is looked at, and what moves it is braked
//! before it gets where it may not be. That keeps a plugin to its place; what keeps the robot off people and things
//! are the safety gate's own zones, which know the whole arm and the verified stop.

use sinew_messages::LoopStatus;

use crate::grants::Zones;

/// Ticks that pass until a look comes to something: up to one brain step before the next look, and the way of the
/// goal to the loop.
const REACTION_S: f64 = 0.03;

/// The look at the tool, from goal to goal.
pub(crate) struct Fence {
    zones: Zones,
    /// What the tool can brake with, m/s².
    braking_m_s2: f64,
    /// Tick and place of the last look, m.
    last: Option<(u64, [f64; 3])>,
    /// It has been in a zone that it is to stay in since the goal was given.
    came_in: bool,
    /// It has been out of each of those that it is to keep out of, likewise.
    came_out: Vec<bool>,
}

impl Fence {
    pub(crate) fn new(zones: Zones, braking_m_s2: f64) -> Self {
        Self {
            came_out: vec![false; zones.outside.len()],
            zones,
            braking_m_s2,
            last: None,
            came_in: false,
        }
    }

    pub(crate) fn zones(&self) -> &Zones {
        &self.zones
    }

    /// A goal is given: whoever stands where it may not be may leave.
    pub(crate) fn begin(&mut self) {
        self.last = None;
        self.came_in = false;
        self.came_out.fill(false);
    }

    /// Why what moves the tool has to brake now, if it has to.
    pub(crate) fn look(&mut self, status: &LoopStatus) -> Option<String> {
        if self.zones.narrow_nothing() {
            return None;
        }
        let here = status.tool_pose.position_m;
        let ahead = self.ahead(status.tick, &here);
        for (zone, came_out) in self.zones.outside.iter().zip(&mut self.came_out) {
            *came_out |= !zone.contains(&here);
            if *came_out && zone.share_of(&here, &ahead).is_some() {
                return Some(format!(
                    "the tool was about to enter `{}`, which it is to keep out of",
                    zone.name
                ));
            }
        }
        if self.zones.inside.is_empty() {
            return None;
        }
        self.came_in |= self.zones.inside.iter().any(|zone| zone.contains(&here));
        (self.came_in && !self.zones.covers(&here, &ahead))
            .then(|| "the tool was about to leave the zones that it is to stay in".to_owned())
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
            let braking = speed * speed / (2.0 * 2.0);
            let mut fence = fence();
            let (at, why) = walk(&mut fence, 0.1, speed, 1000).expect("it is refused");
            assert!(why.contains("enter `wall`"), "{why}");
            let left = 0.5 - at - braking;
            assert!((0.0..0.06 * speed).contains(&left), "{speed}: {left}");
            fence.begin();
            let (at, why) = walk(&mut fence, 0.7, speed, 1000).expect("it is refused");
            assert!(why.contains("leave the zones"), "{why}");
            let left = 1.0 - at - braking;
            assert!((0.0..0.06 * speed).contains(&left), "{speed}: {left}");
        }
    }

    #[test]
    fn whoever_stands_where_it_may_not_be_may_go_back_and_not_farther_on() {
        let mut fence = fence();
        assert_eq!(walk(&mut fence, 0.55, 0.1, 20), None);
        fence.begin();
        assert_eq!(walk(&mut fence, 1.2, -0.1, 30), None);
        // Through the wall and on to the border.
        fence.begin();
        let (at, why) = walk(&mut fence, 0.55, 0.1, 1000).expect("it is refused");
        assert!(at > 0.9 && why.contains("leave"), "{at} {why}");
        // Nothing is asked of a plugin without zones.
        let mut free = Fence::new(Zones::default(), 2.0);
        assert_eq!(walk(&mut free, -9.0, 1.0, 1000), None);
    }

    #[test]
    fn a_tool_that_stands_and_a_time_that_stands_are_no_motion() {
        let mut fence = fence();
        assert_eq!(walk(&mut fence, 0.499, 0.0, 10), None);
        let mut status = LoopStatus::zeroed();
        status.tick = 200;
        status.tool_pose.position_m = [0.1, 0.0, 0.5];
        assert_eq!(fence.look(&status), None);
        assert_eq!(fence.look(&status), None);
    }
}
