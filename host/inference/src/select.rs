//! Which backend to use, and where ONNX Runtime is looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::onnxruntime::OnnxRuntime;
use crate::{Backend, InferenceError};

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// ONNX Runtime where it is found and loads, the embedded backend otherwise.
    #[default]
    Auto,
    /// ONNX Runtime or an error; from this path, or from the search order if none is given.
    OnnxRuntime(Option<PathBuf>),
    /// The embedded backend or an error.
    Embedded,
}

/// A chosen backend, and what was tried before it.
pub struct Selection {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Why the ones before it were not taken; empty if the first one was.
    pub skipped: Vec<InferenceError>,
}

/// Chooses a backend and says what was skipped on the way.
///
/// ONNX Runtime is looked for in this order: `ORT_DYLIB_PATH`, beside the executable, the cache folder
/// that `sinew setup onnxruntime` fills ([`cache_dir`]). A library that `ORT_DYLIB_PATH` names and that can't
/// be used is an error if ONNX Runtime was asked for: another one would not be what the user meant.
///
/// # Errors
/// [`InferenceError`] if nothing that fits the choice can be used.
pub fn choose(choice: &Choice) -> Result<Selection, InferenceError> {
    match choice {
        Choice::Embedded => Ok(Selection {
            backend: embedded()?,
            skipped: Vec::new(),
        }),
        Choice::OnnxRuntime(Some(path)) => Ok(Selection {
            backend: Arc::new(OnnxRuntime::open(path)?),
            skipped: Vec::new(),
        }),
        Choice::OnnxRuntime(None) => match named() {
            Some(path) => choose(&Choice::OnnxRuntime(Some(path))),
            None => found().map_err(|mut errors| errors.remove(0)),
        },
        Choice::Auto => match found() {
            Ok(selection) => Ok(selection),
            Err(skipped) => Ok(Selection {
                backend: embedded()?,
                skipped,
            }),
        },
    }
}

/// [`choose`] for callers that do not care what was skipped.
///
/// # Errors
/// As [`choose`].
pub fn select(choice: &Choice) -> Result<Arc<dyn Backend>, InferenceError> {
    choose(choice).map(|selection| selection.backend)
}

/// The folder that downloads are kept in: `$SINEW_CACHE`, else `$XDG_CACHE_HOME/sinew`, else
/// `~/.cache/sinew`. `None` if none of these variables is set.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    cache_dir_from(|name| std::env::var_os(name))
}

fn cache_dir_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("SINEW_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("sinew")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("sinew")))
}

#[cfg(feature = "embedded")]
fn embedded() -> Result<Arc<dyn Backend>, InferenceError> {
    Ok(Arc::new(crate::embedded::Embedded))
}

#[cfg(not(feature = "embedded"))]
fn embedded() -> Result<Arc<dyn Backend>, InferenceError> {
    Err(InferenceError::NotBuilt)
}

/// The library that the user names.
fn named() -> Option<PathBuf> {
    std::env::var_os("ORT_DYLIB_PATH")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The first library of the search order that loads; otherwise why none did, at least one reason.
fn found() -> Result<Selection, Vec<InferenceError>> {
    let folders: Vec<PathBuf> = std::env::current_exe()
        .ok()
        .and_then(|executable| executable.parent().map(Path::to_path_buf))
        .into_iter()
        .chain(cache_dir().map(|cache| cache.join("onnxruntime")))
        .collect();
    let candidates = named()
        .into_iter()
        .chain(folders.iter().flat_map(|folder| libraries(folder)));
    let mut skipped = Vec::new();
    for path in candidates {
        match OnnxRuntime::open(&path) {
            Ok(backend) => {
                return Ok(Selection {
                    backend: Arc::new(backend),
                    skipped,
                });
            }
            Err(error) => skipped.push(error),
        }
    }
    if skipped.is_empty() {
        skipped.push(InferenceError::LibraryNotFound { searched: folders });
    }
    Err(skipped)
}

/// The ONNX Runtime libraries in a folder, newest version first as far as names tell.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.starts_with("libonnxruntime.so")
                || (name.starts_with("libonnxruntime") && name.ends_with(".dylib"))
                || name == "onnxruntime.dll"
        })
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version_of(name)));
    names.iter().map(|name| folder.join(name)).collect()
}

fn version_of(name: &str) -> (Vec<u64>, String) {
    let numbers = name.split('.').filter_map(|part| part.parse().ok());
    (numbers.collect(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_folder_follows_the_variables_in_order() {
        let of = |set: &[(&str, &str)]| {
            cache_dir_from(|name| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.cache/sinew".into()));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]),
            Some("/x/sinew".into())
        );
        assert_eq!(
            of(&[("SINEW_CACHE", "/s"), ("XDG_CACHE_HOME", "/x")]),
            Some("/s".into())
        );
        assert_eq!(
            of(&[("SINEW_CACHE", ""), ("HOME", "/h")]),
            Some("/h/.cache/sinew".into())
        );
    }

    #[test]
    fn only_the_library_itself_is_a_candidate_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so",
            "notes.txt",
        ] {
            std::fs::write(folder.path().join(name), b"").expect("a file");
        }
        let found: Vec<_> = libraries(folder.path())
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        assert_eq!(
            found,
            ["libonnxruntime.so.1.31.1", "libonnxruntime.so.1.9.0"]
        );
    }

    #[test]
    fn a_library_that_is_none_is_a_clean_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = folder.path().join("libonnxruntime.so");
        std::fs::write(&text, b"this is no library").expect("a file");
        for path in [text, folder.path().join("missing.so")] {
            let Err(error) = choose(&Choice::OnnxRuntime(Some(path))) else {
                panic!("a text file was loaded");
            };
            assert!(
                error.to_string().contains("sinew setup onnxruntime"),
                "{error}"
            );
        }
    }
}
