//! What the guests of the boundary are granted, and how they are packed.

use std::path::Path;

use serde_json::json;
use sinew_plugin_host::CAPABILITIES;

use crate::raw::with_manifest;
use crate::seeds::manifest_of;
use crate::surroundings::{QUOTA_BYTES, QUOTA_FILES};

pub(super) const SKILL: &str = "fuzz/skill";
pub(super) const RECOVERY: &str = "fuzz/recovery";

pub(super) const RUN_TICKS: u64 = 60;
pub(super) const GRACE_TICKS: u64 = 8;
pub(super) const CALLS_PER_STEP: u64 = 40;
pub(super) const EVENTS_PER_SECOND: usize = 12;
pub(super) const EVENT_BYTES: usize = 256;
pub(super) const LOG_BYTES_PER_SECOND: usize = 600;
pub(super) const GOALS_PER_SECOND: usize = 20;
pub(super) const MEMORY_BYTES: u64 = 1 << 20;
pub(super) const STORE_BYTES: usize = 32 << 10;
pub(super) const JSON_BYTES: usize = 2_048;
pub(super) const CHECKPOINT_BYTES: usize = 512;
pub(super) const FORCE_N: f64 = 30.0;
pub(super) const CONTACT_N: f64 = 20.0;
pub(super) const SPEED: f64 = 0.5;
/// Half the length of the box that the tool stays in.
pub(super) const ZONE_M: f64 = 2.0;

/// A little of everything, so that a guest soon has all that it may have.
pub(super) fn grants(folder: &Path) -> String {
    let grant = |name: &str| {
        format!(
            "[plugins.\"{name}\"]
interfaces = {CAPABILITIES:?}
policies = [\"grasp\"]
classes = [\"block\"]
force_n = {FORCE_N:?}
contact_n = {CONTACT_N:?}
speed = {SPEED:?}
[[plugins.\"{name}\".zones_in]]
name = \"table\"
min_m = [-{ZONE_M:?}, -{ZONE_M:?}, -{ZONE_M:?}]
max_m = [{ZONE_M:?}, {ZONE_M:?}, {ZONE_M:?}]
[[plugins.\"{name}\".zones_out]]
name = \"post\"
min_m = [0.9, 0.9, 0.0]
max_m = [1.1, 1.1, 2.0]
[[plugins.\"{name}\".directories]]
name = \"orders\"
path = {folder:?}
write = true
quota_bytes = {QUOTA_BYTES}
quota_files = {QUOTA_FILES}
[[plugins.\"{name}\".directories]]
name = \"notes\"
path = {folder:?}
[plugins.\"{name}\".limits]
memory_bytes = {MEMORY_BYTES}
table_elements = 1000
handles = 6
call_bytes = 8192
fuel_between_calls = 100000
fuel_per_step = 200000
calls_per_step = {CALLS_PER_STEP}
goals_per_second = {GOALS_PER_SECOND}
run_ticks = {RUN_TICKS}
grace_ticks = {GRACE_TICKS}
json_bytes = {JSON_BYTES}
checkpoint_bytes = {CHECKPOINT_BYTES}
event_bytes = {EVENT_BYTES}
events_per_second = {EVENTS_PER_SECOND}
log_bytes_per_second = {LOG_BYTES_PER_SECOND}
memory_store_bytes = {STORE_BYTES}
"
        )
    };
    grant(SKILL) + &grant(RECOVERY)
}

/// A component with the manifest of the plugin that is granted that.
pub(super) fn packed(world: &str, component: Vec<u8>) -> Vec<u8> {
    let name = if world == "skill" { SKILL } else { RECOVERY };
    let mut manifest = manifest_of(name, world, &CAPABILITIES);
    manifest["policies"] = json!(["grasp"]);
    manifest["handles"] = json!(["no-grasp"]);
    manifest["directories"] = json!([
        {"name": "orders", "why": "to be tried", "write": true},
        {"name": "notes", "why": "to be tried"},
        {"name": "nowhere", "why": "to be tried", "optional": true},
    ]);
    with_manifest(component, &manifest)
}
