//! The cell: one world, its robot, its cameras, its scorer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sinew_description::RobotDescription;
use sinew_kinematics::Chain;
use sinew_messages::{JointVector, ObstacleFrame, SafetyInputs};

use crate::camera::{Optics, SimCamera, picture};
use crate::config::{CellConfig, FixedPlace};
use crate::draw::{OrderLine, SceneDraw};
use crate::drives::Drives;
use crate::faults::{FaultEvent, Faults};
use crate::film::{Film, Shot};
use crate::person::{Person, PersonAt, PersonTruth};
use crate::physics::Physics;
use crate::profile::Profile;
use crate::rng;
use crate::robot::SimRobot;
use crate::scanner::Scanner;
use crate::scenario::Scenario;
use crate::scene::SceneState;
use crate::scorer::{self, Grade};

/// What a cycle asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleScene {
    /// What is to be kitted.
    pub order: Vec<OrderLine>,
    /// Names of the faults planned for the cycle: for reports and logs, never for whoever does the work.
    pub faults: Vec<&'static str>,
}

/// A simulated workcell. Clones are handles to the same cell.
#[derive(Clone)]
pub struct Cell {
    shared: Arc<Shared>,
}

struct Shared {
    config: CellConfig,
    robot: RobotDescription,
    home_rad: JointVector,
    films: Vec<Arc<Film>>,
    world: Mutex<World>,
}

/// Everything that a reset replaces.
pub(crate) struct World {
    pub(crate) physics: Physics,
    pub(crate) drives: Drives,
    /// Contacts that were opened by hand, whatever the scenario does: [`SafetyInputs`] bits.
    closed_by_hand: u32,
    scenario: Scenario,
    person: Option<Person>,
    scanner: Scanner,
    truth: PersonTruth,
    /// For the truth about persons.
    chain: Chain,
    faults: Faults,
    order: Vec<OrderLine>,
    seed: u64,
    cycle: u64,
    /// Milliseconds since the reset.
    elapsed_ms: u64,
    /// Tick that the physics has reached; none before the first read after a reset.
    tick: Option<u64>,
    exposures: Vec<Exposures>,
    steps: u64,
}

/// The exposure rhythm of one camera.
struct Exposures {
    film: Arc<Film>,
    name: String,
    rate_hz: f64,
    taken: u64,
}

/// Longest span that one read may simulate, ticks.
const CATCH_UP_TICKS_MAX: u64 = 60_000;

impl Cell {
    /// A cell with this robot, reset to cycle 0 of seed 0 without faults.
    #[must_use]
    pub fn new(robot: &RobotDescription, config: &CellConfig) -> Self {
        Self::with_home(robot, config, home(robot))
    }

