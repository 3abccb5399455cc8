//! How much of a mapped file comes into memory with the page that is touched.
//!
//! The kernel maps what it has of the 64 KiB around a page (`fault_around_bytes`, mm/memory.c). To load machine code a few pages all
//! over the file are read, and of the code those parts run that lie apart, so that this is most of it. A window ends where a mapping
//! ends, and neighbours of different advice are mappings of their own.

use core::ffi::c_void;
use core::ops::Range;

use rustix::mm::{Advice, madvise};
use wasmtime::component::Component;

/// Size of a window, bytes. The smaller, the more calls it takes to make them: these are two for 32 KiB.
const WINDOW: usize = 16 << 10;
/// Most windows of one file: a process has 65,530 mappings.
const WINDOWS_MAX: usize = 128;

/// A component whose machine code is mapped from a file. What of it is in memory is let go of when this is dropped: whoever loads
/// it has no time for that.
pub(crate) struct Mapped(Component);

impl Mapped {
    /// # Safety
    /// It is mapped from a file, and nothing was written into it since.
    #[allow(unsafe_code, reason = "it can't be seen of a component")]
    pub(crate) unsafe fn new(component: &Component) -> Self {
        Self(component.clone())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[allow(unsafe_code, reason = "whoever made it has vouched for it")]
        // SAFETY: as `new` asks for; from then on it can only be read and run.
        unsafe {
            narrow(self.0.image_range());
        }
    }
}

/// Lets go of what is in memory of a file that was mapped and not written to since, and narrows its windows, as far as the kernel
/// lets it. What is touched from now on comes back.
///
/// # Safety
/// Nothing was written into the range: what is there is what the file has.
#[allow(unsafe_code, reason = "it is advice on memory by its address")]
unsafe fn narrow(mapped: Range<*const u8>) {
    let begin: *mut c_void = mapped.start.cast_mut().cast();
    let length = mapped.end.addr() - mapped.start.addr();
    // SAFETY: it is mapped, and comes back from the file as it is.
    let _ = unsafe { madvise(begin, length, Advice::LinuxDontNeed) };
    let window = length.div_ceil(WINDOWS_MAX).next_multiple_of(WINDOW);
    for at in (0..length).step_by(2 * window) {
        // SAFETY: it is mapped, and this advice changes nothing of what is there.
        let _ = unsafe { madvise(begin.byte_add(at), window.min(length - at), Advice::Random) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use wasmtime::{Config, Engine};

    use super::*;

    /// KiB of a range that are in this process's memory.
    fn resident_kib(range: &std::ops::Range<*const u8>) -> u64 {
        let smaps = fs::read_to_string("/proc/self/smaps").expect("it is there");
        let mut is_inside = false;
        let mut kib = 0;
        for line in smaps.lines() {
            let first = line.split_whitespace().next().unwrap_or_default();
            let bound = |text| usize::from_str_radix(text, 16).ok();
            let bounds = first.split_once('-');
            if let Some((Some(begin), Some(end))) = bounds.map(|(a, b)| (bound(a), bound(b))) {
                is_inside = begin < range.end.addr() && end > range.start.addr();
            } else if is_inside && first == "Rss:" {
                let words = line.split_whitespace().nth(1);
                kib += words.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        kib
    }

    #[test]
    fn machine_code_is_as_it_was_in_the_file_and_comes_into_memory_window_by_window() {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).expect("an engine");
        let code = engine
            .precompile_component(sinew_skill_artifacts::KIT_PARTS)
            .expect("it compiles");
        let mut file: File = tempfile::tempfile().expect("there is room");
        file.write_all(&code).expect("there is room");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        #[allow(unsafe_code, reason = "as in the product")]
        // SAFETY: the bytes were made by this engine, and nobody else has the file.
        let component = unsafe { Component::deserialize_file(&engine, path) };
        let component = component.expect("it is sound");
        let range = component.image_range();
        let before = resident_kib(&range);
        // What `narrow` relies on.
        #[allow(unsafe_code, reason = "the component's own range")]
        // SAFETY: it is mapped, and stays mapped; nobody writes into it.
        let image = unsafe { std::slice::from_raw_parts(range.start, code.len()) };
        assert!(image == code, "it was written to when it was loaded");
        #[allow(unsafe_code, reason = "as in the product")]
        // SAFETY: see above.
        let mapped = unsafe { Mapped::new(&component) };
        drop(mapped);
        assert_eq!(resident_kib(&range), 0);
        assert_eq!(image[code.len() / 2], code[code.len() / 2]);
        let after = resident_kib(&range);
        assert!((1..=16).contains(&after), "{after} KiB of {before} KiB");
        assert!(image == code, "all of it comes back");
    }
}
