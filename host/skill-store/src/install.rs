//! Letting an artifact in.

use crate::digest::Digest;
use crate::error::StoreError;
use crate::examine::{Examined, Examiner};
use crate::history::{Of, What, note};
use crate::keys::PublicKey;
use crate::signature::layout;
use crate::store::{By, Held, Store};
use crate::trust::{Date, Trust, TrustError};

/// On what terms something is let in.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// What it is called in messages.
    pub origin: &'a str,
    /// Whose signatures count.
    pub trust: &'a Trust,
    /// Today.
    pub today: Date,
    /// Development: what nobody has signed is let in, too.
    pub unsigned: bool,
    /// Most bytes.
    pub most_bytes: usize,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What the store holds now.
    pub held: Held,
    /// It was there before.
    pub already: bool,
}

/// An artifact whose signature, or lack of one, is in order. Nothing of its inside has been looked at but its sections.
struct Admitted {
    digest: Digest,
    signer: Option<(PublicKey, String)>,
}

impl Store {
    /// Lets an artifact in. What it is does not change which version is active.
    ///
    /// # Errors
    /// Whatever is wrong with its size, signature, signer or inside; a version that is here with other contents; a store
    /// that can't be written. The store is as before then.
    pub fn install(
        &mut self,
        artifact: &[u8],
        how: &Installation<'_>,
        examiner: &mut dyn Examiner,
        by: &By,
    ) -> Result<Installed, StoreError> {
        let admitted = admit(artifact, how)?;
        let examined =
            (examiner.examine(artifact, how.origin)).map_err(|unfit| StoreError::Unfit {
                origin: how.origin.to_owned(),
                reason: unfit.0,
            })?;
        check_publisher(&admitted, &examined, how)?;
        self.keep(artifact, &admitted, &examined, by)
    }

    fn keep(
        &mut self,
        artifact: &[u8],
        admitted: &Admitted,
        examined: &Examined,
        by: &By,
    ) -> Result<Installed, StoreError> {
        let _lock = self.lock()?;
        self.sweep()?;
        let held = self.all()?;
        let same = held.iter().find(|held| held.digest == admitted.digest);
        self.check_version(&held, admitted, examined)?;
        let step = self.step();
        self.artifacts.put(artifact, &step)?;
        let compiled = self.compiled.put(&examined.compiled, &step)?;
        let already = same.is_some();
        let signer = admitted.signer.as_ref().map(|(key, _)| key.to_string());
        let new = |change: &rusqlite::Transaction<'_>| {
            change.execute(
                "INSERT INTO skills (name) VALUES (?) ON CONFLICT DO NOTHING",
                [&examined.name],
            )?;
            // What was installed again has its own signer, and machine code that is whole.
            change.execute(
                "INSERT INTO artifacts
                 (digest, name, version, kind, summary, signer, bytes, installed_ms, compiled_sha256, compiled_for)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (digest) DO UPDATE SET compiled_sha256 = ?9, compiled_for = ?10",
                (
                    admitted.digest.to_string(),
                    &examined.name,
                    examined.version.to_string(),
                    &examined.kind,
                    &examined.summary,
                    &signer,
                    artifact.len() as i64,
                    by.unix_ms.map(u64::cast_signed),
                    compiled.to_string(),
                    &examined.compiled_for,
                ),
            )
        };
        self.change(|change| {
            new(change)?;
            if !already {
                know_again(change, admitted.digest)?;
                let said = match &signer {
                    Some(key) => format!("signed by {key}"),
                    None => "UNSIGNED, for development".to_owned(),
                };
                let of = Of {
                    name: &examined.name,
                    version: &examined.version,
                    digest: admitted.digest,
                };
                note(change, by, What::Installed, of, &said)?;
            }
            Ok(())
        })?;
        let held = self
            .all()?
            .into_iter()
            .find(|held| held.digest == admitted.digest);
        held.map(|held| Installed { held, already })
            .ok_or_else(|| self.database.damaged("what was installed is not there"))
    }

    /// A version is one file for ever, but for those that a developer makes without a signature.
    fn check_version(
        &self,
        held: &[Held],
        admitted: &Admitted,
        examined: &Examined,
    ) -> Result<(), StoreError> {
        let other = held.iter().find(|held| {
            held.name == examined.name
                && held.version == examined.version
                && held.digest != admitted.digest
                && (held.signer.is_some() || admitted.signer.is_some())
        });
        let (is_gone, there) = match other {
            Some(other) => (false, other.digest.short()),
            None => match self.removed(admitted, examined)? {
                Some(digest) => (true, digest.chars().take(12).collect()),
                None => return Ok(()),
            },
        };
        Err(StoreError::VersionReused {
            name: examined.name.clone(),
            version: examined.version.clone(),
            is_gone,
            there,
            new: admitted.digest.short(),
        })
    }

    /// The digest that this version had before it was removed, if it was another one. What was tried without a signature
    /// binds nobody.
    fn removed(
        &self,
        admitted: &Admitted,
        examined: &Examined,
    ) -> Result<Option<String>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT digest FROM gone WHERE name = ? AND version = ? AND digest <> ? AND signed",
            )?;
            let mut rows = statement.query_map(
                (
                    &examined.name,
                    examined.version.to_string(),
                    admitted.digest.to_string(),
                ),
                |row| row.get(0),
            )?;
            rows.next().transpose()
        })
    }
}

