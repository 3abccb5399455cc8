//! The safety gate: state, limits and a command in, a verified command and a verdict out; pure, without allocation.
//!
//! Sinew is not a certified safety function and claims no performance or integrity level. A certified
//! emergency stop and drive limits must exist on their own.
//!
//! # Terms
//!
//! A *setpoint* is what the drives are to do in one tick. The gate judges **differences of positions**: with `q`,
//! `v`, `a` of what was given before, a proposed `q'` means `v' = (q' − q)/T`, `a' = (v' − v)/T`,
//! `j' = (a' − a)/T`. The velocity and acceleration that a setpoint states beside its positions are feed-forward and
//! must agree with them.
//!
//! The *stop* of a joint is a jerk-limited braking law (`brake.rs`), a pure function of its state. The stop from
//! the next point of a stop is therefore its tail: what was verified is what is executed. `b` is the next
//! point of the stop from what was given, `u` what is proposed. The output is `b + k(u − b)` with `k = 1` if `u`
//! passes every check, else the largest `k` that eight halvings find (with fewer samples of each stop, so that a tick stays bounded), else `b` itself, which needs no check.
//! For the reaction time L the robot is taken to go on with the velocity and acceleration it was given, and what
//! that adds to the stop is added to every bound (`late::tests::a_late_stop_stays_near_the_stop`,
//! `attacks::a_late_stop_of_a_motion_that_leaves…`).
//!
//! # Checks
//!
//! Tests are in `tests/gate/`, and beside the code where the name says `module::tests`.
//!
//! | check | on | reaction | test |
//! |---|---|---|---|
//! | joint velocity, acceleration, jerk | setpoint | limit | `limits::each_joint_limit_is_named`, `promises::every_output_keeps_the_limits`, the crate `sinew-adversary` |
//! | joint position | end of the stop, closed-form bound, following error inside the margin | limit | `limits::a_robot_that_was_stopped_at_a_margin_can_leave_it`, `brake::tests::the_stop_ends_within_its_limits_and_its_bound`, `late::tests::a_late_stop_stays_inside_its_bound`, the proof in `proof/` |
//! | stated velocity and acceleration | setpoint | limit | `limits::stated_velocity_must_be_that_of_the_positions` |
//! | speed of tool, gripper tips, elbow and the ends of what is carried | setpoint and along the whole stop | limit | `limits::tool_speed_is_limited`, `space::elbow_and_tips_are_limited_too`, `space::the_stop_itself_keeps_the_tool_speed`, `attacks::the_end_of_what_is_carried…` |
//! | envelope, forbidden zones (boxes, half-spaces, cylinders, hulls) | every moving capsule and what is carried, along the whole stop, tracking margin inside | limit | `limits::a_robot_that_was_stopped_at_a_margin_can_leave_it`, `space::no_shape_is_entered`, `space::what_is_carried_keeps_off_too`, `promises::the_stop_executed_is_the_stop_verified` |
//! | slow zones | the same, where the motion is faster than the zone allows | limit | `space::a_slow_zone_slows_and_lets_through` |
//! | self-collision | pairs of capsules along the whole stop | limit | `space::links_keep_off_each_other` |
//! | orientation of the tool | its cone, along the whole stop | limit | `space::the_tool_stays_in_its_cone` |
//! | persons and other moving obstacles | the same, with what ISO 13855 adds | limit; latch without fresh data | `modes::a_person_is_not_approached`, `modes::an_unknown_position_is_the_nearest_possible`, `modes::a_silent_scanner_latches`, `attacks::nothing_moves_while_something_is_somewhere` |
//! | effort and its rate | predicted from masses and load; measured | limit; latch when it lasts | `effort::predicted_efforts_keep_their_limits`, `effort::measured_efforts_latch` |
//! | sensors of the joints: frozen, jumping, flipped; overspeed; position outside its limits | measured | latch | `stops::a_sensor_that_cannot_be_right_latches`, `stops::measured_overspeed_latches`, `stops::a_measured_position_outside_its_limits_latches` |
//! | payload | mass, efforts, every margin along the stop that is held | unlatched hold until it fits | `space::what_is_carried_keeps_off_too`, `effort::a_load_must_be_borne` |
//! | start state | position limits, zones, self-collision, cone | refuse the reset, but in recovery mode | `modes::a_start_outside_the_position_limits_is_refused`, `modes::recovery_mode_is_the_way_out_of_a_zone` |
//! | mode | reduced, recovery, hold | limit; only what gets better; hold | `modes::*` |
//! | gripper width and force | setpoint | limit | `limits::gripper_is_clamped_and_the_arm_goes_on` |
//! | lease, chunk end, stale input | told by the motion source | unlatched hold | `stops::stale_input_brakes_at_once_to_an_unlatched_hold` |
//! | tool force; force that a part of the body may bear, for a moment and for long; power into a contact | measured, and along the stop once it stands in one | unlatched hold, latch, or giving way through every other check, as configured | `stops::contact_force_holds_or_latches_as_configured`, `contact::a_force_that_lasts…`, `contact::power_into_a_contact_stops`, `contact::who_pushes_is_given_way_to…`, `contact::giving_way_breaks_no_other_limit`, `contact::giving_way_does_not_push`, `contact::what_a_body_bears_is_not_raised…`, `holes::a_stop_does_not_press…`, `attacks::turning_about_the_tool…`, `attacks::a_force_that_lasts…`, `contact::tests::*` beside the code |
//! | speed at which a contact is bearable; momentum | along the whole stop | limit | `contact::the_tool_is_no_faster_than_a_body_may_bear`, `contact::momentum_is_limited_along_the_stop` |
//! | grip lost | measured | unlatched hold until something else, or nothing, is carried | `contact::a_lost_grip_holds…` |
//! | singularity | condition of the tool's Jacobian | limit: slower, then no farther | `contact::near_a_singularity_it_slows_then_stops_and_can_leave` |
//! | following error of a joint, displacement of a link | measured | brake, latch when it lasts | `stops::a_following_error_brakes_at_once_and_latches_when_it_lasts` |
//! | emergency channels A and B, protective stop | wired | latch | `stops::each_cause_latches_with_its_reason_and_category`, `stops::an_open_input_refuses_the_reset_until_it_is_closed` |
//! | drive fault, drive watchdog, lost power, lost frame or command | measured | latch | `stops::each_cause_latches…`, `stops::a_missing_frame_latches_and_brakes_blindly` |
//! | time base out of [0.5 T, 2 T], backwards, still | measured | latch | `stops::each_cause_latches…` |
//! | heartbeat of the skill brain | counted in ticks | latch | `stops::a_silent_brain_latches` |
//! | stop requests of category 0, 1, 2 | counted | latch | `stops::each_cause_latches…`, `stops::a_latched_stop_only_gets_more_severe` |
//! | more in the way than one tick can look at | distances that are taken in a tick, counted | limit: it brakes | `space::what_a_tick_cannot_look_at_is_refused` |
//! | NaN, infinity | every field of setpoint and frame | reject, latch | `garbage::*` |
//! | empty, reversed, non-finite limits | configuration | refuse, by name | `contradictions::*` |
//! | another configuration while running | stopped, at rest, measured standstill, an approval that names its hash | refuse; after it only a reset moves | `activation::*` |
//!
//! And of the whole: boots stopped (`stops::the_robot_boots_stopped_and_only_a_reset_starts_it`), a reset causes no motion
//! (`stops::a_reset_causes_no_motion`), safe input passes bit for bit, idempotence, `b + k(u − b)`, tighter limits
//! (`promises`, `limits`), no allocation (`allocation`), the same bits however it is compiled (the crate
//! `sinew-adversary`). Holes that were found are in `holes` and `attacks`, others' known defects in `elsewhere`.
//!
//! # Not here
//!
//! Contacts of links before the hand are not felt: what they do shows in efforts and following errors. Where the hand
//! is touched no sensor says, so no part of it, and of what it carries, may press. Rounding is
//! covered by stated tolerances (`setpoint.rs`), not proved.

mod brake;
mod breach;
mod command;
mod contact;
mod effort;
mod encoder;
mod gate;
mod grip;
mod hand;
mod late;
mod limits;
mod obstacles;
#[cfg(test)]
mod plain;
mod setpoint;
mod singularity;
mod speed;
mod stop;
mod sweep;
mod verdict;
mod watch;
mod work;
mod zones;

pub use brake::STOP_TICKS_MAX;
pub use breach::{Breach, breaches, too_near};
pub use command::SafeCommand;
pub use contact::{BodyRegion, ContactLimits, REGIONS_MAX};
pub use effort::EffortLimits;
pub use gate::{Approval, ApprovedLimits, Gate, GateStatus, Inputs, PowerDemand};
pub use grip::GripLimits;
pub use limits::{
    Cone, ConfigHash, ForceReaction, LimitsError, ModeLimits, SafetyConfig, SafetyLimits,
    SelfCollision, YieldLimits,
};
pub use obstacles::SeparationConfig;
pub use singularity::Singularity;
pub use sweep::{ClosePair, close_at_rest};
pub use verdict::Verdict;
pub use zones::{SLOW_SPEEDS_MAX, ZONES_MAX, Zone, ZoneShape};
