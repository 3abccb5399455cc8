//! The watch by itself: what it answers, tick by tick, to a force, a motion and a place.

use sinew_kinematics::{Body, Isometry};
use sinew_messages::JOINTS;

use super::*;
use crate::plain;

/// Force that stops, N.
const STOP_N: f64 = 60.0;
const YIELD: YieldLimits = YieldLimits {
    admittance_m_s_n: 0.0002,
    speed_max_m_s: 0.05,
    distance_max_m: 0.03,
};

fn config(force_reaction: ForceReaction) -> SafetyConfig {
    SafetyConfig {
        force_stop_n: STOP_N,
        force_reaction,
        ..plain::config()
    }
}

/// A watch, and what it sees. The world pushes along x.
struct Touched {
    watch: ContactWatch,
    config: SafetyConfig,
    hand: HandPoints,
    /// Where the tool is along x, m.
    at_m: f64,
    recovers: bool,
}

/// What the arm does: at rest, or moving with this velocity along x, m/s.
const REST: Option<f64> = None;
const ASIDE: Option<f64> = Some(0.0);

impl Touched {
    fn new(force_reaction: ForceReaction) -> Self {
        Self {
            watch: ContactWatch::default(),
            config: config(force_reaction),
            hand: HandPoints::new(&chain(), None),
            at_m: 0.2,
            recovers: false,
        }
    }

    fn feels(&mut self, force_n: f64, moves: Option<f64>) -> Answer {
        let frame = SensorFrame {
            tool_force_n: [force_n, 0.0, 0.0],
            ..plain::FRAME
        };
        let forward = at(self.at_m);
        let motion = moving(&forward, moves.unwrap_or(0.0));
        let touch = Touch {
            frame: &frame,
            forward: &forward,
            motion: &motion,
            hand: &self.hand,
            at_rest: moves.is_none(),
            recovers: self.recovers,
        };
        self.watch.look(&touch, &self.config)
    }

    /// The same for as long as it takes to smooth a force.
    fn feels_for_long(&mut self, force_n: f64, moves: Option<f64>) {
        for _ in 0..500 {
            self.feels(force_n, moves);
        }
    }

    /// It is touched on the way, stops, and stands in the contact.
    fn stands_in(force_reaction: ForceReaction, force_n: f64) -> Self {
        let mut touched = Self::new(force_reaction);
        assert!(is_hold(touched.feels(force_n, ASIDE)));
        assert_eq!(touched.feels(force_n, REST), Answer::GoOn);
        touched
    }

    /// Whether a motion along x at this speed may begin, m/s.
    fn may_move(&self, speed_m_s: f64) -> bool {
        let motion = moving(&at(self.at_m), speed_m_s);
        self.watch.check(&motion, &self.hand).is_ok()
    }
}

/// The arm with its tool there along x, and its second joint a metre below, which moves it along x.
fn at(x_m: f64) -> Forward {
    let mut links = [Isometry::identity(); JOINTS];
    links[1] = Isometry::translation(x_m, 0.0, -1.0);
    let mut axes = [Vector3::z(); JOINTS];
    axes[1] = Vector3::y();
    Forward {
        links,
        axes,
        hand: Isometry::translation(x_m, 0.0, 0.0),
        tool: Isometry::translation(x_m, 0.0, 0.0),
    }
}

fn moving(forward: &Forward, x_m_s: f64) -> HandMotion {
    let mut v = [0.0; JOINTS];
    v[1] = x_m_s;
    HandMotion::new(forward, &v)
}

/// Of an arm whose hand is its tool's point.
fn chain() -> Chain {
    let joint = sinew_kinematics::Joint {
        origin: Isometry::translation(0.1, 0.0, 0.0),
        lower_rad: -1.0,
        upper_rad: 1.0,
    };
    let still = Isometry::identity();
    Chain::new([joint; JOINTS], still, still, &[], [0.0; JOINTS]).expect("a chain")
}

