//! What one run may use.

/// Budgets of one plugin instance. Nothing of it is read from a plugin.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest component accepted, bytes.
    pub artifact_bytes: usize,
    /// Linear memory, bytes. Bulk memory instructions run unmetered over at most this much.
    pub memory_bytes: usize,
    /// Elements of each table.
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
    /// Length of a run, ticks.
    pub run_ticks: u64,
    /// Ticks between the cancellation of a run and its end by force.
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
    /// Wall time of one poll, milliseconds: a guard of the host's thread, far above what fuel allows.
    pub step_wall_ms: u64,
}

/// Fuel between two looks at whether the step's budget is used up.
pub(crate) const FUEL_YIELD: u64 = 1_000_000;

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
            run_ticks: 1_800_000,
            grace_ticks: 2_000,
            arm_lease_ticks: 200,
            json_bytes: 256 << 10,
            checkpoint_bytes: 64 << 10,
            event_bytes: 16 << 10,
            events_per_second: 100,
            log_bytes_per_second: 16 << 10,
            memory_store_bytes: 64 << 10,
            step_wall_ms: 2_000,
        }
    }
}
