//! The process on the other side.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::client::SidecarError;
use crate::messages::skill_server::{Skill, SkillServer};
use crate::messages::{Object, Observation, Step};
use crate::{CONNECTION_WINDOW, MESSAGE_MAX, STREAM_WINDOW};

/// Streams at once: whoever measures has one.
const STREAMS_MAX: u32 = 100;
/// Longest request.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Does the same as the skill in the sandbox.
struct Nearest;

#[tonic::async_trait]
impl Skill for Nearest {
    async fn look(&self, request: Request<Observation>) -> Result<Response<Step>, Status> {
        let seen = request.into_inner();
        let tool = (seen.robot.and_then(|robot| robot.tool))
            .ok_or_else(|| Status::invalid_argument("the robot has no tool"))?
            .position;
        let distance = |object: &&Object| -> f64 {
            let at = object.pose.as_ref().map(|pose| pose.position.as_slice());
            (at.unwrap_or_default().iter().zip(&tool))
                .map(|(a, b)| (a - b).powi(2))
                .sum()
        };
        let nearest = (seen.objects.iter()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        Ok(Response::new(Step {
            name: "pick".to_owned(),
            object_id: nearest.map_or(0, |object| object.id),
        }))
    }
}

/// Serves on a socket that it makes at `socket`, until standard input ends.
///
/// # Errors
/// The socket can't be made there.
pub fn serve(socket: &Path) -> Result<(), SidecarError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || {
                // Whoever started this holds the other end and writes nothing.
                let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
                let _ = ended.send(());
            })?;
        let skill = SkillServer::new(Nearest)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        let serving = Server::builder()
            .timeout(REQUEST_TIME)
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .add_service(skill)
            .serve_with_incoming(UnixListenerStream::new(listener));
        tokio::select! {
            served = serving => served.map_err(SidecarError::from),
            _ = end => Ok(()),
        }
    })
}
