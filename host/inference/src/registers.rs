//! The state that the embedded backend's kernels leave the vector registers in.

/// Clears the upper halves of the vector registers.
///
/// tract's AVX-512 kernels return without `vzeroupper`. Until somebody executes it, every SSE instruction of
/// this thread (and all code of this binary that isn't dispatched at run time is SSE) depends on the register
/// that it writes: rendering an image on the same thread took twice the time.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "a function that needs AVX cannot be called from one that does not without it"
)]
pub(crate) fn clear_upper_halves() {
    #[target_feature(enable = "avx")]
    fn zero_upper() {
        core::arch::x86_64::_mm256_zeroupper();
    }
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX, which was just asked; no caller keeps anything in upper halves
        // across a call, as the calling convention of x86-64 says.
        unsafe { zero_upper() }
    }
}

/// Nothing to do: only x86-64 has upper halves that slow other instructions down.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn clear_upper_halves() {}
