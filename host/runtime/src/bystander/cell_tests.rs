//! Persons and wired stops in the simulated cell, through loop and gate, judged by the simulator's truth.

use std::sync::Arc;

use sinew_control::{ControlLoop, TickSummary};
use sinew_messages::{
    ArmGoal, ArmGoalKind, JOINTS, JointVector, LimitKind, LoopStatus, Mailbox, MotionState, Pose,
    StopCategory, StopState,
};
use sinew_safety::Gate;
use sinew_sim::{Cell, Profile, Scenario, Scenarios};

use super::Encounters;
use crate::sources::{Config, Sources};

/// Over the tray, and over the bin.
const TURNS: [JointVector; 2] = [
    [0.55, 0.55, 0.0, 1.45, 0.0, 1.15, 0.0],
    [-0.55, 0.55, 0.0, 1.45, 0.0, 1.15, 0.0],
];

/// A robot that turns back and forth in front of its base for as long as it may.
struct Rig {
    config: Config,
    cell: Cell,
    control: ControlLoop,
    mailbox: Arc<Mailbox>,
    encounters: Encounters,
    last: TickSummary,
    turns: u64,
}

impl Rig {
    fn ready(seed: u64, scenario: &Scenario) -> Self {
        let config = Sources::default().load().expect("what is built in fits");
        let cell = Cell::new(&config.robot, &config.cell);
        cell.reset_with(seed, 0, &Profile::calm(), scenario);
        let mailbox = Arc::new(Mailbox::default());
        let chain = config.robot.chain();
        let mut control = ControlLoop::new(
            Box::new(cell.robot()),
            Gate::new(config.safety.clone(), chain.clone()),
            chain,
            config.motion.clone(),
            Arc::clone(&mailbox),
            sinew_flight_ring::ring(1).0,
        );
        control.tick();
        mailbox.requests.reset();
        let last = control.tick();
        let mut rig = Self {
            config,
            cell,
            control,
            mailbox,
            encounters: Encounters::default(),
            last,
            turns: 0,
        };
        rig.run(20);
        assert_eq!(rig.status().stop_state, StopState::Clear as u32);
        rig
    }

    fn status(&self) -> &LoopStatus {
        &self.last.status
    }

    fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.last = self.control.tick();
            self.encounters.look(&self.last.record);
        }
    }

    /// Turns back and forth for so many ticks. Every move ends at its goal or is still under way.
    fn work(&mut self, ticks: u64) {
        for _ in 0..ticks {
            let state = MotionState::decode(self.status().arm_state);
            if matches!(state, Some(MotionState::Idle | MotionState::Done)) {
                self.turns += 1;
                self.mailbox.arm.write(&ArmGoal {
                    id: self.turns,
                    lease_end_tick: u64::MAX,
                    kind: ArmGoalKind::Joint as u32,
                    reserved: 0,
                    joints_rad: TURNS[(self.turns % 2) as usize],
                    pose: Pose::IDENTITY,
                    speed_scale: 1.0,
                    acceleration_scale: 1.0,
                    contact_force_n: 0.0,
                });
            }
            self.run(1);
        }
    }
}

fn builtin(name: &str) -> Scenario {
    Scenarios::builtin().get(name).expect("it ships").clone()
}

/// Somebody walks right into the work, as fast as ISO 13855 counts on.
fn intruder() -> Scenario {
    let text = "[in.person]\nstart_s = [2.0, 3.0]\nspeed_m_s = [1.6, 1.6]\npath = [
        { at = [3.2, 1.0], spread_m = 0.5 }, { at = [0.5, 0.1], spread_m = 0.2, pause_s = [2.0, 3.0] }, { at = [3.2, -1.0] }]";
    let scenarios = Scenarios::from_toml(text, "intruder").expect("it is right");
    scenarios.get("in").expect("it is there").clone()
}

