//! The filter allocates nothing, whatever it is asked.
#![allow(unsafe_code)] // An allocator that counts cannot be had without it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sinew_safety::{Approval, ApprovedLimits, SafetyLimits};

use crate::rig::{Eager, HOME, Rig, chain, config};

struct Counting;

thread_local! {
    /// Of this thread alone, so that tests beside this one don't count.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting touches only a thread-local cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `alloc` got the pointer from the same place.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_filter_allocates_nothing() {
    let mut rig = Rig::ready();
    let source = Eager {
        velocity: 2.4,
        acceleration: 15.0,
        jerk: 1499.0,
        brakes: false,
        straight: false,
    };
    let mut before = HOME;
    let counted = ALLOCATIONS.with(Cell::get);
    for tick in 0..4_000_u64 {
        let given = *rig.gate.given();
        // Into the floor, a post and a joint limit, with a stop and resets on the way.
        let target = if tick % 2_000 < 1_000 {
            [0.9, 0.75, 0.0, 1.6, 0.0, 0.5, 3.2]
        } else {
            [-3.2, -0.5, 0.0, 2.5, 0.0, 0.5, 0.0]
        };
        let u = source.toward(&given, &before, &target);
        before = given.position_rad;
        rig.requests.stop_hold += u64::from(tick == 2_500);
        rig.requests.reset += u64::from(tick > 2_500 && tick % 100 == 0);
        rig.step(&u, None);
        std::hint::black_box(rig.gate.stop_end());
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - counted, 0);

    rig.requests.stop_hold += 1;
    rig.brake();
    let limits = SafetyLimits::new(config()).expect("valid test limits");
    let approval = Approval::naming(limits.hash());
    let mut approved =
        ApprovedLimits::new(limits, approval, &chain()).expect("the approval names them");
    let counted = ALLOCATIONS.with(Cell::get);
    let activated = rig.gate.activate(&mut approved, &rig.frame);
    rig.reset();
    assert_eq!(ALLOCATIONS.with(Cell::get) - counted, 0);
    assert_eq!(activated, Ok(()));
}
