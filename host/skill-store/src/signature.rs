//! The signature of an artifact: the last top-level custom section, over everything before it.
//!
//! ```text
//! 00 70 0f "sinew:signature"  public key (32 bytes)  Ed25519 signature (64 bytes)
//! ```
//!
//! What is signed is `"sinew-sig-v1" ‖ sha256(all bytes before the section)`. The section has one length and one
//! encoding, so that whoever checks it looks at the last 114 bytes and parses nothing. Whose key it is says the trust
//! file, never the artifact.

use std::ops::Range;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmparser::{Encoding, Parser, Payload};

use crate::keys::{PublicKey, SecretKey};

/// Name of the custom section.
pub const SIGNATURE_SECTION: &str = "sinew:signature";

const DOMAIN: &[u8] = b"sinew-sig-v1";
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// Id of custom sections, size of this one, length of its name.
const HEAD: [u8; 3] = [
    0,
    (1 + SIGNATURE_SECTION.len() + KEY_BYTES + SIGNATURE_BYTES) as u8,
    SIGNATURE_SECTION.len() as u8,
];
const SECTION_BYTES: usize = HEAD.len() + SIGNATURE_SECTION.len() + KEY_BYTES + SIGNATURE_BYTES;

/// What is wrong with a signature, or with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The bytes are not those that were signed.
    #[error(
        "the signature does not fit: the file was changed after it was signed, or signed by somebody else than its key says"
    )]
    Wrong,
    /// The key is no point of the curve, or one of those that sign everything.
    #[error("the key beside the signature is no Ed25519 key that may sign")]
    Key,
    /// Something follows the signature.
    #[error(
        "the section `sinew:signature` at byte {at} is not the last one: whatever follows it is signed by nobody"
    )]
    NotLast {
        /// Where it begins.
        at: usize,
    },
    /// More than one.
    #[error("there are {count} sections `sinew:signature`, an artifact has one at most")]
    Several {
        /// How many.
        count: usize,
    },
    /// It has another form than the one that there is.
    #[error(
        "the section `sinew:signature` at byte {at} is not in the one form that it has: {SECTION_BYTES} bytes with a key and a signature"
    )]
    Form {
        /// Where it begins.
        at: usize,
    },
    /// The bytes before it are no component.
    #[error("it is no WebAssembly component: {0}")]
    NotAComponent(String),
    /// It is signed already.
    #[error("it is signed already; sign the file as it was built")]
    Already,
}

/// How an artifact is laid out, before anything of it is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// The bytes that are signed, if it is; all bytes otherwise.
    pub signed: &'a [u8],
    /// Key and signature.
    pub signature: Option<(PublicKey, [u8; SIGNATURE_BYTES])>,
}

/// Takes the last bytes apart. Nothing is verified by that.
#[must_use]
pub fn layout(bytes: &[u8]) -> Layout<'_> {
    let unsigned = Layout {
        signed: bytes,
        signature: None,
    };
    let Some(at) = bytes.len().checked_sub(SECTION_BYTES) else {
        return unsigned;
    };
    let (signed, section) = bytes.split_at(at);
    let body = (section.strip_prefix(&HEAD))
        .and_then(|rest| rest.strip_prefix(SIGNATURE_SECTION.as_bytes()))
        .and_then(|body| body.split_first_chunk::<KEY_BYTES>());
    match body {
        Some((key, signature)) => match signature.try_into() {
            Ok(signature) => Layout {
                signed,
                signature: Some((PublicKey(*key), signature)),
            },
            Err(_) => unsigned,
        },
        None => unsigned,
    }
}

impl Layout<'_> {
    /// Verifies the signature, if there is one: gives the key that has signed.
    ///
    /// # Errors
    /// It does not fit, or its key is none.
    pub fn verify(&self) -> Result<Option<PublicKey>, SignatureError> {
        let Some((key, signature)) = self.signature else {
            return Ok(None);
        };
        let verifying = VerifyingKey::from_bytes(&key.0).map_err(|_| SignatureError::Key)?;
        if verifying.is_weak() {
            return Err(SignatureError::Key);
        }
        (verifying.verify_strict(&message(self.signed), &Signature::from_bytes(&signature)))
            .map_err(|_| SignatureError::Wrong)?;
        Ok(Some(key))
    }

    /// Looks through the top-level sections: what [`layout`] found is all that there is.
    ///
    /// # Errors
    /// A signature elsewhere, in another form, or twice; no component.
    pub fn check_sections(&self) -> Result<(), SignatureError> {
        let found = signature_sections(self.signed)?;
        let count = found.len() + usize::from(self.signature.is_some());
        match found.first() {
            None => Ok(()),
            Some(_) if count > 1 => Err(SignatureError::Several { count }),
            Some(section) if section.end == self.signed.len() => {
                Err(SignatureError::Form { at: section.start })
            }
            Some(section) => Err(SignatureError::NotLast { at: section.start }),
        }
    }
}

/// Where the top-level sections of that name begin and end.
fn signature_sections(bytes: &[u8]) -> Result<Vec<Range<usize>>, SignatureError> {
    let wrong = |reason: String| SignatureError::NotAComponent(reason);
    // Said here because the parser prints the bytes one below the other.
    if !bytes.starts_with(b"\0asm") {
        return Err(wrong(
            "it does not start with the bytes that every WebAssembly file starts with".to_owned(),
        ));
    }
    let mut found = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| wrong(error.to_string()))? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err(wrong(
                        "it is a core WebAssembly module; build it for wasm32-wasip2".to_owned(),
                    ));
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section)
                if depth == 1 && section.name() == SIGNATURE_SECTION =>
            {
                found.push(section.range());
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The artifact with its signature.
///
/// # Errors
/// It is signed already, or no component.
pub fn sign(bytes: &[u8], key: &SecretKey) -> Result<Vec<u8>, SignatureError> {
    let layout = layout(bytes);
    if layout.signature.is_some() {
        return Err(SignatureError::Already);
    }
    layout.check_sections()?;
    let signature = key.0.sign(&message(bytes));
    let mut signed = Vec::with_capacity(bytes.len() + SECTION_BYTES);
    signed.extend_from_slice(bytes);
    signed.extend_from_slice(&HEAD);
    signed.extend_from_slice(SIGNATURE_SECTION.as_bytes());
    signed.extend_from_slice(&key.public().0);
    signed.extend_from_slice(&signature.to_bytes());
    Ok(signed)
}

/// What is signed: with a word of its own, so that a signature for something else is none for an artifact.
fn message(bytes: &[u8]) -> Vec<u8> {
    [DOMAIN, &Sha256::digest(bytes)].concat()
}
