//! What this machine has, and what to do about what it lacks.

use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;
use sinew_inference::{Choice, choose, probe};
use sinew_units::TICK_NS;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but something better is to be had.
    Warn,
    /// Doesn't work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if nothing.
    pub fix: String,
}

/// All checks, in the order in which they are shown.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Nothing failed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status != Status::Fail)
    }

    /// The checks as a person reads them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for check in &self.checks {
            let mark = match check.status {
                Status::Ok => "ok  ",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            lines.push(format!("{mark}  {:<18} {}", check.name, check.detail));
            if !check.fix.is_empty() {
                lines.push(format!("      {:<18} -> {}", "", check.fix));
            }
        }
        lines.push(
            "Sinew is not a certified safety function and claims no PL or SIL: a certified emergency stop and \
             drive limits must exist on their own."
                .into(),
        );
        lines.join("\n")
    }
}

/// Looks at this machine. Takes about a second.
#[must_use]
pub fn examine() -> Diagnosis {
    let mut checks = vec![inference(), onnx_runtime(), embedded()];
    checks.extend(crate::assets::checks());
    checks.extend([
        cores(),
        timer(),
        realtime_priority(),
        memory_lock(),
        guest_target(),
    ]);
    Diagnosis { checks }
}

fn check(name: &'static str, status: Status, detail: String, fix: &str) -> Check {
    Check {
        name,
        status,
        detail,
        fix: fix.into(),
    }
}

fn inference() -> Check {
    let name = "inference";
    match choose(&Choice::Auto) {
        Ok(selection) => check(
            name,
            Status::Ok,
            format!(
                "{} {} runs the models",
                selection.backend.name(),
                selection.backend.version()
            ),
            "",
        ),
        Err(error) => check(
            name,
            Status::Fail,
            error.to_string(),
            "sinew setup onnxruntime",
        ),
    }
}

fn speed(choice: &Choice) -> Result<String, String> {
    let selection = choose(choice).map_err(|error| error.to_string())?;
    let measured = probe(&*selection.backend).map_err(|error| error.to_string())?;
    Ok(format!(
        "{}: a 64-128-128-7 network in {:.1} µs (p50), {:.1} µs (p99); loaded in {:.1} ms",
        measured.version,
        measured.run_p50.as_secs_f64() * 1e6,
        measured.run_p99.as_secs_f64() * 1e6,
        measured.load.as_secs_f64() * 1e3
    ))
}

fn onnx_runtime() -> Check {
    let name = "onnxruntime";
    match speed(&Choice::OnnxRuntime(None)) {
        Ok(detail) => check(name, Status::Ok, detail, ""),
        Err(reason) => check(
            name,
            Status::Warn,
            reason,
            "sinew setup onnxruntime fetches it (needs python3 with pip); without it the slower embedded backend runs",
        ),
    }
}

fn embedded() -> Check {
    let name = "embedded inference";
    match speed(&Choice::Embedded) {
        Ok(detail) => check(name, Status::Ok, detail, ""),
        Err(reason) => check(
            name,
            Status::Fail,
            reason,
            "report this: it is part of the binary",
        ),
    }
}

fn cores() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let status = if cores >= 2 { Status::Ok } else { Status::Warn };
    check(
        "cores",
        status,
        format!("{cores}"),
        if cores >= 2 {
            ""
        } else {
            "with one core, physics and inference take turns; virtual time is slower, results are the same"
        },
    )
}

/// How late a thread of normal priority wakes up from a 1 ms sleep.
fn timer() -> Check {
    let mut late: Vec<Duration> = (0..500)
        .map(|_| {
            let asked = Duration::from_nanos(TICK_NS);
            let start = Instant::now();
            std::thread::sleep(asked);
            start.elapsed().saturating_sub(asked)
        })
        .collect();
    late.sort();
    let p99 = late[late.len() * 99 / 100];
    let fits = p99 < Duration::from_nanos(TICK_NS);
    check(
        "timer",
        if fits { Status::Ok } else { Status::Warn },
        format!(
            "1 ms sleeps wake {:.0} µs late (p50), {:.0} µs (p99)",
            late[late.len() / 2].as_secs_f64() * 1e6,
            p99.as_secs_f64() * 1e6
        ),
        if fits {
            ""
        } else {
            "real time (--speed real) will miss ticks on this machine as it is loaded now; virtual time doesn't care"
        },
    )
}

/// A resource limit of this process, as `/proc/self/limits` words it. `None` off Linux.
fn soft_limit(name: &str) -> Option<String> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with(name))?;
    line[name.len()..]
        .split_whitespace()
        .next()
        .map(str::to_owned)
}

fn realtime_priority() -> Check {
    let name = "real-time rights";
    match soft_limit("Max realtime priority").as_deref() {
        Some("0") => check(
            name,
            Status::Warn,
            "real-time priorities are not permitted".into(),
            "on a robot: `@robot - rtprio 80` in /etc/security/limits.d/sinew.conf, then log in again; not needed in virtual time",
        ),
        Some(limit) => check(name, Status::Ok, format!("priorities up to {limit}"), ""),
        None => check(name, Status::Warn, "unknown on this system".into(), ""),
    }
}

fn memory_lock() -> Check {
    let name = "locked memory";
    match soft_limit("Max locked memory").as_deref() {
        Some("unlimited") => check(name, Status::Ok, "unlimited".into(), ""),
        Some(bytes) => check(
            name,
            Status::Warn,
            format!("at most {bytes} bytes"),
            "on a robot: `@robot - memlock unlimited` in /etc/security/limits.d/sinew.conf; not needed in virtual time",
        ),
        None => check(name, Status::Warn, "unknown on this system".into(), ""),
    }
}

/// Whether skills can be built here.
fn guest_target() -> Check {
    let name = "guest target";
    let fix = "rustup target add wasm32-wasip2; only needed to build skills";
    let found = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .output();
    match found {
        Ok(output) if output.status.success() => {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if std::path::Path::new(&folder).is_dir() {
                check(name, Status::Ok, "wasm32-wasip2 is installed".into(), "")
            } else {
                check(
                    name,
                    Status::Warn,
                    "wasm32-wasip2 is not installed".into(),
                    fix,
                )
            }
        }
        _ => check(name, Status::Warn, "no rustc here".into(), fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_no_failure_and_fixes_are_shown() {
        let mut diagnosis = Diagnosis {
            checks: vec![
                check("a", Status::Ok, "fine".into(), ""),
                check("b", Status::Warn, "so so".into(), "do this"),
            ],
        };
        assert!(diagnosis.is_healthy());
        assert!(diagnosis.to_text().contains("-> do this"));
        diagnosis
            .checks
            .push(check("c", Status::Fail, "broken".into(), ""));
        assert!(!diagnosis.is_healthy());
    }
}
