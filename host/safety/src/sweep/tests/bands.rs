//! Who gains, who slides along, and what a contact lets be gone into.

use super::*;

/// An envelope whose upper face in x is so far from the ball.
fn faced(ball: &Vector3<f64>, apart_m: f64) -> SafetyConfig {
    let mut c = alone();
    c.envelope_max_m[0] = ball.x + 0.02 + apart_m;
    c
}

/// What goes along a face may use the band, and what goes mostly along it; what goes towards it may not.
#[test]
fn who_slides_along_may_use_the_band() {
    let (checked, at, radius) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Where on the circle x is largest.
    let nearest = -zero.y.atan2(zero.x);
    let turn = 0.02;
    for (share, may) in [(0.0, true), (0.099, true), (0.106, false), (0.5, false)] {
        // The loss on the way, for a chord of the circle, is that share of its arc.
        let chord = 2.0 * radius * libm::sin(0.5 * turn);
        let middle = libm::asin(share * radius * turn / chord);
        let (given, start) = (nearest - middle - 0.5 * turn, nearest - middle + 0.5 * turn);
        let ((given, from), (start, to)) = (at(given), at(start));
        assert!((to.x - from.x - share * radius * turn).abs() < 1e-12);
        for (apart_m, expected) in [
            (NEED_M + 1e-6, true),
            (NEED_M - RETREAT_BAND + 1e-6, may),
            (NEED_M - RETREAT_BAND - 1e-6, false),
        ] {
            let found = checked.check_from(&given, &start, &faced(&to, apart_m), 0, false);
            assert_eq!(found.is_ok(), expected, "{share} {apart_m}: {found:?}");
        }
    }
}

/// What loses on the stop does not slide, either.
#[test]
fn the_loss_of_the_stop_counts_too() {
    let (checked, at, radius) = ball_on_a_circle();
    let zero = at(0.0).1;
    let nearest = -zero.y.atan2(zero.x);
    for (share, may) in [(0.05, true), (0.2, false)] {
        let (mut state, _) = at(nearest - libm::asin(share));
        state.v[0] = 0.5;
        let (given, _) = at(state.q[0]);
        let mut end = state;
        while !end.is_at_rest() {
            end = end.brake(&law());
        }
        let lost = at(end.q[0]).1.x - at(state.q[0]).1.x;
        let way = radius * (end.q[0] - state.q[0]);
        assert!(lost > 0.8 * share * way, "{lost} {way}");
        let config = faced(&at(end.q[0]).1, NEED_M - 0.5 * RETREAT_BAND);
        let found = checked.check_from(&given, &state, &config, 0, false);
        assert_eq!(found.is_ok(), may, "{share}: {found:?}");
    }
}

/// In recovery mode what is outside may move if it gains, at once and on the stop, and only then.
#[test]
fn recovery_goes_out_of_a_violation_and_not_into_it() {
    let (checked, at, _) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Of what turns on here, x falls.
    let beyond = 0.3 - zero.y.atan2(zero.x);
    let depth_m = -0.05;
    let check = |from: f64, to: f64, v: f64, recovers| {
        let ((given, ball), (mut state, _)) = (at(from), at(to));
        state.v[0] = v;
        let found = checked.check_from(&given, &state, &faced(&ball, depth_m), 0, recovers);
        found.is_ok()
    };
    // Standing still is no loss.
    assert!(check(beyond, beyond, 0.0, true));
    assert!(check(beyond, beyond + 1e-3, 0.0, true));
    assert!(check(beyond, beyond + 1e-3, 0.1, true));
    // In other modes nothing moves there.
    assert!(!check(beyond, beyond, 0.0, false));
    assert!(!check(beyond, beyond + 1e-3, 0.1, false));
    // Into it: at once, on the stop, and by a step that gains less than the stop loses.
    assert!(!check(beyond, beyond - 1e-3, 0.0, true));
    assert!(!check(beyond, beyond, -0.1, true));
    assert!(!check(beyond, beyond + 1e-6, -0.1, true));
    assert!(!check(beyond, beyond - 1e-3, 0.2, true));
}

