//! From the cache to a run that waits, and what a thousand of those take of the machine's memory.
//!
//! What they take is the growth of the process's PSS. From it their own linear memories are taken away: whatever of them is
//! in memory, which `/proc/self/smaps` tells. A linear memory is the one mapping that begins from a file, which holds the image
//! of a component's memory, and lies between its two guards, of 32 MiB before it and of gigabytes behind.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use sinew_inference::sha256_hex;
use sinew_plugin_host::{Limits, MachineCode, Plugin, Run, read_manifest};

use super::rig::Rig;
use super::{Part, PluginBench};
use crate::bench::{Allocations, Figure, Meter, compare};
use crate::job::KIT_PARTS;
use crate::sources::Config;

const ORDER: &str = r#"{"order":[{"class":"block","color":"red","slot":"A1"}]}"#;
/// Loads that are measured.
const LOADS: usize = 200;
const DIGESTS: usize = 50;
const INSTANCES: usize = 1_000;

pub(super) fn measure(
    what: &PluginBench<'_>,
    config: &Config,
    allocations: Allocations,
) -> anyhow::Result<Part> {
    let (loads, digests, instances) = if what.quick {
        (5, 2, 20)
    } else {
        (LOADS, DIGESTS, INSTANCES)
    };
    let rig = Rig::new(config, Limits::default())?;
    let artifact = kit_parts(what)?;
    // On the disk, as a store has them: nothing of them is in memory before they are loaded.
    let cache = tempfile::tempdir().context("a folder for machine code")?;
    for version in 0..digests {
        let artifact = version_of(artifact, version);
        let (_, code) = rig.host.compile(&artifact, KIT_PARTS)?;
        fs::write(cache.path().join(format!("{version}.wasm")), artifact)
            .and_then(|()| fs::write(cache.path().join(format!("{version}.code")), code))
            .context("keeping machine code")?;
    }

    let mut read = Meter::new(allocations, loads);
    let mut load = Meter::new(allocations, loads);
    let mut start = Meter::new(allocations, loads);
    for round in 0..loads {
        let version = round % digests;
        let cached = read.sample(|| Cached::read(cache.path(), version))?;
        let loaded = load.sample(|| cached.start(&rig))?;
        let started = start.sample(|| start_of(&rig, loaded.0.plugin()))?;
        drop((loaded, started));
        // What is still being taken down is none of the next one's time.
        let _ = rig.host.running();
    }
    let read = read
        .row("read the cache")
        .noted("the artifact and its machine code, each with its SHA-256");
    let mut load = load
        .row("load from the cache, start")
        .noted("kit-parts, up to its first wait: checked, linked, instantiated");
    let start = start
        .row("start")
        .noted("of a version that is loaded, up to its first wait");
    compare(&mut load, &start);

    let before = pss_kib()?;
    let mut runs = Vec::with_capacity(instances);
    for version in 0..digests {
        let plugin = {
            let cached = Cached::read(cache.path(), version)?;
            cached.load(&rig)?
        };
        for _ in 0..instances / digests {
            runs.push(start_of(&rig, &plugin)?);
        }
    }
    let grown = pss_kib()?.saturating_sub(before);
    let (memories, memory) = linear_memories()?;
    anyhow::ensure!(
        memories == runs.len(),
        "{memories} linear memories were found of {} instances, so nothing can be said about what is beside them",
        runs.len()
    );
    let each = |kib: u64| kib as f64 / runs.len() as f64;
    let load_ms = load.p50_ns as f64 / 1e6;
    let start = start.noted(format!(
        "of a version that is loaded, up to its first wait; {} at once of {digests} digests, with code, stack and \
         store: {:.1} KiB each (PSS), of which {:.1} KiB are its own memory",
        runs.len(),
        each(grown),
        each(memory)
    ));
    let figures = vec![
        Figure::at_most("load from the cache, start, p50", "ms", load_ms, 1.0),
        Figure::at_most(
            &format!(
                "each of {} instances of {digests} digests, beside its own memory, PSS",
                runs.len()
            ),
            "KiB",
            each(grown.saturating_sub(memory)),
            64.0,
        ),
    ];
    drop(runs);
    Ok(Part {
        rows: vec![read, load, start],
        figures,
    })
}

fn kit_parts<'a>(what: &'a PluginBench<'_>) -> anyhow::Result<&'a [u8]> {
    let named = |file: &&crate::kit::PluginFile| {
        read_manifest(&file.bytes, &file.origin).is_ok_and(|manifest| manifest.name == KIT_PARTS)
    };
    let file = (what.plugins.iter().find(named)).context("there is no kit-parts to measure")?;
    Ok(&file.bytes)
}

/// The same component with another digest: a custom section that says nothing stands at its end.
fn version_of(artifact: &[u8], version: usize) -> Vec<u8> {
    // Section 0, six bytes long, with a name of one byte and four of content.
    let [a, b, c, d, ..] = version.to_le_bytes();
    let mut bytes = artifact.to_vec();
    bytes.extend([0, 6, 1, b'v', a, b, c, d]);
    bytes
}

/// What a store would give.
struct Cached<'a> {
    folder: &'a Path,
    artifact: Vec<u8>,
    code: Vec<u8>,
    digest: String,
}

impl<'a> Cached<'a> {
    fn read(folder: &'a Path, version: usize) -> anyhow::Result<Self> {
        let read = |kind: &str| {
            let bytes = fs::read(folder.join(format!("{version}.{kind}")));
            let bytes = bytes.context("reading machine code")?;
            let digest = sha256_hex(&bytes);
            Ok::<_, anyhow::Error>((bytes, digest))
        };
        let (artifact, digest) = read("wasm")?;
        let (code, _) = read("code")?;
        Ok(Self {
            folder,
            artifact,
            code,
            digest,
        })
    }

