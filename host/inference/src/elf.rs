//! Whether a shared library is all there. The dynamic loader maps a cut-off file without a word, and the first
//! touch of what is missing ends the process with SIGBUS: no error value, no message.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Size of the header of a 64-bit ELF file, and of one of its program headers.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// Says what is wrong with the file at `path`, if it is a little-endian 64-bit ELF file that is shorter than its
/// own headers say. Anything else is left to the loader, which refuses what it doesn't know.
pub(crate) fn cut_off(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    // 64 bits, little-endian.
    if header[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let word = |at: usize| u64_at(&header, at);
    let half = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (programs, sections) = (word(32), word(40));
    let (program_count, section_size, section_count) = (half(56), half(58), half(60));
    let mut end = sections.saturating_add(section_size * section_count);
    file.seek(SeekFrom::Start(programs)).ok()?;
    for _ in 0..program_count {
        let mut program = [0; PROGRAM_HEADER];
        if file.read_exact(&mut program).is_err() {
            end = u64::MAX;
            break;
        }
        end = end.max(u64_at(&program, 8).saturating_add(u64_at(&program, 32)));
    }
    (end > length)
        .then(|| format!("the file is cut off: it has {length} bytes, its headers name more"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_library_is_whole_and_a_part_of_it_is_not() {
        let whole = std::env::current_exe().expect("this test is a file");
        let bytes = std::fs::read(&whole).expect("it can be read");
        assert_eq!(cut_off(&whole), None);
        let path = std::env::temp_dir().join(format!("sinew-elf-{}", std::process::id()));
        for length in [bytes.len() - 1, bytes.len() / 2, 4096, 100] {
            std::fs::write(&path, &bytes[..length]).expect("a temporary file");
            assert!(cut_off(&path).is_some(), "{length} bytes");
        }
        for other in [&b""[..], b"garbage", b"\x7fELF\x01\x01"] {
            std::fs::write(&path, other).expect("a temporary file");
            assert_eq!(cut_off(&path), None, "the loader's own business");
        }
        std::fs::remove_file(&path).expect("it was ours");
    }
}