fn is_hold(answer: Answer) -> bool {
    matches!(answer, Answer::Hold(violation) if violation.limit == LimitKind::Force)
}

/// Speed along x with which it gives way.
fn yields(answer: Answer) -> f64 {
    match answer {
        Answer::Yield(_, velocity) => {
            assert_eq!((velocity.y, velocity.z), (0.0, 0.0));
            velocity.x
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hold_lasts_until_the_robot_stands() {
    let mut touched = Touched::new(ForceReaction::Hold);
    assert_eq!(touched.feels(STOP_N, ASIDE), Answer::GoOn);
    assert!(is_hold(touched.feels(61.0, ASIDE)));
    for _ in 0..10 {
        assert!(is_hold(touched.feels(0.0, ASIDE)));
    }
    assert_eq!(touched.feels(0.0, REST), Answer::GoOn);
    assert_eq!(touched.feels(0.0, ASIDE), Answer::GoOn);
}

#[test]
fn who_is_touched_at_rest_may_only_leave() {
    let mut touched = Touched::new(ForceReaction::Hold);
    for _ in 0..10 {
        assert_eq!(touched.feels(100.0, REST), Answer::GoOn);
        assert!(touched.may_move(0.1) && !touched.may_move(-2e-9));
    }
    // Somebody pushes harder before it moves: that is none of its doing.
    touched.feels_for_long(200.0, REST);
    assert_eq!(touched.feels(200.0, ASIDE), Answer::GoOn);
    assert!(is_hold(touched.feels(251.0, ASIDE)));
}

#[test]
fn a_contact_that_it_stands_in_may_be_left_and_not_pressed_until_it_is_gone() {
    let mut touched = Touched::stands_in(ForceReaction::Hold, 100.0);
    for force in [100.0, 61.0, 59.0, 48.0] {
        touched.feels_for_long(force, REST);
        for moves in [REST, ASIDE] {
            assert_eq!(touched.feels(force, moves), Answer::GoOn);
            assert!(touched.may_move(0.1) && touched.may_move(0.0), "{force}");
            assert!(!touched.may_move(-2e-9), "{force}");
        }
    }
    // Where hardly any force is left it points nowhere; and a moment without force is noise.
    touched.feels_for_long(60.0, REST);
    touched.feels(11.9, REST);
    assert!(touched.may_move(-0.1));
    touched.feels(12.1, REST);
    assert!(!touched.may_move(-0.1));
    touched.feels_for_long(60.0, REST);
    touched.feels(0.0, REST);
    touched.feels_for_long(49.0, REST);
    assert!(!touched.may_move(-0.1));
    touched.feels_for_long(47.9, REST);
    assert!(touched.may_move(-0.1));
    assert!(is_hold(touched.feels(61.0, ASIDE)), "another contact");
    // With as much as that it is not gone.
    touched.feels(48.0, REST);
    touched.feels(48.0, REST);
    assert!(!touched.may_move(-0.1));
}

#[test]
fn a_contact_that_grows_stops_again_and_latches_the_fourth_time() {
    let mut touched = Touched::stands_in(ForceReaction::Hold, 100.0);
    touched.feels(100.0, ASIDE);
    // What eases is the measure from then on, and what grows is not.
    touched.feels_for_long(80.0, ASIDE);
    touched.feels_for_long(90.0, ASIDE);
    assert_eq!(touched.feels(99.9, ASIDE), Answer::GoOn);
    for round in 0..2 {
        for _ in 0..3 {
            for _ in 0..5 {
                assert_eq!(touched.feels(55.0, ASIDE), Answer::GoOn);
            }
            for _ in 0..5 {
                assert!(is_hold(touched.feels(101.0, ASIDE)), "{round}");
            }
            assert_eq!(touched.feels(101.0, REST), Answer::GoOn);
        }
        // Once it is gone it counts anew.
        touched.feels_for_long(0.0, REST);
        assert!(is_hold(touched.feels(80.0, ASIDE)));
        assert_eq!(touched.feels(80.0, REST), Answer::GoOn);
    }
    for _ in 0..3 {
        assert!(is_hold(touched.feels(101.0, ASIDE)));
        touched.feels(101.0, REST);
    }
    assert!(matches!(touched.feels(101.0, ASIDE), Answer::Latch(_)));
}

#[test]
fn a_noisy_contact_is_the_same_one() {
    let mut touched = Touched::stands_in(ForceReaction::Hold, 60.5);
    for tick in 0..10_000_u32 {
        // It goes on and rests by turns.
        let moves = if tick % 100 < 50 { ASIDE } else { REST };
        let noise = 12.0 * f64::from(tick % 7).mul_add(1.0 / 3.0, -1.0);
        assert_eq!(touched.feels(60.5 + noise, moves), Answer::GoOn, "{tick}");
        assert!(!touched.may_move(-0.1));
    }
}

#[test]
fn a_force_that_lasts_may_be_noisy_or_ease_now_and_then() {
    let bears_60 = || {
        let mut touched = Touched::new(ForceReaction::Hold);
        touched.config.force_stop_n = 1e3;
        touched.config.contact = Some(ContactLimits {
            regions: vec![BodyRegion {
                name: String::new(),
                force_max_n: 60.0,
                transient_factor: 2.0,
                stiffness_n_m: 75_000.0,
                mass_kg: 1.0,
            }],
            transient_ticks: 100,
            power_max_w: 1e3,
            momentum_max_kg_m_s: 1.0,
        });
        touched
    };
    // Every third tick is below.
    let mut touched = bears_60();
    let ends = (0..400).find(|tick| {
        let force = if tick % 3 == 2 { 59.0 } else { 70.0 };
        is_hold(touched.feels(force, ASIDE))
    });
    assert!(
        ends.is_some_and(|tick| (290..310).contains(&tick)),
        "{ends:?}"
    );
    // Two of three are below: that is a moment again and again.
    let mut touched = bears_60();
    for tick in 0..1_000 {
        let force = if tick % 3 == 2 { 70.0 } else { 59.0 };
        assert_eq!(touched.feels(force, ASIDE), Answer::GoOn);
    }
    // More than may be for a moment is too much at once; and what was too long has to be gone for as long.
    assert!(is_hold(touched.feels(121.0, ASIDE)));
    let mut touched = bears_60();
    for _ in 0..100 {
        assert_eq!(touched.feels(70.0, ASIDE), Answer::GoOn);
    }
    assert!(is_hold(touched.feels(70.0, ASIDE)));
    touched.feels_for_long(70.0, REST);
    touched.watch.stood = None;
    for _ in 0..100 {
        touched.feels(0.0, REST);
    }
    assert_eq!(touched.feels(70.0, ASIDE), Answer::GoOn);
}

#[test]
fn power_stops_in_a_contact_that_does_not_grow() {
    let mut touched = Touched::stands_in(ForceReaction::Hold, 100.0);
    touched.config.force_stop_n = 1e3;
    touched.config.contact = Some(ContactLimits {
        regions: Vec::new(),
        transient_ticks: 0,
        power_max_w: 10.0,
        momentum_max_kg_m_s: 1.0,
    });
    assert_eq!(touched.feels(100.0, Some(-0.1)), Answer::GoOn);
    assert!(matches!(
        touched.feels(100.0, Some(-0.11)),
        Answer::Hold(violation) if violation.limit == LimitKind::Power
    ));
}

#[test]
fn a_configured_latch_latches_and_nothing_is_looked_at_where_that_is_configured() {
    let mut touched = Touched::new(ForceReaction::Latch);
    assert_eq!(touched.feels(60.0, REST), Answer::GoOn);
    assert!(matches!(touched.feels(61.0, REST), Answer::Latch(_)));
    // A person leads it out.
    touched.recovers = true;
    assert_eq!(touched.feels(61.0, REST), Answer::GoOn);
    assert!(touched.may_move(0.1) && !touched.may_move(-0.1));
    let mut touched = Touched::new(ForceReaction::Off);
    assert_eq!(touched.feels(1e9, ASIDE), Answer::GoOn);
    assert!(touched.may_move(-1.0));
}

#[test]
fn it_gives_way_with_the_force_and_not_too_fast() {
    let mut touched = Touched::new(ForceReaction::Yield(YIELD));
    assert_eq!(touched.feels(60.0, REST), Answer::GoOn);
    assert!((yields(touched.feels(100.0, REST)) - 0.02).abs() < 1e-12);
    assert!((yields(touched.feels(-200.0, ASIDE)) + 0.04).abs() < 1e-12);
    assert!((yields(touched.feels(400.0, ASIDE)) - 0.05).abs() < 1e-12);
    // It goes on until the contact counts as gone.
    assert!((yields(touched.feels(48.0, ASIDE)) - 0.0096).abs() < 1e-12);
    assert!(is_hold(touched.feels(47.9, ASIDE)));
    assert_eq!(touched.feels(47.9, REST), Answer::GoOn);
    assert_eq!(touched.feels(55.0, REST), Answer::GoOn);
}

#[test]
fn who_pushes_is_braked_before_it_gives_way() {
    let mut touched = Touched::new(ForceReaction::Yield(YIELD));
    assert!(is_hold(touched.feels(100.0, Some(-1.1e-3))));
    assert!(
        is_hold(touched.feels(100.0, Some(0.056))),
        "it is too fast for that"
    );
    yields(touched.feels(100.0, Some(FASTER * YIELD.speed_max_m_s)));
    yields(touched.feels(100.0, Some(-0.9e-3)));
    // Nor does it push more than that on its way.
    assert!(touched.may_move(-0.9e-3) && !touched.may_move(-1.1e-3));
}

#[test]
fn a_retreat_ends_where_it_has_to() {
    let mut touched = Touched::new(ForceReaction::Yield(YIELD));
    for (way_m, speed_m_s) in [(0.0, 0.02), (0.028, 0.02), (0.029, 0.01), (-0.029, 0.01)] {
        touched.at_m = 0.2 + way_m;
        let speed = yields(touched.feels(100.0, ASIDE));
        assert!((speed - speed_m_s).abs() < 1e-9, "{speed} after {way_m}");
    }
    touched.at_m = 0.2295;
    assert!(is_hold(touched.feels(100.0, ASIDE)));
    assert_eq!(touched.feels(100.0, REST), Answer::GoOn);
    assert!(!touched.may_move(-0.1), "it stands in it");
    touched.feels(100.0, ASIDE);
    // It gives way again to what grows, and the fourth time that is for a person.
    for _ in 0..3 {
        assert_eq!(touched.feels(125.0, REST), Answer::GoOn);
        yields(touched.feels(126.0, REST));
        touched.at_m += 0.03;
        assert!(is_hold(touched.feels(126.0, ASIDE)));
        assert_eq!(touched.feels(126.0, REST), Answer::GoOn);
    }
    assert!(matches!(touched.feels(126.0, REST), Answer::Latch(_)));
}

#[test]
fn a_retreat_that_gets_nowhere_ends_in_time() {
    let mut touched = Touched::new(ForceReaction::Yield(YIELD));
    for _ in 0..YIELD_TICKS_MAX {
        yields(touched.feels(100.0, ASIDE));
    }
    assert!(is_hold(touched.feels(100.0, ASIDE)));
    assert_eq!(touched.feels(100.0, REST), Answer::GoOn);
}

fn pressed(at: [f64; 3]) -> Pressed {
    Pressed {
        force: Vector3::new(0.0, -100.0, 0.0),
        violation: Violation::of(LimitKind::Force),
        push_max_m_s: 0.0,
        at: Isometry::translation(at[0], at[1], at[2]),
        deeper_m: 0.0,
    }
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
}

#[test]
fn what_was_gone_in_is_not_forgotten_before_it_is_gone_out() {
    // Into it is up y.
    let hand = HandPoints::new(&chain(), None);
    let mut last = pressed([0.3, 0.2, 0.1]);
    for (way_m, deeper_m) in [
        (3e-5, 3e-5),
        (3e-5, 6e-5),
        (-2e-5, 4e-5),
        (-1e-3, 0.0),
        (1e-5, 1e-5),
        (5e-3, PRESS_BAND_M),
        (-4e-5, 6e-5),
    ] {
        let mut next = pressed([0.3, last.at.translation.y + way_m, 0.1]);
        next.follows(&last, &hand);
        assert_near(next.deeper_m, deeper_m);
        assert_near(next.margin(&next.at, &hand), -deeper_m);
        let out = Isometry::translation(-0.7, -2e-3, 0.4) * next.at;
        assert_near(next.margin(&out, &hand), 2e-3 - deeper_m);
        last = next;
    }
}

#[test]
fn the_bearable_speed_is_that_of_the_standard() {
    let region = |force_max_n, transient_factor, stiffness_n_m, mass_kg| BodyRegion {
        name: String::new(),
        force_max_n,
        transient_factor,
        stiffness_n_m,
        mass_kg,
    };
    let body = |mass_kg| Body {
        mass_kg,
        ..Body::NONE
    };
    let masses = Masses {
        links: [body(2.0); 7],
        hand: body(1.0),
    };
    let mut contact = ContactLimits {
        regions: vec![region(140.0, 2.0, 75_000.0, 0.6)],
        transient_ticks: 0,
        power_max_w: 0.0,
        momentum_max_kg_m_s: 0.0,
    };
    // 280 N/√75000 N/m · √(1/(7.5 + 0.5) kg + 1/0.6 kg)
    let hand = 280.0 / 75_000_f64.sqrt() * (1.0 / 8.0 + 1.0 / 0.6_f64).sqrt();
    assert_near(contact.speed_max_m_s(Some(&masses), 0.5), hand);
    // Nothing is known of what moves: it is as heavy as can be.
    let by_any = 280.0 / 75_000_f64.sqrt() * (1.0 / 0.6_f64).sqrt();
    assert_near(contact.speed_max_m_s(None, 0.5), by_any);
    // The most sensitive region counts.
    contact.regions.push(region(65.0, 1.0, 150_000.0, 4.4));
    let face = 65.0 / 150_000_f64.sqrt() * (1.0 / 8.0 + 1.0 / 4.4_f64).sqrt();
    assert_near(contact.speed_max_m_s(Some(&masses), 0.5), face);
}

#[test]
fn a_retreat_takes_up_its_velocity_in_all_joints_alike() {
    let c = config(ForceReaction::Yield(YIELD));
    let mut state = ArmState::at_rest([0.0; JOINTS]);
    let wanted = [0.1, -0.05, 0.0, 0.0, 0.0, 0.0, 0.02];
    for tick in 1..=50 {
        let next = retreat_step(&state, &wanted, &c);
        // What changes most changes with all the jerk that there is: 1 rad/s³, so 0.001 rad/s² a tick. What it strives for
        // is what it lacks in 2 s.
        let most = (0.001 * f64::from(tick)).min((0.1 - state.v[0]) / 2.0);
        for (i, wanted) in wanted.iter().enumerate() {
            let share = wanted / 0.1;
            assert_near(next.a[i], share * most);
            assert_near(next.v[i], state.v[i] + TICK_S * next.a[i]);
            assert_near(next.q[i], state.q[i] + TICK_S * next.v[i]);
        }
        state = next;
    }
    assert!(state.a[0] < 0.05, "{state:?}");
}
