//! The store itself: opening it, what it holds, and what of it may be loaded.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Transaction;

use crate::activation::SwapAt;
use crate::artifacts::Shelf;
use crate::database::{Database, FORMAT, is_file_or_nothing};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::history::line;
use crate::keys::PublicKey;
use crate::probation::Standing;
use crate::selector::Selector;
use crate::trust::Trust;

pub use semver::Version;

/// What the store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look.
    Read,
    /// To change what is there.
    Change,
    /// To change it, and to make it if it is not there.
    Create,
}

/// Who does something, and when.
#[derive(Clone, Debug)]
pub struct By {
    /// A person's name, or `sinew`.
    pub actor: String,
    /// Milliseconds since 1970; `None` under virtual time.
    pub unix_ms: Option<u64>,
}

/// One version of a plugin that the store holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// `publisher/name`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Digest of the whole file.
    pub digest: Digest,
    /// `skill` or `recovery`.
    pub kind: String,
    /// One line for people.
    pub summary: String,
    /// The key that signed it; `None`: nobody did, and it was let in for development.
    pub signer: Option<PublicKey>,
    /// Size of the artifact.
    pub bytes: u64,
    /// When it was installed, milliseconds since 1970.
    pub installed_ms: Option<u64>,
    /// What it is at the moment.
    pub state: State,
    /// Why it was rolled back, if it was.
    pub condemned: Option<String>,
    /// Nothing else becomes active instead of it.
    pub pinned: bool,
    /// A probation of it has ended well.
    pub proven: bool,
    compiled: Digest,
    compiled_for: String,
}

/// What a version is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// New tasks use it.
    Active {
        /// Whether it has shown yet that it is good.
        standing: Standing,
        /// When tasks that run on another version go over to it.
        swap_at: SwapAt,
    },
    /// What is gone back to if the active one fails.
    LastGood,
    /// Left because it failed.
    RolledBack,
    /// Here, and no more.
    Installed,
}

impl Held {
    /// Whether new tasks use it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Whether it is active and has not shown yet that it is good.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        matches!(
            self.state,
            State::Active {
                standing: Standing::Probation { .. },
                ..
            }
        )
    }

    /// Whether it may still run.
    ///
    /// # Errors
    /// It, or the key that signed it, is revoked.
    pub fn check_trust(&self, trust: &Trust) -> Result<(), StoreError> {
        (trust.still_counts(&self.name, self.digest, self.signer)).map_err(|source| {
            StoreError::Trust {
                origin: self.to_string(),
                source,
            }
        })
    }

    /// Whether it may have what it would be `allowed`, given what somebody has `agreed` that its versions may have.
    ///
    /// # Errors
    /// It would be allowed more: what.
    pub fn check_consent(
        &self,
        allowed: &BTreeSet<String>,
        agreed: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let more: Vec<&str> = allowed.difference(agreed).map(String::as_str).collect();
        if more.is_empty() {
            return Ok(());
        }
        Err(StoreError::Consent {
            name: self.name.clone(),
            version: self.version.clone(),
            more: more.join(", "),
        })
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active {
                standing: Standing::Good,
                ..
            } => "active",
            Self::Active { .. } => "probation",
            Self::LastGood => "last-good",
            Self::RolledBack => "rolled-back",
            Self::Installed => "installed",
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} ({})",
            self.name,
            self.version,
            self.digest.short()
        )
    }
}

/// What a host needs to run a plugin. The bytes were verified after they were read.
#[derive(Debug)]
pub struct Loadable {
    /// What it is.
    pub held: Held,
    /// The artifact.
    pub artifact: Vec<u8>,
    /// Machine code for the engine that was asked for, if the store has it whole.
    pub compiled: Option<Vec<u8>>,
}

