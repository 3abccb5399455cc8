//! The broad phase: which margins the last survey leaves open.

use sinew_kinematics::Forward;
use sinew_messages::{JOINTS, JointVector};

use super::pairs::Pair;
use super::survey::{levers_of, to_face};
use super::{APART_MAX, BODIES_MAX, Group, Levers, Question, RETREAT_BAND, Sweep, dot};
use crate::contact::PRESS_BAND_M;
use crate::limits::SafetyConfig;
use crate::setpoint::at_most;

/// What a margin is about. Each thing that a body could come too near to has one of its own: a motion that gains on
/// one may lose on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A body against a face of the envelope: its axis, and whether it is the upper one.
    Face(usize, usize, bool),
    /// A body against a zone of a group; of slow ones, such as are slower than the motion.
    Zone(Group, usize, usize),
    /// A body against more zones of a group than are told apart.
    Zones(Group, usize),
    /// A pair of bodies.
    Pair(usize),
    /// A body against a moving obstacle, with what that needs taken off.
    Threat(usize, usize),
    /// A body against more of those than are told apart.
    Threats(usize),
    /// Something is somewhere.
    Somewhere,
    /// The tool against its cone.
    Cone,
    /// The hand against the contact that may only be left.
    Contact,
}

impl Subject {
    /// True for several things together: what a motion gains on one of them says nothing about the others.
    pub(super) fn is_many(self) -> bool {
        matches!(self, Self::Zones(..) | Self::Threats(_))
    }

    /// Room that a motion may use which gains margin or keeps it.
    pub(super) fn retreat_band(self) -> f64 {
        match self {
            Self::Contact => PRESS_BAND_M,
            _ => RETREAT_BAND,
        }
    }
}

/// One margin under check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) subject: Subject,
    /// Margin to be kept.
    pub(super) need: f64,
    /// Margin at the state of the survey.
    pub(super) surveyed: f64,
    pub(super) lever: Levers,
}

/// Things of one kind that a body could come too near to: told apart while they are few.
struct Crowd<'a> {
    items: &'a mut Vec<Item>,
    /// Where they begin.
    from: usize,
    /// What is the same for all of them; its subject is all of them together.
    pooled: Item,
}

impl<'a> Crowd<'a> {
    fn new(items: &'a mut Vec<Item>, all: Subject, need: f64, lever: Levers) -> Self {
        Self {
            from: items.len(),
            items,
            pooled: Item {
                subject: all,
                need,
                surveyed: f64::INFINITY,
                lever,
            },
        }
    }

    fn add(&mut self, subject: Subject, surveyed: f64) {
        self.pooled.surveyed = self.pooled.surveyed.min(surveyed);
        if self.items.len() - self.from < APART_MAX {
            self.items.push(Item {
                subject,
                surveyed,
                ..self.pooled
            });
        } else {
            self.items.truncate(self.from + APART_MAX - 1);
            self.items.push(self.pooled);
        }
    }
}

impl Sweep {
    /// Lists the margins that the survey leaves open. `way` is how far each joint gets from where the survey
    /// was taken; none are left if every one is kept for sure.
    pub(super) fn list_open(
        &mut self,
        group: Group,
        way: &JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) {
        self.items.clear();
        if group == Group::Hard {
            self.list_contact(way, question);
            self.list_open_threats(way, question);
        }
        for body in 0..self.bodies() {
            if !self.moves(body) {
                continue;
            }
            let most = dot(&self.lever_max[body], way);
            let need = config.tracking_margin_m;
            let pooled = match group {
                Group::Hard => self.survey.fixed[body],
                Group::Slow => self.survey.slow[body],
            };
            if at_most(need, pooled - most) {
                continue;
            }
            let lever = self.levers(body, most);
            let reach = need + dot(&lever, way);
            if at_most(reach, pooled) {
                continue;
            }
            if group == Group::Hard {
                self.list_faces(body, need, reach, &lever, config);
            }
            self.list_zones(group, body, need, reach, &lever, question.speed_m_s);
        }
        if group == Group::Slow {
            return;
        }
        self.list_open_pairs(way);
        let lever = [1.0; JOINTS];
        if !at_most(0.0, self.survey.cone - dot(&lever, way)) {
            self.items.push(Item {
                subject: Subject::Cone,
                need: 0.0,
                surveyed: self.survey.cone,
                lever,
            });
        }
    }

    /// The hand in a contact. It is always near, and looked at from where the arm is.
    fn list_contact(&mut self, way: &JointVector, question: &Question<'_>) {
        if let Some(pressed) = question.pressed {
            let forward = question.given_forward;
            self.items.push(Item {
                subject: Subject::Contact,
                need: 0.0,
                surveyed: pressed.margin(&forward.hand, &self.hand),
                lever: self.lever_from(Subject::Contact, forward, way),
            });
        }
    }