/// The bound: whatever a person does at walking speed, no part of the arm that moves is nearer to them than what a hand may
/// reach beyond the sensed place (C of ISO 13855); and the work goes on when they have left, without a reset.
#[test]
fn no_moving_part_comes_near_a_person_and_the_work_goes_on() {
    let mut stood = 0;
    for (name, scenario) in [
        ("person", builtin("person")),
        ("person-passes", builtin("person-passes")),
        ("intruder", intruder()),
    ] {
        for seed in 0..4 {
            let mut rig = Rig::ready(seed, &scenario);
            rig.work(24_000);
            let truth = rig.cell.person_truth();
            let report = rig.encounters.report(&truth);
            let separation = rig.config.safety.config().separation.expect("it is on");
            let bound = separation.intrusion_m;
            let who = format!("{name}, seed {seed}: {report:?}");
            assert!(truth.in_cell_s > 2.0, "they come: {who}");
            assert!(truth.smallest_moving_distance_m >= bound, "{who}");
            assert!(rig.cell.person().is_none(), "they leave: {who}");
            assert_eq!(rig.status().stop_state, StopState::Clear as u32, "{who}");
            assert_eq!(rig.status().stops_total, 1, "the boot's alone: {who}");
            if name == "intruder" {
                assert!(truth.smallest_distance_m < bound, "they do: {who}");
                assert!(report.stopped >= 1 && report.limited_s > 1.0, "{who}");
            }
            stood += report.stopped;
            let turns = rig.turns;
            rig.work(4_000);
            assert!(rig.turns >= turns + 2, "it works on: {who}");
        }
    }
    assert!(stood >= 6, "{stood}");
}

#[test]
fn a_cell_with_a_person_is_the_same_bit_for_bit() {
    let run = || {
        let mut rig = Rig::ready(3, &intruder());
        rig.work(8_000);
        (rig.cell.state_hash(), rig.cell.person_truth())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_silent_scanner_latches_a_stop_that_holds() {
    let mut rig = Rig::ready(1, &builtin("scanner-silent"));
    rig.work(7_900);
    assert_eq!(rig.status().stop_state, StopState::Clear as u32);
    rig.work(1_000);
    let status = rig.status();
    assert_eq!(status.stop_state, StopState::Latched as u32);
    assert_eq!(status.reason, LimitKind::Separation as u32);
    assert_eq!(status.stop_category, StopCategory::ControlledHold as u32);
    assert_eq!(status.setpoint.velocity_rad_s, [0.0; JOINTS]);
    // Still silent: no reset.
    rig.mailbox.requests.reset();
    rig.run(50);
    assert_eq!(rig.status().stop_state, StopState::Latched as u32);
}

/// Somebody, nobody knows where; and somebody who was there a while ago. Nothing latches.
#[test]
fn what_is_not_known_stops_and_goes_on() {
    let mut rig = Rig::ready(1, &builtin("scanner-unsure"));
    rig.work(8_600);
    let turns = rig.turns;
    rig.work(3_300);
    assert_eq!(rig.turns, turns, "it stands");
    assert_eq!(rig.status().setpoint.velocity_rad_s, [0.0; JOINTS]);
    rig.work(4_000);
    assert!(rig.turns >= turns + 2, "and goes on");
    assert_eq!(rig.status().stops_total, 1);

    let mut rig = Rig::ready(1, &builtin("scanner-old"));
    rig.work(10_500);
    let turns = rig.turns;
    rig.work(3_000);
    assert_eq!(rig.turns, turns, "what is old may be anywhere by now");
    rig.work(5_000);
    assert!(rig.turns >= turns + 2, "and goes on");
    assert_eq!(rig.status().stops_total, 1);
}

#[test]
fn wired_stops_latch_when_the_scenario_presses_them() {
    for (name, reason, category) in [
        (
            "emergency-stop",
            LimitKind::EmergencyStop,
            StopCategory::ControlledThenOff,
        ),
        (
            "emergency-channel",
            LimitKind::EmergencyStop,
            StopCategory::ControlledThenOff,
        ),
        (
            "protective-stop",
            LimitKind::ProtectiveStop,
            StopCategory::ControlledHold,
        ),
    ] {
        let mut rig = Rig::ready(1, &builtin(name));
        rig.work(9_900);
        assert_eq!(rig.status().stop_state, StopState::Clear as u32, "{name}");
        rig.work(500);
        let status = rig.status();
        assert_eq!(status.stop_state, StopState::Latched as u32, "{name}");
        assert_eq!(status.reason, reason as u32, "{name}");
        assert_eq!(status.stop_category, category as u32, "{name}");
        assert_eq!(status.setpoint.velocity_rad_s, [0.0; JOINTS], "{name}");
        // Closed again at 12 s, where it is: a reset is granted then and not before.
        rig.mailbox.requests.reset();
        rig.run(20);
        assert_eq!(rig.status().stop_state, StopState::Latched as u32, "{name}");
        rig.run(2_000);
        rig.mailbox.requests.reset();
        rig.run(20);
        let is_clear = rig.status().stop_state == StopState::Clear as u32;
        assert_eq!(is_clear, name == "protective-stop", "{name}");
    }
}