/// What was known of a version before it was removed is known again, and from now on of the one that is here.
fn know_again(change: &rusqlite::Transaction<'_>, digest: Digest) -> rusqlite::Result<()> {
    let digest = digest.to_string();
    change.execute(
        "UPDATE artifacts SET condemned = (SELECT condemned FROM gone WHERE digest = ?1) WHERE digest = ?1",
        [&digest],
    )?;
    change.execute("DELETE FROM gone WHERE digest = ?", [&digest])?;
    Ok(())
}

/// Size, revocation, signature, and that the signature is all there is of its kind. In this order.
fn admit(artifact: &[u8], how: &Installation<'_>) -> Result<Admitted, StoreError> {
    let origin = || how.origin.to_owned();
    if artifact.len() > how.most_bytes {
        return Err(StoreError::TooLarge {
            origin: origin(),
            size: artifact.len(),
            most: how.most_bytes,
        });
    }
    let digest = Digest::of(artifact);
    let distrusted = |source| StoreError::Trust {
        origin: origin(),
        source,
    };
    let unsigned_by = |source| StoreError::Signature {
        origin: origin(),
        source,
    };
    how.trust.check_revoked_digest(digest).map_err(distrusted)?;
    let layout = layout(artifact);
    let signer = match layout.signature {
        Some((key, _)) => {
            let publisher = how.trust.publisher(key, how.today).map_err(distrusted)?;
            layout.verify().map_err(unsigned_by)?;
            Some((key, publisher.to_owned()))
        }
        None => None,
    };
    layout.check_sections().map_err(unsigned_by)?;
    if signer.is_none() && !how.unsigned {
        return Err(StoreError::Unsigned { origin: origin() });
    }
    Ok(Admitted { digest, signer })
}

/// A key signs for its own publisher only, and who signs is not stood in for by who doesn't.
fn check_publisher(
    admitted: &Admitted,
    examined: &Examined,
    how: &Installation<'_>,
) -> Result<(), StoreError> {
    let publisher = examined.name.split('/').next().unwrap_or_default();
    match &admitted.signer {
        Some((key, of)) if of != publisher => Err(StoreError::Trust {
            origin: how.origin.to_owned(),
            source: TrustError::OtherPublisher {
                key: *key,
                of: of.clone(),
                publisher: publisher.to_owned(),
            },
        }),
        None if how.trust.has_keys_of(publisher) => Err(StoreError::UnsignedOfSigner {
            origin: how.origin.to_owned(),
            publisher: publisher.to_owned(),
        }),
        _ => Ok(()),
    }
}
