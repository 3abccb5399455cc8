//! What the loop says for the audit log: complete whoever listens, and no reset that could make it incomplete.

use sinew_control::ActivationDesk;
use sinew_hardware::plant::{chain, safety_config};
use sinew_messages::{
    ActivationRefusal, LimitKind, LoopStatus, ResetAnswer, SafetyEvent, SafetyEventKind,
    SafetyMode, StopCategory, StopState,
};
use sinew_safety::{Approval, ApprovedLimits, SafetyLimits};

use crate::common::{Rig, joint_goal};

fn kind(event: &SafetyEvent) -> SafetyEventKind {
    SafetyEventKind::decode(event.kind).expect("the loop sends valid kinds")
}

/// Looks at the status of every tick, and knows what has to be in the log.
struct Witness {
    stops: u64,
    category: u32,
    answered: u64,
    mode: u32,
    expected: Vec<(SafetyEventKind, u64)>,
}

impl Witness {
    fn look(&mut self, status: &LoopStatus) {
        if status.mode != self.mode {
            self.expected
                .push((SafetyEventKind::ModeChanged, u64::from(status.mode)));
        }
        let by_gate = status.reset_answer != ResetAnswer::AuditBehind as u32;
        if status.reset_answered != self.answered && by_gate {
            let granted = status.reset_answer == ResetAnswer::Granted as u32;
            self.expected.push(if granted {
                (SafetyEventKind::ResetGranted, status.reset_answered)
            } else {
                (SafetyEventKind::ResetRefused, status.reset_answered)
            });
        }
        if status.stops_total != self.stops {
            self.expected
                .push((SafetyEventKind::Stopped, u64::from(status.reason)));
        } else if status.stop_category != 0 && status.stop_category != self.category {
            self.expected
                .push((SafetyEventKind::StopWorsened, u64::from(status.reason)));
        }
        self.stops = status.stops_total;
        self.category = status.stop_category;
        self.answered = status.reset_answered;
        self.mode = status.mode;
    }
}

/// What the witness looks at of an event.
fn told(event: &SafetyEvent) -> (SafetyEventKind, u64) {
    let kind = kind(event);
    let what = match kind {
        SafetyEventKind::Stopped | SafetyEventKind::StopWorsened => u64::from(event.limit),
        SafetyEventKind::ModeChanged => event.answer,
        _ => event.number,
    };
    (kind, what)
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(n)
    }
}

/// Asks for everything at random; drains and acknowledges with these odds a tick, or never. Returns the story of the
/// statuses, and what was told.
fn storm(seed: u64, drains: u64, ticks: u64) -> (Vec<(SafetyEventKind, u64)>, Vec<SafetyEvent>) {
    let mut rig = Rig::booted(safety_config());
    let mut dice = Dice(seed);
    let mut witness = Witness {
        stops: 0,
        category: 0,
        answered: 0,
        mode: 0,
        expected: Vec::new(),
    };
    witness.look(&rig.last.status);
    let mut events = Vec::new();
    for tick in 0..ticks {
        if dice.one_in(20) {
            rig.mailbox.requests.reset();
        }
        for (odds, category) in [
            (40, StopCategory::ControlledHold),
            (60, StopCategory::ControlledThenOff),
            (80, StopCategory::PowerOff),
        ] {
            if dice.one_in(odds) {
                rig.mailbox.requests.stop(category);
            }
        }
        for mode in SafetyMode::ALL {
            if dice.one_in(15) {
                rig.mailbox.requests.mode(mode);
            }
        }
        if dice.one_in(50) {
            rig.send(joint_goal([
                if tick % 2 == 0 { 0.4 } else { -0.4 },
                0.3,
                0.0,
                1.8,
                0.0,
                1.0,
                0.0,
            ]));
        }
        rig.run(1);
        witness.look(&rig.last.status);
        if drains > 0 && dice.one_in(drains) {
            events.extend(rig.take_events());
        }
    }
    events.extend(rig.take_events());
    (witness.expected, events)
}

#[test]
fn nothing_is_lost_however_late_somebody_listens() {
    for (seed, drains) in [(1, 1), (2, 10), (3, 100), (4, 1_000), (5, 0), (6, 0)] {
        let (expected, events) = storm(seed, drains, 20_000);
        let told: Vec<_> = events
            .iter()
            .filter(|event| event.answer != ResetAnswer::AuditBehind as u64)
            .map(told)
            .collect();
        assert_eq!(told, expected, "seed {seed}, a drain in {drains} ticks");
        let grants = expected
            .iter()
            .filter(|(kind, _)| *kind == SafetyEventKind::ResetGranted)
            .count();
        match drains {
            0 => assert_eq!(grants, 0, "a robot whose log nobody writes is not reset"),
            1..=10 => assert!(grants > 10, "{grants} resets"),
            // Whoever listens so seldom hardly ever has everything that happened.
            _ => {}
        }
    }
}

