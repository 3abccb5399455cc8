//! A skill that does wrong on demand: fixtures for the tests of the host.

use std::hint::black_box;

use sinew_sdk::prelude::*;

/// What to do.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Params {
    /// Goes to a named pose.
    Move {
        /// Which.
        pose: String,
    },
    /// Goes to a tool pose.
    MoveTo {
        /// Position, metres.
        position: [f64; 3],
    },
    /// Turns the first joint, the others at zero.
    Turn {
        /// Radians.
        angle: f64,
    },
    /// Presses down from above.
    Press {
        /// Newtons.
        force: f64,
    },
    /// Starts and drops motions.
    StartOften {
        /// How often.
        times: u64,
    },
    /// A goal with numbers that are not finite.
    MoveNan,
    /// Starts a motion, waits a while, and cancels it.
    StartAndCancel {
        /// Ticks in between.
        ticks: u64,
    },
    /// Starts a motion and drops its handle.
    StartAndDrop,
    /// Waits for one of two motions.
    WaitAny,
    /// Holds as many handles as it can get.
    HandleBomb,
    /// Grips.
    Grasp {
        /// Newtons.
        force: f64,
    },
    /// Runs a policy.
    Policy {
        /// Which.
        name: String,
    },
    /// Looks at the newest snapshot, then waits for a newer one.
    Look,
    /// Calls `clock.now` often.
    CallOften {
        /// How often.
        times: u64,
    },
    /// Asks the standard library often what time it is.
    AskStd {
        /// How often.
        times: u64,
    },
    /// Sleeps.
    Sleep {
        /// Ticks.
        ticks: u64,
    },
    /// Sleeps with the standard library.
    SleepStd {
        /// Milliseconds.
        ms: u64,
    },
    /// What the standard library sees of the outside.
    LookOutside,
    /// Panics.
    Panic,
    /// Executes an illegal instruction.
    Trap,
    /// Calls itself until the stack ends.
    Recurse,
    /// Ends the process.
    Exit,
    /// Computes for ever.
    Spin,
    /// Copies memory for ever.
    Copy,
    /// Allocates for ever.
    Allocate,
    /// Hands the host a list of this size.
    LongList {
        /// Bytes.
        bytes: usize,
    },
    /// Writes this many lines of log.
    LogFlood {
        /// How many.
        lines: u64,
    },
    /// Emits this many events.
    EventFlood {
        /// How many.
        events: u64,
    },
    /// Never gives up when it is cancelled.
    IgnoreCancel,
    /// Sleeps, and does not come back if it is cancelled meanwhile.
    Stubborn {
        /// Ticks.
        ticks: u64,
    },
    /// Tidies up when it is cancelled.
    TidyUp,
    /// Stores a checkpoint and fails; resumes from it.
    SafePoint,
    /// Counts up to a number, a safe point before each step, from where it was left.
    Count {
        /// Steps.
        steps: u32,
        /// Ticks of each.
        ticks: u64,
    },
    /// Stores a checkpoint of a version that the manifest does not list.
    ForeignSafePoint,
    /// Remembers how often it has run.
    Remember,
    /// Remembers something, forgets it twice.
    Forget,
    /// Fills its store.
    FillMemory,
    /// Reads a file that it may not read.
    ReadFile,
    /// Asks often for a directory whose name breaks lines, says a lot, and grips in between.
    HideRefusal {
        /// How often, before and after.
        times: u64,
        /// Newtons.
        force: f64,
    },
    /// Writes a file into `notes`, of this many bytes, and reads it back.
    WriteFile {
        /// Where.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// Writes files of so many bytes into `notes`, removes those of none, one after the other, a tick apart.
    EditFiles {
        /// What to do to which.
        edits: Vec<(String, Option<usize>)>,
    },
    /// Reads a file out of `notes`.
    ReadNote {
        /// Where.
        path: String,
    },
    /// Asks a person.
    Ask,
    /// Returns what its schema does not allow.
    WrongResult,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {
    /// In words.
    #[schemars(length(max = 200))]
    said: String,
    /// Ticks that it took.
    ticks: u64,
}

/// Where it was.
#[derive(Serialize, Deserialize)]
struct Progress {
    step: u32,
}

impl Checkpoint for Progress {
    const SCHEMA: u32 = 3;
}

#[derive(Serialize, Deserialize)]
struct Foreign;

impl Checkpoint for Foreign {
    const SCHEMA: u32 = 99;
}

#[skill]
fn run(params: Params, resume: Option<Progress>, robot: &mut Robot) -> Result<Outcome, Failure> {
    let start = robot.clock.now();
    let said = act(params, resume, robot)?;
    Ok(Outcome {
        said,
        ticks: robot.clock.now() - start,
    })
}

fn act(params: Params, resume: Option<Progress>, robot: &mut Robot) -> Result<String, Failure> {
    let side = Pose::down(0.4, 0.1, 0.3, 0.0);
    Ok(match params {
        Params::Move { pose } => {
            let outcome = robot.motion.move_to(Goal::named(pose).speed(0.5))?;
            format!("{:?} at {:.3}", outcome.end, outcome.tool.position.x)
        }
        Params::MoveTo {
            position: [x, y, z],
        } => {
            let outcome = robot.motion.move_to(Goal::line(Pose::down(x, y, z, 0.0)))?;
            format!("{:?}", outcome.end)
        }
        Params::Turn { angle } => {
            let mut joints = [0.0; 7];
            joints[0] = angle;
            let outcome = robot.motion.move_to(Goal::joints(joints))?;
            format!("{:?}", outcome.end)
        }
        Params::Press { force } => {
            let outcome = robot.motion.move_to(Goal::guarded(side, force))?;
            format!("{:?}", outcome.end)
        }
        Params::StartOften { times } => {
            let mut refused = 0_u64;
            for _ in 0..times {
                refused += u64::from(robot.motion.start(side).is_err());
            }
            format!("{refused} refused")
        }
        Params::MoveNan => {
            let mut answers = Vec::new();
            for goal in [
                Goal::line(Pose::down(f64::NAN, 0.0, 0.3, 0.0)),
                Goal::joints([f64::INFINITY; 7]),
                Goal::joints([0.0; 6]),
                Goal::named("home").speed(f64::NAN),
                Goal::guarded(side, -1.0),
                Goal::named("nowhere"),
            ] {
                answers.push(match robot.motion.start(goal) {
                    Ok(_) => "accepted".to_owned(),
                    Err(error) => error.to_string(),
                });
            }
            robot.log.info(&answers.join("; "));
            format!(
                "{} accepted",
                answers.iter().filter(|a| *a == "accepted").count()
            )
        }
        Params::StartAndCancel { ticks } => {
            let moving = robot.motion.start(side)?;
            robot.clock.sleep(ticks)?;
            let before = moving.ended();
            moving.cancel()?;
            format!("{before} {:?}", moving.wait()?.end)
        }
        Params::StartAndDrop => {
            drop(robot.motion.start(side)?);
            robot.clock.sleep(50)?;
            "dropped".to_owned()
        }
        Params::WaitAny => {
            let first = robot.motion.start(side)?;
            let second = robot.motion.start(side.above(0.1))?;
            let which = robot.motion.wait_any(&[&second, &first], 1)?;
            let then = robot.motion.wait_any(&[&second], 10_000)?;
            let never = robot.motion.wait_any(&[], 7)?;
            format!("{which:?} {then:?} {never:?} {:?}", first.wait()?.end)
        }
        Params::HandleBomb => {
            let mut held = Vec::new();
            let error = loop {
                match robot.motion.start(side) {
                    Ok(moving) => held.push(moving),
                    Err(error) => break error,
                }
            };
            format!("{error}")
        }
        Params::Grasp { force } => {
            let grip = robot.gripper.grasp(force)?;
            format!("{:?} {:.3} {}", grip.end, grip.width, grip.holding)
        }
        Params::Policy { name } => {
            let available = robot.policy.available()?;
            let outcome = robot.policy.run(&name, 7, 5_000)?;
            format!("{available:?} {:?} {}", outcome.state, outcome.ticks)
        }
        Params::Look => {
            let first = robot.world.snapshot()?;
            let second = robot.world.wait_newer(first.tick)?;
            let place = robot.world.place("A1")?;
            let state = robot.world.robot()?;
            format!(
                "{} then {} objects, first in `{}`, {} is a {}, stopped {}",
                first.objects.len(),
                second.objects.len(),
                second
                    .objects
                    .first()
                    .map_or("", |object| object.place.as_str()),
                place.name,
                place.kind,
                state.stopped
            )
        }
        Params::CallOften { times } => {
            for _ in 0..times {
                black_box(robot.clock.now());
            }
            "called".to_owned()
        }
        Params::AskStd { times } => {
            for _ in 0..times {
                black_box(std::time::Instant::now());
            }
            "asked".to_owned()
        }
        Params::Sleep { ticks } => {
            robot.clock.sleep(ticks)?;
            "slept".to_owned()
        }
        Params::SleepStd { ms } => {
            let before = std::time::Instant::now();
            std::thread::sleep(std::time::Duration::from_millis(ms));
            format!("{} ms", before.elapsed().as_millis())
        }
        Params::LookOutside => {
            println!("standard output");
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).unwrap_or(0);
            format!(
                "{} variables, {} arguments, {read} bytes, file {}, socket {}",
                std::env::vars().count(),
                std::env::args().count(),
                std::fs::read("/etc/passwd").is_ok(),
                std::net::TcpStream::connect("127.0.0.1:80").is_ok()
            )
        }
        Params::Panic => panic!("on purpose"),
        Params::Trap => {
            #[cfg(target_family = "wasm")]
            core::arch::wasm32::unreachable();
            #[cfg(not(target_family = "wasm"))]
            std::process::abort()
        }
        Params::Recurse => format!("{}", recurse(0)),
        Params::Exit => std::process::exit(3),
        Params::Spin => {
            let mut x = 0_u64;
            loop {
                x = black_box(x.wrapping_add(1));
            }
        }
        Params::Copy => {
            let mut all = vec![1_u8; 24 << 20];
            let (a, b) = all.split_at_mut(12 << 20);
            loop {
                a.copy_from_slice(black_box(b));
                black_box(&a);
            }
        }
        Params::Allocate => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                all.push(vec![1; 1 << 20]);
                black_box(&all);
            }
        }
        Params::LongList { bytes } => {
            robot.memory.set("long", &vec![7; bytes])?;
            "taken".to_owned()
        }
        Params::LogFlood { lines } => {
            for line in 0..lines {
                robot
                    .log
                    .info(&format!("line {line} of a flood of many lines"));
            }
            "logged".to_owned()
        }
        Params::EventFlood { events } => {
            let mut refused = 0;
            for event in 0..events {
                refused += u64::from(robot.events.emit("flood", &event).is_err());
            }
            format!("{refused} refused")
        }
        Params::Stubborn { ticks } => {
            if robot.clock.sleep(ticks).is_err() {
                loop {
                    black_box(robot.clock.now());
                }
            }
            "slept".to_owned()
        }
        Params::IgnoreCancel => loop {
            let _ = robot.motion.move_to(side);
            let _ = robot.clock.sleep(10);
        },
        Params::TidyUp => {
            let ended = robot.motion.move_to(side);
            let told = robot.lifecycle.cancelled();
            let _ = robot.memory.set("tidy", b"yes");
            robot.log.info(&format!("{ended:?} {told}"));
            "tidied".to_owned()
        }
        Params::SafePoint => match resume {
            Some(progress) => format!("resumed at {}", progress.step),
            None => {
                robot.lifecycle.safe_point(&Progress { step: 2 })?;
                return Err(Failure::new("dropped", "on purpose").with_detail([1, 2]));
            }
        },
        Params::Count { steps, ticks } => {
            let first = resume.map_or(0, |progress| progress.step);
            for step in first..steps {
                robot.lifecycle.safe_point(&Progress { step })?;
                robot.clock.sleep(ticks)?;
            }
            format!("from {first} to {steps}")
        }
        Params::ForeignSafePoint => {
            robot.lifecycle.safe_point(&Foreign)?;
            "stored".to_owned()
        }
        Params::Remember => {
            let runs = robot.memory.get("runs")?.map_or(0, |bytes| bytes.len());
            robot.memory.set("runs", &vec![0; runs + 1])?;
            format!("{} runs, keys {:?}", runs + 1, robot.memory.keys()?)
        }
        Params::Forget => {
            robot.memory.set("word", b"said")?;
            let before = robot.memory.get("word")?.is_some();
            robot.memory.remove("word")?;
            robot.memory.remove("word")?;
            format!("{before} {:?}", robot.memory.get("word")?)
        }
        Params::FillMemory => {
            for key in 0..1_000_u32 {
                robot.memory.set(&key.to_string(), &[0; 1_000])?;
            }
            "filled".to_owned()
        }
        Params::ReadFile => read(robot, "secrets", "../../etc/passwd"),
        Params::HideRefusal { times, force } => {
            let mut flood = || {
                for time in 0..times {
                    let _ = robot.files.read("a\n{\"seq\":1}\u{202e}", "");
                    let _ = robot.events.emit("flood", &time);
                    robot.log.info("x");
                }
            };
            flood();
            let gripped = robot.gripper.grasp(force);
            flood();
            gripped?;
            "gripped".to_owned()
        }
        Params::WriteFile { path, bytes } => {
            robot.files.write("notes", &path, &vec![7; bytes])?;
            let read = read(robot, "notes", &path);
            format!("{read} in {:?}", robot.files.entries("notes", "")?)
        }
        Params::EditFiles { edits } => {
            let mut done = Vec::new();
            for (path, bytes) in edits {
                let edited = match bytes {
                    Some(bytes) => robot.files.write("notes", &path, &vec![7; bytes]),
                    None => robot.files.remove("notes", &path),
                };
                done.push(if edited.is_ok() { "done" } else { "refused" });
                robot.clock.sleep(1)?;
            }
            done.join(" ")
        }
        Params::ReadNote { path } => read(robot, "notes", &path),
        Params::Ask => format!("{:?}", robot.operator.ask("Go on?", &["yes", "no"], 100)?),
        Params::WrongResult => "x".repeat(300),
    })
}

fn read(robot: &Robot, directory: &str, path: &str) -> String {
    match robot.files.read(directory, path) {
        Ok(Some(bytes)) => format!("{} bytes", bytes.len()),
        Ok(None) => "nothing there".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return frame[3];
    }
    recurse(depth + 1) + frame[(depth % 64) as usize]
}
