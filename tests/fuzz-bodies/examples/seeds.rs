//! Writes the seeds of every target into a folder of its own: `cargo run -p sinew-fuzz-bodies --example seeds -- tests/fuzz/corpus`.

use std::path::Path;
use std::{env, fs, io};

use sinew_fuzz_bodies::seeds;

fn main() -> io::Result<()> {
    let root = env::args()
        .nth(1)
        .unwrap_or_else(|| "tests/fuzz/corpus".to_owned());
    let targets = seeds::BODIES.map(|(target, _)| target);
    for target in targets.into_iter().chain(["guest"]) {
        let folder = Path::new(&root).join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::of(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
