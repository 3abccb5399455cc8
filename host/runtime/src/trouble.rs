//! The two troubles that a caller must tell apart from everything else: input that can't be used, and a
//! refusal. The command line turns them into exit codes 2 and 4.

/// The input can't be used: unknown name, bad file, impossible value. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InputError(pub String);

/// Somebody with the right to do so has to permit it first: a grant, a role, the safety layer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// An [`InputError`] ready for `?`.
pub(crate) fn input(message: impl Into<String>) -> anyhow::Error {
    InputError(message.into()).into()
}

/// What can't be written: refused where the disk is full or read-only, which no other input mends.
pub(crate) fn unwritable(what: &str, error: &std::io::Error) -> anyhow::Error {
    unwritable_in_words(format!("{what}: {error}"), error.kind())
}

/// The same of what is in words already.
pub(crate) fn unwritable_in_words(words: String, kind: std::io::ErrorKind) -> anyhow::Error {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::FileTooLarge
        | ErrorKind::ReadOnlyFilesystem => refused(words),
        _ => input(words),
    }
}

/// A [`Refused`] ready for `?`.
pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
    Refused(message.into()).into()
}
