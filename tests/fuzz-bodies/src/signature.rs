//! The signature of an artifact: where it is, what it is over, and that nothing else passes for it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;

use sinew_plugin_host::read_manifest;
use sinew_skill_store::{PublicKey, SIGNATURE_SECTION, SecretKey, SignatureError, layout, sign};

use crate::choices::Choices;
use crate::seeds;

/// Bytes of the section.
const SECTION_BYTES: usize = 114;

/// A key that is the same in every run.
///
/// # Panics
/// If no temporary file can be written.
pub(crate) fn key(number: u8) -> SecretKey {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    let path = folder.path().join("key");
    let mut file = (std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600))
    .open(&path)
    .expect("the folder is new");
    writeln!(
        file,
        "sinew-secret-key-v1:{}",
        format!("{number:02x}").repeat(32)
    )
    .expect("it can be written");
    SecretKey::read(&path).expect("it is the text of a key")
}

struct Signer {
    key: SecretKey,
    public: PublicKey,
    signed: Vec<u8>,
}

fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        let key = key(1);
        Signer {
            public: key.public(),
            signed: sign(&seeds::smallest_plugin(), &key).expect("nobody has signed it"),
            key,
        }
    })
}

/// The smallest plugin, signed.
pub(crate) fn signed() -> &'static [u8] {
    &signer().signed
}

/// The first byte says whether the others are an artifact, or how one that is really signed is changed.
pub fn signature(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    if choices.byte().is_multiple_of(2) {
        anything(choices.rest());
    } else {
        changed(&mut choices);
    }
}

/// Whatever the bytes are, what is found out about them fits together.
fn anything(artifact: &[u8]) {
    let found = layout(artifact);
    match found.signature {
        Some(_) => assert_eq!(found.signed.len() + SECTION_BYTES, artifact.len()),
        None => assert_eq!(found.signed, artifact),
    }
    let (verified, sections) = (found.verify(), found.check_sections());
    if found.signature.is_none() {
        assert_eq!(verified, Ok(None));
    }
    if sections.is_ok() {
        let count = usize::from(found.signature.is_some());
        assert_eq!(sections_named(artifact, SIGNATURE_SECTION), Some(count));
    }
    let signer = signer();
    match sign(artifact, &signer.key) {
        Ok(signed) => {
            assert_eq!((sections, found.signature), (Ok(()), None));
            let again = layout(&signed);
            assert_eq!(again.signed, artifact);
            assert_eq!(again.verify(), Ok(Some(signer.public)));
            assert_eq!(again.check_sections(), Ok(()));
            assert_eq!(sign(&signed, &signer.key), Err(SignatureError::Already));
            // It says of itself what it said before.
            let name = |bytes| {
                read_manifest(bytes, "it")
                    .map(|manifest| manifest.name)
                    .ok()
            };
            assert_eq!(name(&signed), name(artifact));
        }
        Err(error) => assert!(found.signature.is_some() || sections == Err(error)),
    }
}

/// Nothing but the artifact that was signed passes for it.
fn changed(choices: &mut Choices<'_>) {
    let signer = signer();
    let mut artifact = signer.signed.clone();
    while !choices.is_empty() {
        edit(&mut artifact, choices);
    }
    let found = layout(&artifact);
    let passes = found.verify() == Ok(Some(signer.public)) && found.check_sections().is_ok();
    assert_eq!(
        passes,
        artifact == signer.signed,
        "of all artifacts one has this signature"
    );
    anything(&artifact);
}

/// One change of an artifact.
pub(crate) fn edit(artifact: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let how = choices.byte();
    let at = choices.below(artifact.len() + 1);
    match how % 8 {
        0 => {
            if let Some(byte) = artifact.get_mut(at) {
                *byte ^= 1 << (choices.byte() % 8);
            }
        }
        1 => {
            if let Some(byte) = artifact.get_mut(at) {
                *byte = choices.byte();
            }
        }
        2 => {
            let more = choices.bytes(16).to_vec();
            artifact.splice(at..at, more);
        }
        3 => {
            let end = (at + 1 + usize::from(choices.byte())).min(artifact.len());
            artifact.drain(at.min(end)..end);
        }
        4 => artifact.truncate(at),
        5 => {
            // A piece of it once more: perhaps the signature.
            let end = (at + SECTION_BYTES).min(artifact.len());
            let piece = artifact[at..end].to_vec();
            artifact.extend(piece);
        }
        6 => {
            let tail = artifact.len().saturating_sub(SECTION_BYTES);
            let signature = artifact[tail..].to_vec();
            artifact.splice(at..at, signature);
        }
        _ => {
            let data = choices.bytes(32);
            let names = [SIGNATURE_SECTION, "sinew:manifest", "name", ""];
            let name = *choices.one(&names);
            let mut body = vec![name.len() as u8];
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(data);
            artifact.extend_from_slice(&[0, body.len() as u8]);
            artifact.extend(body);
        }
    }
}

/// Counts top-level custom sections of a name without the parser that the host uses; `None` if the bytes don't end where a
/// section does.
fn sections_named(component: &[u8], name: &str) -> Option<usize> {
    let mut rest = component.get(8..)?;
    let mut count = 0;
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = leb(after)?;
        let (body, after) = after.split_at_checked(size)?;
        if *id == 0 {
            let (length, body) = leb(body)?;
            count += usize::from(body.get(..length)? == name.as_bytes());
        }
        rest = after;
    }
    Some(count)
}

/// An unsigned number of 32 bits.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[index + 1..]));
        }
    }
    None
}
