//! `sinew bench`.

use std::ffi::OsString;
use std::path::Path;

use sinew_runtime::InputError;
use sinew_runtime::bench::{self, PluginBench};
use sinew_runtime::kit::PluginFile;

use crate::arguments::{BenchArgument, BenchArguments};
use crate::{allocations, output, run};

/// The command of the process that plugins are compared with. It is no command for people.
pub(crate) const SIDECAR: &str = "bench-sidecar";

pub(crate) fn bench(arguments: &BenchArguments) -> anyhow::Result<bool> {
    let sources = run::sources(&arguments.config);
    if arguments.quick && arguments.what != BenchArgument::Plugin {
        return Err(InputError("`--quick` is for `sinew bench plugin`".to_owned()).into());
    }
    let rows = match arguments.what {
        BenchArgument::Tick => bench::tick(&sources, allocations::so_far)?,
        BenchArgument::Safety => bench::safety(&sources, &run::plugins(&[])?, allocations::so_far)?,
        BenchArgument::Plugin => {
            let what = PluginBench {
                sources: &sources,
                plugins: &run::plugins(&[])?,
                guest: &PluginFile {
                    origin: "built-in bench-guest".to_owned(),
                    bytes: sinew_skill_artifacts::BENCH_GUEST.to_vec(),
                    built_in: true,
                },
                sidecar: &[run::this_program()?, OsString::from(SIDECAR)],
                quick: arguments.quick,
            };
            bench::plugin(&what, allocations::so_far)?
        }
        BenchArgument::Inference => bench::inference(&sources, allocations::so_far)?,
    };
    output::result(&arguments.json, &rows, &rows.to_text())?;
    Ok(true)
}

pub(crate) fn sidecar(socket: &Path) -> anyhow::Result<bool> {
    bench::serve_sidecar(socket)?;
    Ok(true)
}