/// Called at every step of a change after which the power could go: for tests.
pub(crate) type OnStep = Arc<dyn Fn(&'static str) + Send + Sync>;

/// A store of plugins.
pub struct Store {
    pub(crate) root: PathBuf,
    pub(crate) database: Database,
    pub(crate) artifacts: Shelf,
    pub(crate) compiled: Shelf,
    pub(crate) on_step: OnStep,
    patience: Duration,
}

/// How long a change waits for another one, unless somebody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Machine code is larger than what it was made from, and not without bound.
pub(crate) const COMPILED_MAX: u64 = 512 << 20;

impl Store {
    /// Opens the store in a folder.
    ///
    /// # Errors
    /// No store, another format, open to others, or unreadable.
    pub fn open(root: &Path, access: Access) -> Result<Self, StoreError> {
        Self::open_with_steps(root, access, Arc::new(|_| {}))
    }

    /// Opens it, and calls `on_step` with a word before and after everything that a change writes: a power loss can come
    /// at each of these.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_steps(
        root: &Path,
        access: Access,
        on_step: Arc<dyn Fn(&'static str) + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let trouble = |source| StoreError::File {
            path: root.to_owned(),
            source,
        };
        let artifacts = Shelf::new(root, "artifacts", "wasm");
        let compiled = Shelf::new(root, "compiled", "cwasm");
        if access == Access::Create && !root.exists() {
            let mut builder = DirBuilder::new();
            (builder.recursive(true).mode(0o700).create(root)).map_err(trouble)?;
            on_step("folder made");
        }
        if root.exists() && !root.is_dir() {
            return Err(StoreError::NotAStore {
                path: root.to_owned(),
            });
        }
        let no_store = || StoreError::NoStore {
            path: root.to_owned(),
        };
        if !root.is_dir() {
            return Err(no_store());
        }
        let metadata = fs::metadata(root).map_err(trouble)?;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            return Err(StoreError::Foreign {
                path: root.to_owned(),
                owner: metadata.uid(),
                user,
            });
        }
        if Database::is_blank(root) && !artifacts.is_empty() {
            return Err(Database::lost(root));
        }
        // Into somebody else's it could not have looked.
        if access != Access::Create && !Database::exists(root) {
            return Err(no_store());
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StoreError::Open {
                path: root.to_owned(),
                mode,
            });
        }
        if access == Access::Create {
            artifacts.prepare()?;
            compiled.prepare()?;
            on_step("folders made");
        }
        let database = Database::open(root, access != Access::Read)?;
        on_step("database opened");
        Ok(Self {
            root: root.to_owned(),
            database,
            artifacts,
            compiled,
            on_step,
            patience: PATIENCE,
        })
    }

    /// How long it waits for others before it says that it is busy: for whoever has something else to do.
    ///
    /// # Errors
    /// The database does not take it.
    pub fn patience(&mut self, patience: Duration) -> Result<(), StoreError> {
        self.patience = patience;
        self.database.patience(patience)
    }

    /// Writes what is there already: whether the disk takes it shows before it has to.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn try_writing(&mut self) -> Result<(), StoreError> {
        let rewrite = |change: &Transaction<'_>| change.pragma_update(None, "user_version", FORMAT);
        self.database.change(rewrite, || {})
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn step(&self) -> impl Fn(&'static str) + use<> {
        let on_step = Arc::clone(&self.on_step);
        move |what| on_step(what)
    }

    /// Nobody else changes files meanwhile. Released when it is dropped, and by the system if the process dies.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        let path = self.root.join("lock");
        let trouble = |source| StoreError::File {
            path: path.clone(),
            source,
        };
        if !is_file_or_nothing(&path) {
            // To open a pipe would wait for whoever reads from it.
            return Err(trouble(std::io::Error::other(
                "it is no file: take it away",
            )));
        }
        let file = (OpenOptions::new().write(true).create(true).truncate(false))
            .mode(0o600)
            .open(&path)
            .map_err(trouble)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if since.elapsed() < self.patience => {
                    let rest = self.patience.saturating_sub(since.elapsed());
                    thread::sleep(LOCK_POLL.min(rest));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Busy {
                        path: self.root.clone(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(trouble(error)),
            }
        }
    }

    /// One change of the state: all of it, or nothing.
    pub(crate) fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let step = self.step();
        step("change begun");
        let done = self.database.change(work, || step("change written"))?;
        step("change committed");
        Ok(done)
    }

    /// Takes away files that nothing refers to. Only under the lock: an installation writes its files before the
    /// rows that refer to them.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        let held = self.all()?;
        let step = self.step();
        let artifacts: BTreeSet<_> = held.iter().map(|held| held.digest).collect();
        self.artifacts.sweep(&artifacts, &step)?;
        let compiled: BTreeSet<_> = held.iter().map(|held| held.compiled).collect();
        self.compiled.sweep(&compiled, &step)
    }

    /// The names of every plugin that is or was in the store.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        self.database.read(|connection| {
            let query = "SELECT name FROM artifacts UNION SELECT name FROM gone";
            let mut statement = connection.prepare(query)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Everything that the store holds, by name, the newest version first.
    ///
    /// # Errors
    /// The database can't be read, or makes no sense.
    pub fn all(&self) -> Result<Vec<Held>, StoreError> {
        let rows = self.database.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT a.digest, a.name, a.version, a.kind, a.summary, a.signer, a.bytes, a.installed_ms,
                        a.compiled_sha256, a.compiled_for, a.condemned,
                        s.active IS a.digest, s.last_good IS a.digest, s.pinned, s.swap_at,
                        s.probation_runs, s.probation_failures, a.proven
                 FROM artifacts a JOIN skills s USING (name)",
            )?;
            let rows = statement.query_map([], Row::read)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut all = (rows.into_iter())
            .map(|row| {
                let digest = row.digest.clone();
                (row.held()).ok_or_else(|| {
                    let what = format!("what it says about the artifact {}", line(&digest));
                    self.database.damaged(what)
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| {
            let newest = b.version.cmp(&a.version);
            (a.name.cmp(&b.name))
                .then(newest)
                .then(b.installed_ms.cmp(&a.installed_ms))
        });
        Ok(all)
    }

    /// The versions of the one plugin that `selector` names, the newest first: all of them, or those that fit its version.
    ///
    /// # Errors
    /// None or several plugins fit, with what there is.
    pub fn select(&self, selector: &Selector) -> Result<Vec<Held>, StoreError> {
        let all = self.all()?;
        let unknown = |fitting: &[Held]| {
            let there: Vec<String> = fitting.iter().map(Held::to_string).collect();
            StoreError::Unknown {
                selector: selector.to_string(),
                there: if there.is_empty() {
                    "none".to_owned()
                } else {
                    there.join(", ")
                },
            }
        };
        let named: Vec<Held> = (all
            .iter()
            .filter(|held| selector.fits_name(&held.name))
            .cloned())
        .collect();
        if named.is_empty() {
            return Err(unknown(&all));
        }
        let by_version = named
            .iter()
            .filter(|held| selector.fits_version(&held.version));
        let mut fitting: Vec<Held> = by_version.cloned().collect();
        if fitting.is_empty() {
            let by_digest = named
                .iter()
                .filter(|held| selector.fits_digest(&held.digest));
            fitting = by_digest.cloned().collect();
        }
        if fitting.is_empty() {
            return Err(unknown(&named));
        }
        let names: BTreeSet<&str> = fitting.iter().map(|held| held.name.as_str()).collect();
        if names.len() > 1 {
            return Err(StoreError::Ambiguous {
                selector: selector.to_string(),
                fitting: names.into_iter().collect::<Vec<_>>().join(" and "),
            });
        }
        Ok(fitting)
    }

    /// The one version that `selector` names; without a version in it, the newest release.
    ///
    /// # Errors
    /// None or several fit.
    pub fn select_one(&self, selector: &Selector) -> Result<Held, StoreError> {
        let mut fitting = self.select(selector)?;
        if selector.is_of_one_version() && fitting.len() > 1 {
            let fitting: Vec<String> = fitting.iter().map(Held::to_string).collect();
            return Err(StoreError::Ambiguous {
                selector: selector.to_string(),
                fitting: fitting.join(" and "),
            });
        }
        // Whoever names no version does not mean one before its release.
        let released = fitting.iter().position(|held| held.version.pre.is_empty());
        Ok(fitting.swap_remove(released.unwrap_or(0)))
    }

    /// Every plugin's active version.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn active(&self) -> Result<Vec<Held>, StoreError> {
        let mut all = self.all()?;
        all.retain(Held::is_active);
        Ok(all)
    }

    /// Reads a version for a host: it must not be revoked, and be what was installed. Machine code that was made for
    /// another engine than `compiled_for`, or was changed, is left out.
    ///
    /// # Errors
    /// Revoked, or the artifact's file is gone or was changed.
    pub fn load(
        &self,
        held: &Held,
        trust: &Trust,
        compiled_for: &str,
    ) -> Result<Loadable, StoreError> {
        held.check_trust(trust)?;
        let artifact = self.artifact(held)?;
        let compiled = (held.compiled_for == compiled_for)
            .then(|| self.compiled.get(held.compiled, COMPILED_MAX).ok()?)
            .flatten();
        Ok(Loadable {
            held: held.clone(),
            artifact,
            compiled,
        })
    }

    /// The artifact of a version, as it was installed: to look at, revoked or not.
    ///
    /// # Errors
    /// Its file is gone or was changed.
    pub fn artifact(&self, held: &Held) -> Result<Vec<u8>, StoreError> {
        let there = self.artifacts.get(held.digest, held.bytes)?;
        there.ok_or_else(|| StoreError::Artifact {
            origin: held.to_string(),
            digest: held.digest,
        })
    }

    /// Keeps machine code that was made anew.
    ///
    /// # Errors
    /// It can't be written.
    pub fn recompiled(
        &mut self,
        held: &Held,
        compiled: &[u8],
        compiled_for: &str,
    ) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let digest = self.compiled.put(compiled, &self.step())?;
        self.change(|change| {
            change.execute(
                "UPDATE artifacts SET compiled_sha256 = ?, compiled_for = ? WHERE digest = ?",
                (digest.to_string(), compiled_for, held.digest.to_string()),
            )?;
            Ok(())
        })?;
        self.sweep()
    }
}

