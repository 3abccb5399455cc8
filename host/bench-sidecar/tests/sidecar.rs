//! The host's side against processes that are no sidecar: an error in words, and no hang.

use std::ffi::OsString;

use sinew_bench_sidecar::{Sidecar, SidecarError, serve};

/// What starting `command` is answered.
#[track_caller]
fn refused(command: &[&str]) -> SidecarError {
    let command: Vec<OsString> = command.iter().map(Into::into).collect();
    match Sidecar::start(&command) {
        Err(error) => error,
        Ok(sidecar) => panic!("process {} is a sidecar", sidecar.process()),
    }
}

#[test]
fn what_does_not_start_or_ends_is_said_in_words() {
    assert!(matches!(refused(&[]), SidecarError::Io(_)));
    assert!(matches!(
        refused(&["/nowhere/sidecar"]),
        SidecarError::Io(_)
    ));
    let SidecarError::Ended { status, words } = refused(&["sh", "-c", "echo no room >&2; exit 3"])
    else {
        panic!("it has ended");
    };
    assert_eq!(words, "no room");
    assert!(status.contains('3'), "{status}");
}

#[test]
fn what_makes_no_socket_is_given_up() {
    assert!(matches!(
        refused(&["sh", "-c", "exec sleep 600"]),
        SidecarError::Silent(_)
    ));
}

#[test]
fn a_socket_that_can_not_be_made_is_an_error() {
    let served = serve(std::path::Path::new("/nowhere/socket"));
    assert!(matches!(served, Err(SidecarError::Io(_))), "{served:?}");
}