#[test]
fn a_log_that_nobody_writes_keeps_the_robot_stopped() {
    let mut rig = Rig::booted(safety_config());
    for _ in 0..200 {
        let request = rig.mailbox.requests.reset();
        rig.run(1);
        let status = &rig.last.status;
        assert_eq!(status.stop_state, StopState::Latched as u32);
        assert_eq!(status.reset_answered, request, "every request is answered");
        assert_eq!(status.reset_answer, ResetAnswer::AuditBehind as u32);
    }
    // Taken is not written.
    let mut events: Vec<_> = core::iter::from_fn(|| rig.trail.pop()).collect();
    rig.mailbox.requests.reset();
    rig.run(1);
    assert_eq!(
        rig.last.status.reset_answer,
        ResetAnswer::AuditBehind as u32
    );
    events.extend(core::iter::from_fn(|| rig.trail.pop()));
    assert_eq!(kind(&events[0]), SafetyEventKind::Stopped);
    assert_eq!(events[0].limit, LimitKind::Boot as u32);
    let newest = events.last().expect("refusals are events too");
    assert_eq!(
        (kind(newest), newest.number),
        (SafetyEventKind::ResetRefused, 201)
    );
    rig.trail.acknowledge(events.len() as u64);
    rig.mailbox.requests.reset();
    rig.run(1);
    assert_eq!(rig.last.status.reset_answer, ResetAnswer::Granted as u32);
    let granted = rig.take_events();
    assert_eq!(granted.len(), 1);
    assert_eq!(
        (kind(&granted[0]), granted[0].number),
        (SafetyEventKind::ResetGranted, 202)
    );
}

#[test]
fn without_room_every_other_mode_is_hold() {
    let mut rig = Rig::ready();
    rig.take_events();
    for n in 0..400_u64 {
        rig.mailbox
            .requests
            .mode(SafetyMode::ALL[1 + (n % 2) as usize]);
        rig.run(1);
    }
    assert_eq!(rig.last.status.mode, SafetyMode::Hold as u32);
    rig.mailbox.requests.mode(SafetyMode::Normal);
    rig.run(1);
    assert_eq!(
        rig.last.status.mode,
        SafetyMode::Hold as u32,
        "still no room"
    );
    rig.take_events();
    rig.run(1);
    assert_eq!(rig.last.status.mode, SafetyMode::Normal as u32);
}

#[test]
fn a_stop_is_told_with_what_it_was_about() {
    let mut rig = Rig::ready();
    rig.take_events();
    rig.mailbox.requests.stop(StopCategory::ControlledHold);
    rig.run(2);
    rig.bench.set(|around| around.blind = true);
    rig.run(2);
    let events = rig.take_events();
    let told: Vec<_> = events
        .iter()
        .map(|event| (kind(event), event.category, event.limit))
        .collect();
    assert_eq!(
        told,
        [
            (
                SafetyEventKind::Stopped,
                StopCategory::ControlledHold as u32,
                LimitKind::Requested as u32
            ),
            (
                SafetyEventKind::StopWorsened,
                StopCategory::ControlledThenOff as u32,
                LimitKind::Drive as u32
            ),
        ]
    );
}

fn faster() -> Box<ApprovedLimits> {
    let mut config = safety_config();
    config.tool_speed_max_m_s = 1.6;
    let limits = SafetyLimits::new(config).expect("valid test limits");
    let approval = Approval::naming(limits.hash());
    let chain = chain().expect("the plant's chain is valid");
    Box::new(ApprovedLimits::new(limits, approval, &chain).expect("the approval names them"))
}

fn ask(desk: &mut ActivationDesk) -> u64 {
    let limits = faster();
    let hash = limits.hash().short();
    assert!(desk.ask(limits).is_ok(), "none is under way");
    assert!(desk.ask(faster()).is_err(), "one is under way");
    hash
}

#[test]
fn an_activation_is_answered_and_told() {
    let mut rig = Rig::ready();
    rig.take_events();
    let before = rig.last.status.safety_hash;
    let hash = ask(&mut rig.activations);
    rig.run(1);
    let refused = Err(ActivationRefusal::NotStopped);
    assert_eq!(rig.activations.answer(), Some(refused));
    assert_eq!(rig.last.status.safety_hash, before);
    rig.mailbox.requests.stop(StopCategory::ControlledHold);
    rig.run(1);
    ask(&mut rig.activations);
    rig.run(1);
    assert_eq!(rig.activations.answer(), Some(Ok(())));
    assert_eq!(rig.last.status.safety_hash, hash);
    let events = rig.take_events();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.before != 0)
        .map(|event| (kind(event), event.number, event.before))
        .collect();
    assert_eq!(
        told,
        [
            (SafetyEventKind::ActivationRefused, hash, before),
            (SafetyEventKind::Activated, hash, before),
        ]
    );
    rig.mailbox.requests.reset();
    rig.run(1);
    assert_eq!(rig.last.status.reset_answer, ResetAnswer::Granted as u32);
}

#[test]
fn an_activation_that_could_not_be_told_is_refused() {
    let mut rig = Rig::booted(safety_config());
    for _ in 0..200 {
        rig.mailbox.requests.reset();
        rig.run(1);
    }
    ask(&mut rig.activations);
    rig.run(1);
    let refused = Err(ActivationRefusal::AuditBehind);
    assert_eq!(rig.activations.answer(), Some(refused));
}
