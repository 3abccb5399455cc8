//! What `sinew setup onnxruntime` does: fetches ONNX Runtime's PyPI wheel through pip, checks it, and
//! puts the library into the cache folder where [`crate::choose`] finds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::one_line;
use crate::sha256_hex;

/// The pinned version of ONNX Runtime.
pub const VERSION: &str = "1.31.1";

/// One pinned wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Operating system, as Rust names it.
    pub os: &'static str,
    /// Processor, as Rust names it.
    pub arch: &'static str,
    /// pip's platform tag.
    pub platform: &'static str,
    /// sha256 of the wheel.
    pub sha256: &'static str,
    /// The library inside of it.
    pub library: &'static str,
    /// sha256 of the library.
    pub library_sha256: &'static str,
}

/// The wheels that setup can fetch.
pub const WHEELS: [Wheel; 3] = [
    Wheel {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library: "libonnxruntime.so.1.31.1",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library: "libonnxruntime.so.1.31.1",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Wheel {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
        library: "libonnxruntime.1.31.1.dylib",
        library_sha256: "f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e",
    },
];

/// Why nothing was installed. The cache is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No wheel is pinned for this machine.
    #[error(
        "no ONNX Runtime wheel is pinned for {os} on {arch}; install it yourself and set ORT_DYLIB_PATH, or stay with the embedded backend"
    )]
    Platform {
        /// Operating system.
        os: &'static str,
        /// Processor.
        arch: &'static str,
    },
    /// No folder to install into.
    #[error("no cache folder: set SINEW_CACHE to a folder")]
    NoCache,
    /// pip is missing or failed.
    #[error(
        "`{command}` failed: {reason}; python3 with pip and access to a package index are needed"
    )]
    Pip {
        /// The command.
        command: String,
        /// Its last words.
        reason: String,
    },
    /// What arrived is not what is pinned.
    #[error("{file} has sha256 {found}, expected {expected}; nothing was installed")]
    Digest {
        /// The file.
        file: String,
        /// The pinned digest.
        expected: &'static str,
        /// The digest of what arrived.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The wheel for this machine, if one is pinned.
#[must_use]
pub fn wheel() -> Option<&'static Wheel> {
    WHEELS
        .iter()
        .find(|wheel| wheel.os == std::env::consts::OS && wheel.arch == std::env::consts::ARCH)
}

/// Fetches the pinned library into `<cache>/onnxruntime` and returns its path. `progress` is told each
/// step. A library that is already there and has the right digest is left alone.
///
/// # Errors
/// [`SetupError`]; the cache is then unchanged.
pub fn onnxruntime(cache: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, SetupError> {
    let wheel = wheel().ok_or(SetupError::Platform {
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    })?;
    let folder = cache.join("onnxruntime");
    let library = folder.join(wheel.library);
    if std::fs::read(&library).is_ok_and(|bytes| sha256_hex(&bytes) == wheel.library_sha256) {
        progress(&format!("{} is already there", library.display()));
        return Ok(library);
    }
    std::fs::create_dir_all(&folder).map_err(|source| file_error(&folder, source))?;
    let scratch = tempfile::tempdir_in(&folder).map_err(|source| file_error(&folder, source))?;

    progress(&format!(
        "fetching onnxruntime {VERSION} for {} through pip",
        wheel.platform
    ));
    // One fixed Python version is asked for, so that there is one wheel and one digest a platform,
    // whichever Python runs pip: only the library inside is used.
    python(
        &[
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--implementation",
            "cp",
            "--python-version",
            "311",
            "--platform",
            wheel.platform,
            "--dest",
        ],
        scratch.path(),
        &[&format!("onnxruntime=={VERSION}")],
    )?;
    let file = format!("onnxruntime-{VERSION}-cp311-cp311-{}.whl", wheel.platform);
    let path = scratch.path().join(&file);
    let bytes = std::fs::read(&path).map_err(|source| file_error(&path, source))?;
    verify(&file, &bytes, wheel.sha256)?;

    progress("the wheel's sha256 is right; unpacking the library");
    python(
        &["-m", "zipfile", "-e"],
        &path,
        &[&scratch.path().to_string_lossy()],
    )?;
    let unpacked = scratch
        .path()
        .join("onnxruntime")
        .join("capi")
        .join(wheel.library);
    let bytes = std::fs::read(&unpacked).map_err(|source| file_error(&unpacked, source))?;
    verify(wheel.library, &bytes, wheel.library_sha256)?;
    std::fs::rename(&unpacked, &library).map_err(|source| file_error(&library, source))?;
    progress(&format!("installed {}", library.display()));
    Ok(library)
}

fn verify(file: &str, bytes: &[u8], expected: &'static str) -> Result<(), SetupError> {
    let found = sha256_hex(bytes);
    if found == expected {
        return Ok(());
    }
    Err(SetupError::Digest {
        file: file.into(),
        expected,
        found,
    })
}

fn python(before: &[&str], path: &Path, after: &[&str]) -> Result<(), SetupError> {
    let mut command = Command::new("python3");
    command.args(before).arg(path).args(after);
    let failed = |reason: String| SetupError::Pip {
        command: format!("python3 {}", before[..before.len().min(3)].join(" ")),
        reason,
    };
    let output = command.output().map_err(|error| failed(one_line(&error)))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty());
    Err(failed(one_line(&last.unwrap_or("no message"))))
}

fn file_error(path: &Path, source: std::io::Error) -> SetupError {
    SetupError::File {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_wheel_is_refused() {
        let error = verify("x.whl", b"something else", WHEELS[0].sha256)
            .expect_err("the digest is another one");
        assert!(
            error.to_string().contains("nothing was installed"),
            "{error}"
        );
    }

    #[test]
    fn table_is_well_formed() {
        for wheel in WHEELS {
            for digest in [wheel.sha256, wheel.library_sha256] {
                assert_eq!(digest.len(), 64);
                assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
            assert!(wheel.library.contains(VERSION));
        }
    }
}