    fn load(&self, rig: &Rig) -> anyhow::Result<std::sync::Arc<Plugin>> {
        #[allow(
            unsafe_code,
            reason = "these bytes were compiled a moment ago, and lay in a folder of this user's own"
        )]
        // SAFETY: `PluginHost::compile` gave them for this artifact, in this process, and nobody else may write there.
        let code = unsafe { MachineCode::made_here(&self.code) };
        let code = code.made_of(self.digest.clone()).mapped_in(self.folder);
        Ok(rig.host.load_compiled(&self.artifact, KIT_PARTS, &code)?)
    }

    fn start(&self, rig: &Rig) -> anyhow::Result<(Run,)> {
        Ok((start_of(rig, &self.load(rig)?)?,))
    }
}

/// A run that stands at its first wait.
fn start_of(rig: &Rig, plugin: &std::sync::Arc<Plugin>) -> anyhow::Result<Run> {
    let mut run = rig.start(plugin, ORDER)?;
    let end = run.poll(rig.now());
    anyhow::ensure!(end.is_none(), "kit-parts ended at once: {end:?}");
    Ok(run)
}

/// Memory of this process, what it shares counted by its share, KiB.
fn pss_kib() -> anyhow::Result<u64> {
    let rollup =
        fs::read_to_string("/proc/self/smaps_rollup").context("how much memory is used")?;
    (rollup.lines().find_map(pss_of)).context("/proc/self/smaps_rollup has no Pss")
}

fn pss_of(line: &str) -> Option<u64> {
    let kib = line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?;
    kib.trim().parse().ok()
}

/// One mapping.
struct Area {
    start: u64,
    end: u64,
    is_guard: bool,
    is_image: bool,
    pss_kib: u64,
}

impl Area {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            is_guard: words.next()?.starts_with("---"),
            is_image: words.nth(2).is_some_and(|inode| inode != "0"),
            pss_kib: 0,
        })
    }

    fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

/// How many linear memories there are, and what of them is in memory, KiB.
fn linear_memories() -> anyhow::Result<(usize, u64)> {
    let smaps = fs::read_to_string("/proc/self/smaps").context("which memory is used")?;
    Ok(linear_memories_in(&smaps))
}

/// Guards of a linear memory, bytes: no less than wasmtime makes them.
const GUARD_BEFORE: u64 = 16 << 20;
const GUARD_BEHIND: u64 = 1 << 30;

fn linear_memories_in(smaps: &str) -> (usize, u64) {
    let mut areas: Vec<Area> = Vec::new();
    for line in smaps.lines() {
        if let Some(area) = Area::parse(line) {
            areas.push(area);
        } else if let (Some(kib), Some(area)) = (pss_of(line), areas.last_mut()) {
            area.pss_kib = kib;
        }
    }
    let (mut count, mut all_kib) = (0, 0);
    // What has followed a guard without a gap: where it ends, whether it begins from an image, KiB.
    let mut memory: Option<(u64, bool, u64)> = None;
    for area in &areas {
        memory = match memory {
            Some((end, has_image, kib)) if end == area.start && !area.is_guard => {
                Some((area.end, has_image || area.is_image, kib + area.pss_kib))
            }
            open => {
                if let Some((end, true, kib)) = open
                    && end == area.start
                    && area.bytes() >= GUARD_BEHIND
                {
                    count += 1;
                    all_kib += kib;
                }
                // The guard behind one memory can be that before the next.
                (area.is_guard && area.bytes() >= GUARD_BEFORE).then_some((area.end, false, 0))
            }
        };
    }
    (count, all_kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mappings: start and end in MiB, permissions, what is mapped, KiB.
    fn smaps(areas: &[(u64, u64, &str, &str, u64)]) -> String {
        let one = |&(start, end, permissions, what, kib): &(u64, u64, &str, &str, u64)| {
            let inode = if what.starts_with('/') { 7 } else { 0 };
            format!(
                "{:x}-{:x} {permissions} 00000000 00:01 {inode}   {what}\nRss: 9 kB\nPss:      {kib} kB\nPss_Dirty: 1 kB\n",
                start << 20,
                end << 20
            )
        };
        areas.iter().map(one).collect()
    }

    #[test]
    fn linear_memories_are_told_from_stacks_and_heap() {
        const IMAGE: &str = "/tmp/#1234 (deleted)";
        let text = smaps(&[
            (1, 90, "rw-p", "[heap]", 1_000),
            (100, 132, "---p", "", 0),
            (132, 133, "rw-p", "", 8),
            (133, 134, "rw-p", IMAGE, 40),
            (134, 135, "rw-p", "", 4),
            (135, 4_300, "---p", "", 0),
            // The guard behind it goes over into that of the next one.
            (4_300, 4_301, "rw-p", IMAGE, 12),
            (4_301, 8_000, "---p", "", 0),
            // A stack has a guard, too, which may have grown together with a neighbour's.
            (8_000, 8_002, "rw-p", "", 16),
            (8_002, 8_040, "---p", "", 0),
            (8_050, 8_052, "rw-p", "", 16),
        ]);
        assert_eq!(linear_memories_in(&text), (2, 64));
        assert_eq!(linear_memories_in(""), (0, 0));
    }

    #[test]
    fn an_artifact_of_another_number_is_still_the_component() {
        let one = version_of(b"component", 1);
        assert_ne!(one, version_of(b"component", 2));
        assert!(one.starts_with(b"component"));
        // A section's length counts what comes after it.
        assert_eq!(one.len() - b"component".len(), 2 + 6);
    }
}