    /// The same with a robot that starts every cycle at `home_rad`, wherever that is: for what the robot does from a place
    /// where it should not be.
    #[must_use]
    pub fn with_home(robot: &RobotDescription, config: &CellConfig, home_rad: JointVector) -> Self {
        let films: Vec<_> = config.cameras.iter().map(|_| Arc::default()).collect();
        let draw = CycleDraw {
            seed: 0,
            cycle: 0,
            profile: &Profile::calm(),
            scenario: &Scenario::default(),
        };
        let (world, _) = World::new(config, robot, &home_rad, &films, &draw);
        Self {
            shared: Arc::new(Shared {
                config: config.clone(),
                robot: robot.clone(),
                home_rad,
                films,
                world: Mutex::new(world),
            }),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }

    /// Puts the cell into the state of cycle `cycle` of seed `seed`: robot at home with its drives off, parts
    /// drawn and settled, faults planned. The result depends on the arguments alone.
    pub fn reset(&self, seed: u64, cycle: u64, profile: &Profile) -> CycleScene {
        self.reset_with(seed, cycle, profile, &Scenario::default())
    }

    /// [`Self::reset`], and around the robot happens what the scenario says.
    pub fn reset_with(
        &self,
        seed: u64,
        cycle: u64,
        profile: &Profile,
        scenario: &Scenario,
    ) -> CycleScene {
        let draw = CycleDraw {
            seed,
            cycle,
            profile,
            scenario,
        };
        let Shared {
            config,
            robot,
            home_rad,
            films,
            ..
        } = &*self.shared;
        // Built before the lock is taken, so that a loop that still reads isn't held up by the settling.
        let (world, scene) = World::new(config, robot, home_rad, films, &draw);
        let mut current = self.world();
        for film in films {
            film.clear();
        }
        *current = world;
        scene
    }

    /// The robot, as the control loop sees it.
    #[must_use]
    pub fn robot(&self) -> SimRobot {
        SimRobot::new(self.clone())
    }

    /// The cameras, in the order of the configuration.
    #[must_use]
    pub fn cameras(&self) -> Vec<SimCamera> {
        self.optics()
            .into_iter()
            .zip(&self.shared.films)
            .map(|(optics, film)| SimCamera::new(optics, Arc::clone(film)))
            .collect()
    }

    /// The cameras' optics, in the order of the configuration.
    #[must_use]
    pub fn optics(&self) -> Vec<Optics> {
        let robot = &self.shared.robot;
        let mount = robot.hand.origin * robot.wrist_camera;
        let cameras = &self.shared.config.cameras;
        cameras
            .iter()
            .map(|camera| Optics::new(camera, &mount))
            .collect()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &CellConfig {
        &self.shared.config
    }

    /// The fixed places of the cell.
    #[must_use]
    pub fn places(&self) -> Vec<FixedPlace> {
        self.shared.config.places()
    }

    /// What the parts weigh, kg, by class.
    pub fn part_masses(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        let parts = self.shared.config.parts.iter();
        parts.map(|part| (part.class.clone(), part.mass))
    }

    /// A number that depends on every state of every step since the reset: equal for equal seed, cycle,
    /// profile and commands.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.world().physics.hash()
    }

    /// Physics steps since the cell was made, settling not counted.
    #[must_use]
    pub fn physics_steps(&self) -> u64 {
        self.world().steps
    }

    /// Grades an order by the truth of the simulation.
    #[must_use]
    pub fn grade(&self, order: &[OrderLine]) -> Grade {
        scorer::grade(&self.shared.config, &self.world().physics, order)
    }

    /// The order of the current cycle.
    #[must_use]
    pub fn order(&self) -> Vec<OrderLine> {
        self.world().order.clone()
    }

    /// The faults that have happened in the current cycle, for reports.
    #[must_use]
    pub fn fault_events(&self) -> Vec<FaultEvent> {
        self.world().faults.events().to_vec()
    }

    /// Sets the wired safety inputs, as [`SafetyInputs`] bits; what the scenario opens is open beside that. A reset
    /// closes them all again.
    pub fn set_safety_inputs(&self, bits: u32) {
        self.world().closed_by_hand = bits & SafetyInputs::ALL_CLOSED;
    }

    /// Where the person is who is in the cell now, if somebody is.
    #[must_use]
    pub fn person(&self) -> Option<PersonAt> {
        self.world().person_in_cell()
    }

    /// What was true of persons since the reset.
    #[must_use]
    pub fn person_truth(&self) -> PersonTruth {
        self.world().truth
    }

    /// The truth of the moment, for labels and pictures.
    #[must_use]
    pub fn scene(&self) -> SceneState {
        let world = self.world();
        world.physics.scene(world.tick.unwrap_or(0))
    }

    /// A picture of the cell, row-major RGB, 3 bytes a pixel.
    #[must_use]
    pub fn picture(&self, width: u32, height: u32) -> Vec<u8> {
        picture(&self.scene(), width, height)
    }

    /// Runs `f` on the world; for the robot.
    pub(crate) fn with_world<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.world())
    }

    /// The robot's description.
    #[must_use]
    pub fn robot_description(&self) -> &RobotDescription {
        &self.shared.robot
    }
}

/// The posture called `home`, or the chain's rest posture.
fn home(robot: &RobotDescription) -> JointVector {
    match robot.pose("home") {
        Some(home) => *home,
        None => *robot.chain().rest(),
    }
}

/// What a cycle is drawn from.
struct CycleDraw<'a> {
    seed: u64,
    cycle: u64,
    profile: &'a Profile,
    scenario: &'a Scenario,
}