/// A refusal tells the worse end of the stop: where it begins, or where it ends.
#[test]
fn the_worse_end_is_told() {
    let (checked, at, _) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Of what turns on here, x falls.
    let beyond = 0.3 - zero.y.atan2(zero.x);
    for v in [0.5, -0.5] {
        let (mut state, from) = at(beyond);
        state.v[0] = v;
        let mut end = state;
        while !end.is_at_rest() {
            end = end.brake(&law());
        }
        let nearest = from.x.max(at(end.q[0]).1.x);
        let farther = from.x.min(at(end.q[0]).1.x);
        assert!(nearest - farther > 1e-3);
        let mut c = alone();
        c.envelope_max_m[0] = farther + 0.02;
        let found = (checked.check(&c, &state, 0)).expect_err("all of it is too near");
        assert_eq!(found.limit, LimitKind::Envelope);
        assert!(
            (found.asked - (farther - nearest)).abs() < 1e-9,
            "{v}: {found:?}"
        );
    }
}

/// Rounding does not get a margin from one step to the next where it is a round number.
#[test]
fn a_margin_that_stays_stays_in_its_step() {
    for margin in [0.0, 1e-9, 5e-9, 1e-6, 0.001, 0.009, 0.01, 0.25, 1.0] {
        for margin in [margin, -margin] {
            assert_eq!(
                in_steps(margin + 1e-12),
                in_steps(margin - 1e-12),
                "{margin}"
            );
            let next = in_steps(margin + ROUNDING) - in_steps(margin);
            assert!((next - 1.0).abs() < 1e-6, "{margin}");
        }
    }
}

/// A contact may only be left: by none of its points does the hand get farther into it on a late stop.
#[test]
fn a_late_stop_goes_no_farther_into_a_contact() {
    use crate::contact::PRESS_BAND_M;
    let chain = arm();
    let mut met = 0;
    for carried in [None, Some(ROD)] {
        let hand = HandPoints::new(&chain, carried.as_ref());
        for inward in [
            Vector3::x(),
            -Vector3::x(),
            Vector3::y(),
            -Vector3::z(),
            Vector3::new(0.6, 0.0, -0.8),
        ] {
            let none = sinew_kinematics::Isometry::identity();
            let margin = |forward: &Forward| -hand.farthest(&none, &forward.hand, &inward);
            for (late, loose_m) in [(0, 0.02), (20, 0.15)] {
                for (n, state) in motions().iter().enumerate() {
                    let least = least(&chain, state, late, &margin);
                    if margin(&chain.forward(&before(state).q)) - least < 0.002 {
                        continue;
                    }
                    met += 1;
                    let look = |farther_m: f64| {
                        let into = inward * (farther_m - least);
                        let at = sinew_kinematics::Isometry::translation(into.x, into.y, into.z);
                        let checked = Checked {
                            pressed: Some(Pressed::standing(-5.0 * inward, at)),
                            ..carrying(carried)
                        };
                        (checked.check(&alone(), state, late)).map_err(|found| found.limit)
                    };
                    let near = look(-PRESS_BAND_M - 1e-6);
                    assert_eq!(near, Err(LimitKind::Force), "{n} {late} {inward:?}");
                    assert_eq!(look(loose_m), Ok(()), "{n} {late} {inward:?}");
                }
            }
        }
    }
    assert!(met > 100, "{met}");
}

/// So near to another thing is nobody who goes along a contact.
#[test]
fn the_band_of_a_contact_is_its_own() {
    let bands = [Subject::Contact, Subject::Cone, Subject::Pair(0)].map(Subject::retreat_band);
    assert_eq!(bands, [1e-4, 1e-3, 1e-3]);
}