    /// How much farther the hand may get into a contact than on its stop where that takes effect late, m: what is late
    /// in going out presses nobody.
    pub(super) fn pressed_late(&self, question: &Question<'_>) -> f64 {
        let Some(pressed) = question.pressed else {
            return 0.0;
        };
        let (forward, late) = (question.forward, question.late);
        // What a joint moves turns with all of them while they brake.
        let turns: f64 = (0..JOINTS)
            .map(|j| self.travelled[1][j] + late.most(j))
            .sum();
        (self.hand.iter())
            .map(|point| {
                let at = (forward.hand * point).coords;
                (0..JOINTS)
                    .map(|j| {
                        let arm = at - forward.links[j].translation.vector;
                        let inward = pressed.inward().dot(&forward.axes[j].cross(&arm));
                        let first = (inward * late.up[j]).max(-inward * late.down[j]);
                        first + late.most(j) * turns * self.hand.lever_max[j]
                    })
                    .sum()
            })
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Looks at what is open from where the arm is, and keeps what is open from there, too.
    pub(super) fn look_again(
        &mut self,
        way: &JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) {
        let forward = question.given_forward;
        let mut items = core::mem::take(&mut self.items);
        let mut work = self.work;
        items.retain_mut(|item| {
            item.surveyed = self.measure(item.subject, forward, question, config, &mut work);
            item.lever = self.lever_from(item.subject, forward, way);
            !at_most(item.need, item.surveyed - dot(&item.lever, way))
        });
        self.work = work;
        self.items = items;
    }

    /// Levers of a margin while the joints go no farther than `way` from where `forward` has them.
    fn lever_from(&self, subject: Subject, forward: &Forward, way: &JointVector) -> Levers {
        let of_body = |body: usize, from: usize| -> Levers {
            let lever_max = &self.lever_max[body];
            let lever = levers_of(&self.place(body, forward), forward);
            let most: f64 = (from..JOINTS).map(|j| lever_max[j] * way[j]).sum();
            core::array::from_fn(|j| {
                if j < from {
                    0.0
                } else {
                    (lever[j] + most).min(lever_max[j])
                }
            })
        };
        match subject {
            Subject::Face(body, ..)
            | Subject::Zone(_, body, _)
            | Subject::Zones(_, body)
            | Subject::Threat(body, _)
            | Subject::Threats(body) => of_body(body, 0),
            // Only the joints between them bring two links together.
            Subject::Pair(n) => {
                let Pair { near, far, .. } = self.pairs[n];
                of_body(far, self.capsule(near).link)
            }
            Subject::Contact => {
                let most = dot(&self.hand.lever_max, way);
                let lever = self.hand.levers(forward);
                core::array::from_fn(|j| (lever[j] + most).min(self.hand.lever_max[j]))
            }
            Subject::Somewhere => [0.0; JOINTS],
            Subject::Cone => [1.0; JOINTS],
        }
    }

    /// Faces of the envelope that are nearer to a body than `reach`.
    fn list_faces(
        &mut self,
        body: usize,
        need: f64,
        reach: f64,
        lever: &Levers,
        config: &SafetyConfig,
    ) {
        let placed = self.survey.bodies[body];
        for axis in 0..3 {
            for upper in [false, true] {
                let surveyed = to_face(&placed, axis, upper, config);
                if !at_most(reach, surveyed) {
                    self.items.push(Item {
                        subject: Subject::Face(body, axis, upper),
                        need,
                        surveyed,
                        lever: *lever,
                    });
                }
            }
        }
    }

    /// Zones of the group that are nearer to a body than `reach` and don't allow the speed.
    fn list_zones(
        &mut self,
        group: Group,
        body: usize,
        need: f64,
        reach: f64,
        lever: &Levers,
        speed_m_s: f64,
    ) {
        let placed = self.survey.bodies[body];
        let zones = match group {
            Group::Hard => &self.forbidden,
            Group::Slow => &self.slow,
        };
        let mut crowd = Crowd::new(&mut self.items, Subject::Zones(group, body), need, *lever);
        zones.within(
            &placed,
            reach,
            speed_m_s,
            &mut self.work,
            |zone, surveyed| crowd.add(Subject::Zone(group, body, zone), surveyed),
        );
    }

    /// Moving obstacles that a body could come too near to. What one needs is taken off its distance.
    fn list_open_threats(&mut self, way: &JointVector, question: &Question<'_>) {
        let threats = question.threats;
        if threats.is_lost() {
            self.items.push(Item {
                subject: Subject::Somewhere,
                need: 0.0,
                surveyed: f64::NEG_INFINITY,
                lever: [0.0; JOINTS],
            });
            return;
        }
        if threats.is_empty() {
            return;
        }
        let farthest = (self.lever_max[..self.bodies()].iter())
            .fold(0.0_f64, |most, lever| most.max(dot(lever, way)));
        self.near = threats.near(&self.survey.bounds, farthest);
        for body in 0..self.bodies() {
            if !self.moves(body) {
                continue;
            }
            let placed = self.survey.bodies[body];
            let most = dot(&self.lever_max[body], way);
            let lever = self.levers(body, most);
            let reach = dot(&lever, way).min(most);
            let mut crowd = Crowd::new(&mut self.items, Subject::Threats(body), 0.0, lever);
            for threat in self.near {
                let surveyed = threats.margin(threat, &placed);
                if !at_most(reach, surveyed) {
                    crowd.add(Subject::Threat(body, threat), surveyed);
                }
            }
        }
    }

    fn list_open_pairs(&mut self, way: &JointVector) {
        // How far each body gets by the joints from each one on.
        let mut most_from = [[0.0; JOINTS + 1]; BODIES_MAX];
        for (most, lever) in most_from[..self.bodies()].iter_mut().zip(&self.lever_max) {
            for j in (0..JOINTS).rev() {
                most[j] = most[j + 1] + lever[j] * way[j];
            }
        }
        for (n, pair) in self.pairs.iter().enumerate() {
            let from = self.survey.bodies[pair.near].link;
            let far = pair.far;
            let between = |j: usize, lever: f64| if j < from { 0.0 } else { lever };
            let most = most_from[far][from];
            if at_most(pair.need, self.survey.pairs[n] - most) {
                continue;
            }
            let lever: Levers = core::array::from_fn(|j| {
                between(
                    j,
                    (self.survey.lever[far][j] + most).min(self.lever_max[far][j]),
                )
            });
            if !at_most(pair.need, self.survey.pairs[n] - dot(&lever, way)) {
                self.items.push(Item {
                    subject: Subject::Pair(n),
                    need: pair.need,
                    surveyed: self.survey.pairs[n],
                    lever,
                });
            }
        }
    }
}