/// A poisoned lock means that a panic happened elsewhere; the world itself is changed step by step and
/// stays usable.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new(
        config: &CellConfig,
        robot: &RobotDescription,
        home_rad: &JointVector,
        films: &[Arc<Film>],
        what: &CycleDraw<'_>,
    ) -> (Self, CycleScene) {
        let CycleDraw {
            seed,
            cycle,
            profile,
            scenario,
        } = *what;
        let draw = SceneDraw::new(config, seed, cycle, profile);
        let physics = Physics::new(config, robot, home_rad, &draw);
        let scene = CycleScene {
            order: draw.order.clone(),
            faults: draw.faults.names(),
        };
        let exposures = config
            .cameras
            .iter()
            .zip(films)
            .map(|(camera, film)| Exposures {
                film: Arc::clone(film),
                name: camera.name.clone(),
                rate_hz: camera.rate_hz,
                taken: 0,
            })
            .collect();
        let world = Self {
            faults: Faults::new(draw.faults, &draw.order, &physics),
            physics,
            drives: Drives::off(),
            closed_by_hand: SafetyInputs::ALL_CLOSED,
            person: (scenario.person.as_ref())
                .map(|walk| Person::draw(walk, &mut rng::Stream::new(seed, cycle, "person"))),
            scanner: Scanner::new(config.scanner, &scenario.scanner_fault, seed, cycle),
            scenario: scenario.clone(),
            truth: PersonTruth::default(),
            chain: robot.chain(),
            order: draw.order,
            seed,
            cycle,
            elapsed_ms: 0,
            tick: None,
            exposures,
            steps: 0,
        };
        (world, scene)
    }

    /// The tick that the physics has reached.
    pub(crate) fn tick(&self) -> u64 {
        self.tick.unwrap_or(0)
    }

    /// The wired safety inputs, [`SafetyInputs`] bits.
    pub(crate) fn inputs(&self) -> u32 {
        self.closed_by_hand & self.scenario.wired_at(self.elapsed_ms)
    }

    /// Who is within the scanner's range now.
    fn person_in_cell(&self) -> Option<PersonAt> {
        self.scanner.in_range(self.person.as_ref(), self.elapsed_ms)
    }

    /// What the scanner says now.
    pub(crate) fn scan(&mut self, out: &mut ObstacleFrame) {
        let (tick, now_ms) = (self.tick(), self.elapsed_ms);
        self.scanner.say(tick, now_ms, self.person.as_ref(), out);
    }

    /// Looks at how near the robot is to whoever is in the cell.
    fn judge(&mut self) {
        if let Some(person) = self.person_in_cell() {
            let measured = self.physics.measured();
            let (position, velocity) = (&measured.position_rad, &measured.velocity_rad_s);
            self.truth.look(&person, &self.chain, position, velocity);
        }
    }

    /// Simulates up to `tick`. The first call after a reset only says which tick it is.
    pub(crate) fn advance(&mut self, tick: u64) {
        let Some(reached) = self.tick else {
            self.tick = Some(tick);
            self.drives.restart(tick);
            self.expose();
            return;
        };
        for now in reached + 1..=tick.min(reached.saturating_add(CATCH_UP_TICKS_MAX)) {
            self.drives.watch(now, self.physics.measured());
            self.faults.before_step(&mut self.physics, self.elapsed_ms);
            self.physics.step(&self.drives.output());
            self.steps += 1;
            self.elapsed_ms += 1;
            self.tick = Some(now);
            self.judge();
            self.expose();
        }
    }

    /// Takes the exposures that are due.
    fn expose(&mut self) {
        let mut scene: Option<Arc<SceneState>> = None;
        for camera in &mut self.exposures {
            // Exposure n is due at n / rate, whatever happened to the ones before it.
            let due_ms = (camera.taken as f64 * 1_000.0 / camera.rate_hz).ceil() as u64;
            if self.elapsed_ms < due_ms {
                continue;
            }
            let sequence = camera.taken;
            camera.taken += 1;
            if self.faults.drops_frame(self.elapsed_ms) {
                continue;
            }
            let tick = self.tick.unwrap_or(0);
            let scene = scene.get_or_insert_with(|| Arc::new(self.physics.scene(tick)));
            camera.film.expose(Shot {
                tick,
                sequence,
                noise_seed: rng::derive(
                    self.seed,
                    self.cycle,
                    &format!("noise/{}/{sequence}", camera.name),
                ),
                scene: Arc::clone(scene),
            });
        }
    }
}