/// A row as it stands in the file.
struct Row {
    digest: String,
    name: String,
    version: String,
    kind: String,
    summary: String,
    signer: Option<String>,
    bytes: i64,
    installed_ms: Option<i64>,
    compiled: String,
    compiled_for: String,
    condemned: Option<String>,
    is_active: bool,
    is_last_good: bool,
    pinned: bool,
    swap_at: String,
    runs: i64,
    failures: i64,
    proven: bool,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            digest: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            kind: row.get(3)?,
            summary: row.get(4)?,
            signer: row.get(5)?,
            bytes: row.get(6)?,
            installed_ms: row.get(7)?,
            compiled: row.get(8)?,
            compiled_for: row.get(9)?,
            condemned: row.get(10)?,
            is_active: row.get(11)?,
            is_last_good: row.get(12)?,
            pinned: row.get(13)?,
            swap_at: row.get(14)?,
            runs: row.get(15)?,
            failures: row.get(16)?,
            proven: row.get(17)?,
        })
    }

    /// `None` if it makes no sense.
    fn held(self) -> Option<Held> {
        let texts = [&self.name, &self.kind, &self.summary];
        // Nobody writes lines of his own into what people read.
        if texts.iter().any(|text| text.chars().any(char::is_control)) {
            return None;
        }
        let state = if self.is_active {
            State::Active {
                standing: Standing::from_rows(self.runs, self.failures)?,
                swap_at: self.swap_at.parse().ok()?,
            }
        } else if self.is_last_good {
            State::LastGood
        } else if self.condemned.is_some() {
            State::RolledBack
        } else {
            State::Installed
        };
        Some(Held {
            name: self.name,
            version: self.version.parse().ok()?,
            digest: self.digest.parse().ok()?,
            kind: self.kind,
            summary: self.summary,
            signer: match self.signer {
                Some(key) => Some(key.parse().ok()?),
                None => None,
            },
            bytes: u64::try_from(self.bytes).ok()?,
            installed_ms: self.installed_ms.map(i64::cast_unsigned),
            state,
            condemned: self.condemned.map(|why| line(&why)),
            pinned: self.pinned && self.is_active,
            proven: self.proven,
            compiled: self.compiled.parse().ok()?,
            compiled_for: self.compiled_for,
        })
    }
}
