//! The host's side.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::messages::skill_client::SkillClient;
use crate::messages::{Observation, Step};
use crate::{CONNECTION_WINDOW, MESSAGE_MAX, STREAM_WINDOW};

/// Time in which the process has to answer its first call.
const START_TIME: Duration = Duration::from_secs(10);
/// Time of one batch of calls, beside what they may take each.
const BATCH_TIME: Duration = Duration::from_secs(10);
/// Longest that a call may take on average.
const CALL_TIME: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(5);
/// Longest path of a socket on any system that this runs on, bytes.
const PATH_MAX: usize = 100;

/// Why the sidecar can't be measured.
#[derive(Debug, Error)]
pub enum SidecarError {
    /// Folder, socket or process.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No folder for the socket.
    #[error("a folder for the sidecar's socket, in {folder}: {error}; TMPDIR names another place")]
    Folder {
        /// Where it was to be.
        folder: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The path of a socket has room for about a hundred bytes.
    #[error("the path {0} is too long for a socket; TMPDIR names another place")]
    Path(String),
    /// The process has ended.
    #[error("the sidecar has ended ({status}): {words}")]
    Ended {
        /// How.
        status: String,
        /// What it said.
        words: String,
    },
    /// It does not answer.
    #[error("the sidecar does not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection, or the server.
    #[error("the sidecar's connection: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// What a call was answered.
    #[error("a call to the sidecar: {0}")]
    Call(#[from] tonic::Status),
}

/// A process that was started for this, and the one connection to it. Dropping it ends the process and removes the socket.
pub struct Sidecar {
    runtime: Runtime,
    client: SkillClient<Channel>,
    child: Started,
    _folder: TempDir,
}

/// Ends with whoever holds it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sidecar {
    /// Starts `command` with the path of a socket behind it, and waits until it answers.
    ///
    /// # Errors
    /// It can't be started, ends, or does not answer.
    pub fn start(command: &[OsString]) -> Result<Self, SidecarError> {
        let folder = private_folder()?;
        let socket = folder.path().join("s");
        let path = (socket.to_str())
            .filter(|path| path.len() <= PATH_MAX)
            .ok_or_else(|| SidecarError::Path(socket.display().to_string()))?;
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| std::io::Error::other("nothing is named that could be the sidecar"))?;
        let child = Command::new(program)
            .args(arguments)
            .arg(&socket)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut child = Started(child);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        wait_for(&socket, &mut child)?;
        let endpoint = Endpoint::from_shared(format!("unix://{path}"))?
            .connect_timeout(START_TIME)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = runtime.block_on(endpoint.connect())?;
        let client = SkillClient::new(channel)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        Ok(Self {
            runtime,
            client,
            child,
            _folder: folder,
        })
    }

    /// Calls `times`, one after the other: `ask` makes each message, and `answered` is told each answer.
    ///
    /// # Errors
    /// A call fails, or they take too long together.
    pub fn look(
        &mut self,
        times: u32,
        mut ask: impl FnMut() -> Observation,
        mut answered: impl FnMut(&Step),
    ) -> Result<(), SidecarError> {
        let Self {
            runtime, client, ..
        } = self;
        let time = BATCH_TIME + CALL_TIME * times;
        // One deadline for all of them: a timer in each call would be part of what is measured.
        let called = runtime.block_on(async {
            tokio::time::timeout(time, async {
                for _ in 0..times {
                    let answer = client.look(ask()).await?;
                    answered(&answer.into_inner());
                }
                Ok::<_, SidecarError>(())
            })
            .await
        });
        match called {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.child.end()?.unwrap_or(error)),
            Err(_) => Err(self.child.end()?.unwrap_or(SidecarError::Silent(time))),
        }
    }

    /// Number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.0.id()
    }
}

impl Started {
    /// The error that tells its end, if it has ended.
    fn end(&mut self) -> Result<Option<SidecarError>, SidecarError> {
        let Some(status) = self.0.try_wait()? else {
            return Ok(None);
        };
        let mut words = String::new();
        if let Some(stderr) = self.0.stderr.take() {
            // It has ended, so this ends, too, unless it has children of its own; it has none.
            let _ = stderr.take(4_096).read_to_string(&mut words);
        }
        Ok(Some(SidecarError::Ended {
            status: status.to_string(),
            words: words.lines().next().unwrap_or_default().to_owned(),
        }))
    }
}

fn wait_for(socket: &Path, child: &mut Started) -> Result<(), SidecarError> {
    let since = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        if let Some(error) = child.end()? {
            return Err(error);
        }
        if since.elapsed() > START_TIME {
            return Err(SidecarError::Silent(START_TIME));
        }
        std::thread::sleep(RETRY);
    }
    Ok(())
}

/// A folder that only this user can enter.
fn private_folder() -> Result<TempDir, SidecarError> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .prefix("sinew-bench-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| SidecarError::Folder {
            folder: std::env::temp_dir().display().to_string(),
            error,
        })
}
