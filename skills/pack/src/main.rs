//! Prints the manifest of the guest that the argument names.

use std::process::ExitCode;

fn main() -> ExitCode {
    let guest = std::env::args().nth(1).unwrap_or_default();
    let manifest = match guest.as_str() {
        "go-home" => go_home::manifest(),
        "kit-parts" => kit_parts::manifest(),
        "misbehave" => misbehave::manifest(),
        "probe" => probe::manifest(),
        "regrasp" => regrasp::manifest(),
        "search-missing" => search_missing::manifest(),
        _ => {
            eprintln!("no guest is named `{guest}`; add it to skills/pack");
            return ExitCode::from(2);
        }
    };
    println!("{manifest}");
    ExitCode::SUCCESS
}
