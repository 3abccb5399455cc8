//! What can go wrong with a store, in words that say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::digest::Digest;
use crate::signature::SignatureError;
use crate::store::Version;
use crate::trust::TrustError;

/// What to do about a database that can't be mended.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            "; what it held is lost: put back a copy of the folder, or install and activate anew in another one"
        }
        _ => "",
    }
}

/// Why something was not done. Nothing has changed then.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No store.
    #[error("{path} is no store of skills; `sinew skill install` makes one")]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// Something else.
    #[error("{path} is no store of skills, but something else: name another folder")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of Sinew.
    #[error(
        "{path} has the format {found}, this version of sinew knows up to {known}: use the version that wrote it, or a later one"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Written while Sinew was being made, before stores were kept from one version to the next.
    #[error(
        "{path} has the format {found} of a development build, this version of sinew knows {known}: move it away, and install \
         again what should be there"
    )]
    Older {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// What is known here.
        known: i64,
    },
    /// Others could change it.
    #[error(
        "{path} is open to others (mode {mode:o}): chmod 700 it, and install again what should be there"
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else's: who owns it decides what is run out of it.
    #[error(
        "{path} belongs to the user {owner}, and this is the user {user}: use a store of your own"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Somebody else changes it.
    #[error("{path} is being changed by another sinew; try again when it is done")]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database can't be read or written.
    #[error("{path}: {source}{}", advice(source))]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// What the database says makes no sense.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// More bytes than an artifact has.
    #[error("{origin} has {size} bytes, {most} are allowed")]
    TooLarge {
        /// The file.
        origin: String,
        /// Its size.
        size: usize,
        /// The limit.
        most: usize,
    },
    /// Its signature.
    #[error("{origin}: {source}")]
    Signature {
        /// The file.
        origin: String,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// Its signer, or its own revocation.
    #[error("{origin}: {source}")]
    Trust {
        /// The file or the plugin.
        origin: String,
        /// Why it does not count.
        source: TrustError,
    },
    /// Nobody has signed it.
    #[error(
        "{origin} is not signed. Sign it: sinew skill sign {origin} --key FILE; or, on a robot for development only, take it \
         as it is with --unsigned"
    )]
    Unsigned {
        /// The file.
        origin: String,
    },
    /// Nobody has signed it, and its publisher signs.
    #[error(
        "{origin} is not signed, and the trust file has keys of its publisher `{publisher}`: what is theirs is taken signed only"
    )]
    UnsignedOfSigner {
        /// The file.
        origin: String,
        /// The publisher.
        publisher: String,
    },
    /// What is inside.
    #[error("{origin}: {reason}")]
    Unfit {
        /// The file.
        origin: String,
        /// Why it can't be used.
        reason: String,
    },
    /// A version is one file, for ever.
    #[error(
        "`{name}` {version} {}, with other contents ({there}, this one is {new}): a version is never used twice, raise it",
        if *.is_gone { "was here before" } else { "is here already" }
    )]
    VersionReused {
        /// The plugin.
        name: String,
        /// The version.
        version: Version,
        /// It was removed since.
        is_gone: bool,
        /// Digest of what is or was here.
        there: String,
        /// Digest of what came.
        new: String,
    },
    /// Nothing fits.
    #[error("no plugin in the store fits `{selector}`; there are: {there}")]
    Unknown {
        /// What was asked for.
        selector: String,
        /// What there is.
        there: String,
    },
    /// Several fit.
    #[error("`{selector}` is ambiguous; it fits {fitting}")]
    Ambiguous {
        /// What was asked for.
        selector: String,
        /// What it fits.
        fitting: String,
    },
    /// Below what was active once.
    #[error(
        "`{name}` {version} is older than {highest}, which was active once: an old version may have a hole that was mended. \
         If that is meant, say --downgrade; the audit log will"
    )]
    Downgrade {
        /// The plugin.
        name: String,
        /// The version.
        version: Version,
        /// The highest ever active.
        highest: Version,
    },
    /// It was rolled back.
    #[error(
        "`{name}` {version} was rolled back: {why}. If it should be tried again, say --again; the audit log will"
    )]
    Condemned {
        /// The plugin.
        name: String,
        /// The version.
        version: Version,
        /// Why.
        why: String,
    },
    /// It would get more than the version before.
    #[error(
        "`{name}` {version} asks for more than it was allowed until now: {more}. Somebody has to agree first: sinew grants \
         approve {name}@{version} --actor NAME"
    )]
    Consent {
        /// The plugin.
        name: String,
        /// The version.
        version: Version,
        /// What is new.
        more: String,
    },
    /// It is pinned.
    #[error(
        "`{name}` is pinned to {version}; sinew skill pin {name} --off --actor NAME lets it go"
    )]
    Pinned {
        /// The plugin.
        name: String,
        /// The version that it is pinned to.
        version: Version,
    },
    /// Nothing to go back to.
    #[error(
        "`{name}` has no version that was good before; `sinew skill activate {name}@VERSION --actor NAME` names one, and `sinew skill remove \
         {name}@VERSION --active --actor NAME` leaves none active"
    )]
    NothingBefore {
        /// The plugin.
        name: String,
    },
    /// It is not active.
    #[error("{} is not active", .version.as_ref().map_or_else(|| format!("`{name}`"), |version| format!("`{name}` {version}")))]
    NotActive {
        /// The plugin.
        name: String,
        /// The version, if one was named.
        version: Option<Version>,
    },
    /// It is needed.
    #[error("`{name}` {version} is {state}: {instead}")]
    InUse {
        /// The plugin.
        name: String,
        /// The version.
        version: Version,
        /// `active` or the like.
        state: &'static str,
        /// What to do first.
        instead: String,
    },
    /// The file is gone, or not what was installed.
    #[error(
        "{origin}: its artifact ({digest}) in the store is gone, or is not what was installed any more: install it again"
    )]
    Artifact {
        /// The plugin.
        origin: String,
        /// What it should be.
        digest: Digest,
    },
}

impl StoreError {
    /// It was refused by somebody's decision, and not for what it is: exit code 4 of the command line.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Trust { .. }
            | Self::Unsigned { .. }
            | Self::UnsignedOfSigner { .. }
            | Self::VersionReused { .. }
            | Self::Downgrade { .. }
            | Self::Condemned { .. }
            | Self::Consent { .. }
            | Self::Pinned { .. }
            | Self::InUse { .. }
            | Self::Open { .. }
            | Self::Foreign { .. }
            | Self::Busy { .. } => true,
            Self::Signature { source, .. } => {
                matches!(source, SignatureError::Wrong | SignatureError::Key)
            }
            Self::File { source, .. } => is_no_space(source.kind()),
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    rusqlite::ErrorCode::DiskFull
                        | rusqlite::ErrorCode::ReadOnly
                        | rusqlite::ErrorCode::DatabaseBusy
                )
            ),
            _ => false,
        }
    }
}

fn is_no_space(kind: io::ErrorKind) -> bool {
    use io::ErrorKind;
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
    )
}
