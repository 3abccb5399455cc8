//! What one run may use.

use serde::Deserialize;

/// Budgets of one plugin instance. Nothing of it is read from a plugin.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest component accepted, bytes.
    pub artifact_bytes: usize,
    /// Linear memory, bytes, of all memories together.
    pub memory_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Core instances, tables and memories of one component, each.
    pub instances: usize,
    /// Handles to host resources alive at once.
    pub handles: usize,
    /// Bytes that one host call may copy out of the guest.
    pub call_bytes: usize,
    /// Fuel (about one unit an instruction) between two host calls.
    pub fuel_between_calls: u64,
    /// Fuel in one brain step; what is over it goes on in the next one.
    pub fuel_per_step: u64,
    /// Host calls in one brain step; what is over it goes on in the next one.
    pub calls_per_step: u32,
    /// Goals for arm and gripper, and policy runs, begun in any one second.
    pub goals_per_second: u32,
    /// Length of a run, ticks. Those in which others had all of the time do not count.
    pub run_ticks: u64,
    /// Ticks between the cancellation of a run and its end by force; longer until it has had some turns, if others have the time.
    pub grace_ticks: u64,
    /// Life of a motion goal without renewal, ticks. Renewed at every poll of a live run.
    pub arm_lease_ticks: u64,
    /// Parameters and result, bytes of JSON.
    pub json_bytes: usize,
    /// One checkpoint, bytes.
    pub checkpoint_bytes: usize,
    /// One event's payload, bytes.
    pub event_bytes: usize,
    /// Events in any one second.
    pub events_per_second: u32,
    /// Log text in any one second, bytes. What is over it is counted and dropped.
    pub log_bytes_per_second: usize,
    /// The key-value store of one plugin, bytes of keys and values.
    pub memory_store_bytes: usize,
    /// What is kept of a run's calls, bytes. What is over it can't be done again.
    pub record_bytes: usize,
    /// Time that all runs of a host have together in one step of its brain, milliseconds, where a clock runs. Whoever is in the
    /// middle of computing or calling then goes on in the next step.
    pub share_ms: u64,
    /// Processor time of one poll, milliseconds, counted from the guard's first look; an assessment has half of it. Well above
    /// what fuel allows; whoever runs a robot sets it below the time after which a brain that says nothing is taken for dead, and
    /// where a clock runs it is at most half of what a motion lives for without renewal. What a machine with other things to do
    /// takes from it does not count.
    pub step_cpu_ms: u64,
    /// Wall time of one poll, milliseconds: it is the machine that takes that long, so it is the last resort.
    pub step_wall_ms: u64,
}

/// Fuel between two looks at whether the step's budget is used up: some 10 ms if every instruction of it misses every cache.
pub(crate) const FUEL_YIELD: u64 = 100_000;

/// Native stack of guest code.
pub(crate) const WASM_STACK: usize = 512 << 10;

/// Stack of a fiber: guest code and the host calls made from it.
pub(crate) const FIBER_STACK: usize = 2 << 20;

const _: () = assert!(FIBER_STACK >= WASM_STACK + (1 << 20));

impl Default for Limits {
    fn default() -> Self {
        Self {
            artifact_bytes: 64 << 20,
            memory_bytes: 32 << 20,
            table_elements: 20_000,
            instances: 32,
            handles: 256,
            call_bytes: 1 << 20,
            fuel_between_calls: 500_000_000,
            fuel_per_step: 20_000_000,
            calls_per_step: 1_000,
            goals_per_second: 300,
            run_ticks: 1_800_000,
            grace_ticks: 2_000,
            arm_lease_ticks: 200,
            json_bytes: 256 << 10,
            checkpoint_bytes: 64 << 10,
            event_bytes: 16 << 10,
            events_per_second: 100,
            log_bytes_per_second: 16 << 10,
            memory_store_bytes: 64 << 10,
            record_bytes: 16 << 20,
            share_ms: 20,
            step_cpu_ms: 300,
            step_wall_ms: 60_000,
        }
    }
}

/// Names the budgets that a grant may narrow, and how each is narrowed.
macro_rules! narrowed {
    ($($(#[$doc:meta])* $name:ident: $number:ty,)*) => {
        /// Budgets of one plugin below the host's own: none of them can be raised by a grant. What each one counts
        /// says the field of the same name in [`Limits`].
        #[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
        #[serde(deny_unknown_fields)]
        pub struct NarrowedLimits {
            $($(#[$doc])* #[serde(default)] pub $name: Option<$number>,)*
        }

        impl NarrowedLimits {
            /// A budget of nothing is a slip of the pen: whoever wants that leaves the interface out.
            pub(crate) fn fault(&self) -> Option<String> {
                $(if self.$name == Some(0) {
                    return Some(format!("{} is 0; it has to be at least 1", stringify!($name)));
                })*
                None
            }

            /// Those that are named.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.map(|most| most as u64)),)*]
                    .into_iter()
                    .filter_map(|(name, most)| Some((name, most?)))
            }

            /// Those that are above the host's own, and narrow nothing: name, and what the host has.
            #[must_use]
            pub fn above(&self, limits: &Limits) -> Vec<(&'static str, u64)> {
                let mut above = Vec::new();
                $(if self.$name.is_some_and(|most| most > limits.$name) {
                    above.push((stringify!($name), limits.$name as u64));
                })*
                above
            }

            pub(crate) fn narrow(&self, limits: &Limits) -> Limits {
                let mut narrow = limits.clone();
                $(if let Some(most) = self.$name {
                    narrow.$name = narrow.$name.min(most);
                })*
                narrow
            }
        }
    };
}

narrowed! {
    /// Bytes.
    memory_bytes: usize,
    /// Elements.
    table_elements: usize,
    /// Each.
    instances: usize,
    /// Alive at once.
    handles: usize,
    /// Bytes.
    call_bytes: usize,
    /// Units of fuel.
    fuel_between_calls: u64,
    /// Units of fuel.
    fuel_per_step: u64,
    /// Calls.
    calls_per_step: u32,
    /// Goals.
    goals_per_second: u32,
    /// Ticks.
    run_ticks: u64,
    /// Ticks.
    grace_ticks: u64,
    /// Bytes.
    json_bytes: usize,
    /// Bytes.
    checkpoint_bytes: usize,
    /// Bytes.
    event_bytes: usize,
    /// Events.
    events_per_second: u32,
    /// Bytes.
    log_bytes_per_second: usize,
    /// Bytes.
    memory_store_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_narrows_and_never_widens() {
        let host = Limits::default();
        let narrowed = NarrowedLimits {
            memory_bytes: Some(1 << 20),
            run_ticks: Some(u64::MAX),
            events_per_second: Some(1),
            ..NarrowedLimits::default()
        };
        let limits = narrowed.narrow(&host);
        assert_eq!(limits.memory_bytes, 1 << 20);
        assert_eq!(limits.run_ticks, host.run_ticks);
        assert_eq!(limits.events_per_second, 1);
        assert_eq!(limits.handles, host.handles);
        assert_eq!(narrowed.fault(), None);
        let none = NarrowedLimits {
            handles: Some(0),
            ..narrowed
        };
        assert!(
            none.fault()
                .is_some_and(|fault| fault.contains("handles is 0"))
        );
    }
}
