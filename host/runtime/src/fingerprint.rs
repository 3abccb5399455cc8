//! A running 64-bit fingerprint of everything that happened, tick by tick.
//!
//! Two runs with the same fingerprint had the same states in the same order. It is a multiply-xor hash
//! over little-endian words: fast enough for every tick, and no defence against somebody who wants a
//! collision.

/// Odd constant of the 64-bit golden ratio; spreads each word over all bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds words and bytes in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Folds one word.
    pub fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(SPREAD);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Folds bytes, and their number, so that two pieces don't run into each other.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut raw = [0; 8];
            raw[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(raw));
        }
    }

    /// The fingerprint so far.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_length_and_content_all_count() {
        let of = |pieces: &[&[u8]]| {
            let mut fingerprint = Fingerprint::default();
            pieces.iter().for_each(|piece| fingerprint.bytes(piece));
            fingerprint.value()
        };
        let values = [
            of(&[]),
            of(&[b""]),
            of(&[b"a"]),
            of(&[b"a", b"b"]),
            of(&[b"b", b"a"]),
            of(&[b"ab"]),
            of(&[b"ab\0"]),
        ];
        for (i, a) in values.iter().enumerate() {
            for b in &values[i + 1..] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(of(&[b"a", b"b"]), of(&[b"a", b"b"]));
    }
}
