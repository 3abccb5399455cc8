//! Ed25519 keys of publishers, and the files that they are kept in.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use thiserror::Error;

/// What the file of a secret key has in it, and nothing else has.
pub const SECRET_PREFIX: &str = "sinew-secret-key-v1:";
const PUBLIC_PREFIX: &str = "ed25519:";
/// More than a key file has.
const FILE_MAX: u64 = 1_024;

/// What a publisher is known by: 32 bytes, written `ed25519:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub(crate) [u8; 32]);

/// What a publisher signs with. It is written to its own file and shown nowhere.
pub struct SecretKey(pub(crate) SigningKey);

/// What is wrong with a key or its file.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Not the text of a key.
    #[error(
        "`{found}` is no public key: it is written `ed25519:` and 64 hexadecimal digits in lower case"
    )]
    Public {
        /// What there is.
        found: String,
    },
    /// Not a file of a secret key.
    #[error("{path} holds no secret key of `sinew skill keygen`")]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// What is there is somebody's key.
    #[error("{path} exists, and is not replaced: it may be a key; name another file")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A secret that others can read.
    #[error(
        "{path} can be read by others (mode {mode:o}): chmod 600 it, and make a new key if somebody was there"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No file, no permission, no space.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PUBLIC_PREFIX}{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        (text.strip_prefix(PUBLIC_PREFIX))
            .and_then(bytes_of)
            .map(Self)
            .ok_or_else(|| KeyError::Public {
                found: text.chars().take(100).collect(),
            })
    }
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

impl SecretKey {
    /// A new one, from the system's randomness.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate() -> io::Result<Self> {
        let mut seed = [0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// What others know it by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// The file exists, or can't be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let trouble = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let mut file = (OpenOptions::new().write(true).create_new(true).mode(0o600))
            .open(path)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => KeyError::Exists {
                    path: path.to_owned(),
                },
                _ => trouble(error),
            })?;
        let text = format!("{SECRET_PREFIX}{}\n", HEXLOWER.encode(&self.0.to_bytes()));
        (file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all()))
        .map_err(|error| {
            // Half a key is worse than none.
            let _ = fs::remove_file(path);
            trouble(error)
        })
    }

    /// Reads it from its file.
    ///
    /// # Errors
    /// No such file, others can read it, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt as _;
        let trouble = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(path).map_err(trouble)?;
        let mode = file.metadata().map_err(trouble)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        let no_key = || KeyError::Secret {
            path: path.to_owned(),
        };
        match file.take(FILE_MAX).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(no_key()),
            Err(error) => return Err(trouble(error)),
        }
        (text.trim_end().strip_prefix(SECRET_PREFIX))
            .and_then(bytes_of)
            .map(|seed| Self(SigningKey::from_bytes(&seed)))
            .ok_or_else(no_key)
    }
}
