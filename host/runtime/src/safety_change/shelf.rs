//! Where a configuration is found that the log knows by its hash.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sinew_audit::Approvals;
use sinew_description::{Difference, RobotDescription, SafetyFile, difference};
use sinew_safety::SafetyLimits;

use crate::files;

/// Folder beside the log in which proposed configurations are kept, by hash.
const KEPT: &str = "safety";

/// Where to look for what the log knows by its hash.
pub(crate) struct Shelf<'a> {
    pub(crate) audit: &'a Path,
    pub(crate) robot: &'a RobotDescription,
}

/// The configuration that is active by a log.
pub(crate) struct Active {
    /// Its hash; `none` if nothing ever was activated and the robot can't have what is built in.
    pub(crate) hash: String,
    /// The configuration, if it is still to be had.
    pub(crate) file: Option<(SafetyFile, SafetyLimits)>,
}

impl Shelf<'_> {
    pub(crate) fn file(&self, hash: &str) -> PathBuf {
        Self::path(self.audit, hash)
    }

    /// Where what was proposed is kept for a log.
    pub(crate) fn path(audit: &Path, hash: &str) -> PathBuf {
        let folder = audit.parent().unwrap_or(Path::new(""));
        folder.join(KEPT).join(format!("{hash}.toml"))
    }

    /// The configuration with this hash: built in, or as it was proposed. A file that was changed since has another hash
    /// and is none.
    pub(crate) fn find(&self, hash: &str) -> Option<(SafetyFile, SafetyLimits)> {
        let fits = |file: SafetyFile| {
            let limits = file.limits(self.robot).ok()?;
            (limits.hash().to_string() == hash).then_some((file, limits))
        };
        let kept = || {
            let path = self.file(hash);
            // Never a pipe, which would be waited for.
            let text = files::read(&path).ok()?;
            fits(SafetyFile::from_toml_str(&text, &path.display().to_string()).ok()?)
        };
        fits(SafetyFile::builtin()).or_else(kept)
    }

    /// Keeps a copy of a file that was proposed.
    pub(crate) fn keep(&self, hash: &str, text: &str) -> anyhow::Result<()> {
        let to = self.file(hash);
        let write = || {
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)?;
            }
            files::replace(&to, text.as_bytes())
        };
        write().with_context(|| format!("keeping what is proposed in {}", to.display()))
    }

    /// What is active: what was activated last, or what is built in.
    pub(crate) fn active(&self, approvals: &Approvals) -> Active {
        match approvals.active() {
            Some(hash) => Active {
                hash: hash.to_owned(),
                file: self.find(hash),
            },
            None => {
                let file = SafetyFile::builtin();
                let limits = file.limits(self.robot).ok();
                Active {
                    hash: (limits.as_ref())
                        .map_or_else(|| "none".to_owned(), |limits| limits.hash().to_string()),
                    file: limits.map(|limits| (file, limits)),
                }
            }
        }
    }

    /// Hash of what is active, and how `new` differs from it if that is still to be had.
    pub(crate) fn against_active(
        &self,
        approvals: &Approvals,
        new: &SafetyLimits,
    ) -> (String, Option<Difference>) {
        let active = self.active(approvals);
        let difference =
            (active.file).map(|(_, old)| difference(old.config(), new.config(), self.robot));
        (active.hash, difference)
    }
}
