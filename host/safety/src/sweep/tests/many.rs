//! Several things at once: told apart while they are few.

use super::*;

fn frame_of(obstacles: &[sinew_messages::Obstacle]) -> Threats {
    let mut frame = sinew_messages::ObstacleFrame::NONE;
    frame.count = obstacles.len() as u64;
    frame.obstacles[..obstacles.len()].copy_from_slice(obstacles);
    let mut threats = Threats::NONE;
    let config = crate::obstacles::SeparationConfig {
        approach_speed_m_s: 0.0,
        intrusion_m: 0.0,
        robot_uncertainty_m: 0.0,
        silent_ticks: 1,
    };
    threats.take(&frame, &config, 0);
    threats
}

fn ball_at(centre: Vector3<f64>) -> sinew_messages::Obstacle {
    sinew_messages::Obstacle {
        kind: sinew_messages::ObstacleKind::Ball as u32,
        reserved: 0,
        position_m: centre.into(),
        radius_m: 0.1,
        uncertainty_m: 0.0,
        age_ticks: 0,
    }
}

/// Somebody that far ahead of the ball on its circle, or behind it.
fn beside(centre: Vector3<f64>, apart_m: f64, ahead: f64) -> sinew_messages::Obstacle {
    let way = Vector3::new(-centre.y, centre.x, 0.0).normalize();
    ball_at(centre + ahead * (0.12 + apart_m) * way)
}

/// Of more than are told apart, the one that matters may be any: a late stop keeps off it, too.
#[test]
fn a_late_stop_keeps_off_each_of_many() {
    const OTHERS: usize = 11;
    let (mut checked, at, _) = ball_on_a_circle();
    let (mut state, from) = at(0.0);
    state.v[0] = 1.5;
    let late = 20;
    let mut end = state;
    for _ in 0..late {
        end.q[0] += 1e-3 * end.v[0];
    }
    let gone = end.q[0] - state.q[0];
    while !end.is_at_rest() {
        end = end.brake(&law());
    }
    let at_rest = at(end.q[0]).1;
    for place in 0..=OTHERS {
        let mut look = |apart_m| {
            let mut obstacles = vec![beside(from, 0.04, -1.0); OTHERS + 1];
            obstacles[place] = beside(at_rest, apart_m, 1.0);
            checked.threats = frame_of(&obstacles);
            checked
                .check_from(&before(&state), &state, &alone(), late, false)
                .map_err(|found| found.limit)
        };
        assert_eq!(look(-RETREAT_BAND - 1e-4), Err(LimitKind::Separation));
        // Less than the way that it goes late.
        assert_eq!(look(-0.2 * gone), Err(LimitKind::Separation));
        assert_eq!(look(0.03), Ok(()), "{place}");
    }
}

/// Up to eight things are told apart, each with its own margin; of more, the last place is all the others.
#[test]
fn few_are_told_apart_and_more_are_one() {
    let (checked, at, _) = ball_on_a_circle();
    let config = alone();
    let mut sweep = Sweep::new(checked.chain.clone(), &limits(&config));
    let centre = at(0.0).1;
    let state = ArmState::at_rest([0.0; JOINTS]);
    let forward = sweep.chain.forward(&state.q);
    let there = sweep.capsule(0).placed(&forward).a.coords;
    assert!((there - centre).norm() > 0.1, "the list is made at 0");
    for count in [1, 7, 8, 9, 20] {
        let obstacles: Vec<_> = (0..count)
            .map(|n| ball_at(there + Vector3::x() * (0.15 + 1e-3 * f64::from(n))))
            .collect();
        let threats = frame_of(&obstacles);
        let items = items(&mut sweep, &threats, &config, &state.q, 0.1);
        let single: Vec<(usize, f64)> = (items.iter())
            .filter_map(|item| match item.subject {
                Subject::Threat(0, threat) => Some((threat, item.surveyed)),
                _ => None,
            })
            .collect();
        let told = if count > 8 { 7 } else { count as usize };
        assert_eq!(single.len(), told, "{count}");
        for (threat, surveyed) in single {
            let apart = 0.15 + 1e-3 * threat as f64 - 0.1 - 0.02;
            assert!((surveyed - apart).abs() < 1e-9, "{threat}: {surveyed}");
        }
        let pooled: Vec<f64> = (items.iter())
            .filter(|item| item.subject == Subject::Threats(0))
            .map(|item| item.surveyed)
            .collect();
        assert_eq!(pooled.len(), usize::from(count > 8), "{count}");
        assert!(pooled.iter().all(|least| (least - 0.03).abs() < 1e-9));
    }
}

/// What a motion gains on one of many says nothing about the others.
#[test]
fn who_gains_on_one_of_many_may_not_use_the_band_for_another() {
    let (Checked { chain, .. }, at, _) = ball_on_a_circle();
    let (mut state, from) = at(0.0);
    state.v[0] = 1.5;
    let mut end = state;
    while !end.is_at_rest() {
        end = end.brake(&law());
    }
    let to = at(end.q[0]).1;
    let look = |ahead_m: f64, others: usize| {
        let mut obstacles = vec![beside(from, 0.04, -1.0); others];
        // It begins so near to this one that it is better off at the end.
        obstacles.push(beside(from, -0.5 * RETREAT_BAND, -1.0));
        obstacles.push(beside(to, ahead_m, 1.0));
        let checked = Checked {
            chain: chain.clone(),
            threats: frame_of(&obstacles),
            ..carrying(None)
        };
        let found = checked.check_from(&state, &state, &alone(), 0, false);
        found.map_err(|found| found.limit)
    };
    // Told apart, one is left and the other kept off.
    assert_eq!(look(0.05, 0), Ok(()));
    assert_eq!(look(-0.2 * RETREAT_BAND, 0), Err(LimitKind::Separation));
    // As one of many, nothing may be used.
    assert_eq!(look(-0.2 * RETREAT_BAND, 10), Err(LimitKind::Separation));
}
