//! Looking into an artifact in a process of its own: what it looks at may have been made to harm whoever looks, and to
//! compile is the most work that anybody can ask of a host.
//!
//! The child is this program, started anew. It bounds itself before it reads a byte: processor time, memory, no large
//! files, no core dump, the lowest priority that is asked for, an empty environment. It reads the artifact from its standard
//! input and answers on its standard output: eight bytes with the length of a JSON text, that text, and the machine code.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use sinew_plugin_host::{Grants, Limits, PluginHost};
use sinew_tasks::check_manifest;

use crate::files::BINARY_MAX;
use crate::kit::idle_ports;
use crate::sources::Sources;

/// Processor time of one look.
const CPU_SECONDS: u64 = 120;
/// Wall time, on a machine that has other things to do.
const WALL: Duration = Duration::from_secs(600);
/// Memory that can be written: code, heap and stacks of the compiler, and one instance.
const MEMORY_BYTES: u64 = 2 << 30;
/// More than a component of the largest size compiles to.
const ANSWER_MAX: u64 = 1 << 30;
/// Files in memory: the engine keeps the first contents of an instance's memory in one.
const FILE_BYTES: u64 = 64 << 20;
const NICE: i32 = 10;
const POLL: Duration = Duration::from_millis(5);

/// What the child says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// It can be used; its machine code follows.
    Fit { compiled_for: String },
    /// Why it can't.
    Unfit(String),
}

/// The child's part: bounds itself, then looks into what comes on standard input.
///
/// # Errors
/// The system refuses to bound it, or nobody listens.
pub fn serve(origin: &str) -> anyhow::Result<()> {
    confine().context("bounding the process that compiles")?;
    let mut artifact = Vec::new();
    (std::io::stdin().lock().take(BINARY_MAX + 1)).read_to_end(&mut artifact)?;
    let (answer, code) = match look_into(&artifact, origin)? {
        Ok((answer, code)) => (answer, code),
        Err(reason) => (Answer::Unfit(reason), Vec::new()),
    };
    let head = serde_json::to_vec(&answer)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&(head.len() as u64).to_le_bytes())?;
    out.write_all(&head)?;
    out.write_all(&code)?;
    out.flush()?;
    Ok(())
}

fn confine() -> anyhow::Result<()> {
    let bound = |resource, most: u64| {
        // Whoever started this may have set less.
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |there| there.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    bound(Resource::Cpu, CPU_SECONDS)?;
    bound(Resource::Data, MEMORY_BYTES)?;
    bound(Resource::Fsize, FILE_BYTES)?;
    bound(Resource::Core, 0)?;
    rustix::process::nice(NICE)?;
    Ok(())
}

fn look_into(artifact: &[u8], origin: &str) -> anyhow::Result<Result<(Answer, Vec<u8>), String>> {
    let config = Sources::default().load()?;
    let host = PluginHost::new(Limits::default(), Grants::default(), idle_ports(&config))?;
    let (manifest, code) = match host.compile(artifact, origin) {
        Ok(compiled) => compiled,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Err(error) = check_manifest(&manifest) {
        return Ok(Err(error.to_string()));
    }
    let answer = Answer::Fit {
        compiled_for: host.code_for(),
    };
    Ok(Ok((answer, code)))
}

/// Machine code that a child has made.
pub(crate) struct Compiled {
    pub(crate) code: Vec<u8>,
    /// What it is good for.
    pub(crate) code_for: String,
}

/// Has an artifact looked into by a child that `command` starts.
///
/// # Errors
/// Why it can't be used, in words.
pub(crate) fn examine(
    command: &[OsString],
    artifact: &[u8],
    origin: &str,
) -> Result<Compiled, String> {
    let (program, arguments) = (command.split_first())
        .ok_or("nothing is known that could compile it: name the program of the host")?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg("--")
        .arg(origin)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the process that compiles can't be started: {error}"))?;
    let (status, answer, words) = converse(&mut child, artifact);
    let status = status.map_err(|error| format!("the process that compiles: {error}"))?;
    if !status.success() {
        return Err(words_of_end(status, &words));
    }
    parse(&answer).ok_or("the process that compiles gave no answer that can be read".to_owned())?
}

/// Writes the artifact, and reads what comes, each on a thread: a child that does neither is ended when its time is over.
fn converse(child: &mut Child, artifact: &[u8]) -> (std::io::Result<ExitStatus>, Vec<u8>, String) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may end without reading all of it.
            stdin.map(|mut stdin| stdin.write_all(artifact))
        });
        let answer = scope.spawn(move || read_up_to(stdout, ANSWER_MAX));
        let words = scope.spawn(move || read_up_to(stderr, 4_096));
        let status = wait(child);
        let words = words.join().unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        (status, answer.join().unwrap_or_default(), words)
    })
}

fn read_up_to(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What could not be read is missing, and is noticed by that.
        let mut from = from.take(most);
        let _ = from.read_to_end(&mut bytes);
        let _ = std::io::copy(&mut from.into_inner(), &mut std::io::sink());
    }
    bytes
}

fn wait(child: &mut Child) -> std::io::Result<ExitStatus> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if since.elapsed() > WALL {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(POLL);
    }
}

fn words_of_end(status: ExitStatus, words: &str) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    let first = words.lines().next().unwrap_or_default();
    let why = match status.signal() {
        Some(signal) if signal == rustix::process::Signal::XCPU.as_raw() => {
            format!("it takes more than {CPU_SECONDS} s to compile")
        }
        Some(signal) if signal == rustix::process::Signal::KILL.as_raw() => format!(
            "it takes more than {CPU_SECONDS} s to compile, or the machine has no memory left for that"
        ),
        Some(signal) if signal == rustix::process::Signal::ABORT.as_raw() => {
            format!("it takes more than {} MiB to compile", MEMORY_BYTES >> 20)
        }
        _ => format!("the process that compiles it has failed ({status}: {first})"),
    };
    format!("{why}; make it smaller")
}

fn parse(answer: &[u8]) -> Option<Result<Compiled, String>> {
    let (length, rest) = answer.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (head, code) = rest.split_at_checked(length)?;
    Some(match serde_json::from_slice(head).ok()? {
        Answer::Unfit(reason) => Err(reason),
        Answer::Fit { compiled_for } => Ok(Compiled {
            code: code.to_vec(),
            code_for: compiled_for,
        }),
    })
}
