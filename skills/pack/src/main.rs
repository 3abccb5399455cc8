//! Prints the manifest of the guest that the first argument names; with a component and a file to write, makes the
//! plugin of them: the component with its manifest at the end.

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: pack GUEST                       prints its manifest
       pack GUEST COMPONENT.wasm FILE.wasm   writes the plugin";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (guest, files) = match arguments.as_slice() {
        [guest] => (guest, None),
        [guest, component, file] => (guest, Some((Path::new(component), Path::new(file)))),
        _ => return fail(USAGE),
    };
    let manifest = match guest.as_str() {
        "bench-guest" => bench_guest::manifest(),
        "broken-kit" => broken_kit::manifest(),
        "go-home" => go_home::manifest(),
        "kit-parts" => kit_parts::manifest(),
        "misbehave" => misbehave::manifest(),
        "probe" => probe::manifest(),
        "regrasp" => regrasp::manifest(),
        "search-missing" => search_missing::manifest(),
        _ => {
            return fail(&format!(
                "no guest is named `{guest}`; add it to skills/pack"
            ));
        }
    };
    match files {
        None => println!("{manifest}"),
        Some((component, file)) => {
            if let Err(problem) = pack(component, &manifest.to_string(), file) {
                return fail(&problem);
            }
        }
    }
    ExitCode::SUCCESS
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(2)
}

fn pack(component: &Path, manifest: &str, file: &Path) -> Result<(), String> {
    let mut plugin =
        std::fs::read(component).map_err(|error| format!("{}: {error}", component.display()))?;
    // A component begins with this; a core module has another layer.
    if !plugin.starts_with(b"\0asm\x0d\0\x01\0") {
        return Err(format!(
            "{} is no component; build the guest for wasm32-wasip2",
            component.display()
        ));
    }
    append_section(&mut plugin, "sinew:manifest", manifest.as_bytes());
    std::fs::write(file, plugin).map_err(|error| format!("{}: {error}", file.display()))
}

/// A custom section: id 0, the size of the rest, the length of the name, the name, the data.
fn append_section(plugin: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = leb128(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    plugin.push(0);
    plugin.extend(leb128(body.len()));
    plugin.extend(body);
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_leb128() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [0x7f]);
        assert_eq!(leb128(128), [0x80, 1]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn a_section_says_how_long_it_is() {
        let mut plugin = Vec::new();
        append_section(&mut plugin, "ab", b"cde");
        assert_eq!(plugin, [0, 6, 2, b'a', b'b', b'c', b'd', b'e']);
    }
}
