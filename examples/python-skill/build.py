#!/usr/bin/env python3
"""Builds the plugin: `python3 build.py` writes target/pick-and-place.wasm.

componentize-py goes into a virtual environment of its own, which is kept. The first build needs the network.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST_WIT = HERE.parent.parent / "wit" / "0.1"
REQUIREMENTS = HERE / "requirements.txt"
WORLD = "lab:pick-and-place/pick-and-place"
SECTION = b"sinew:manifest"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--output", type=Path, default=HERE / "target" / "pick-and-place.wasm")
    arguments.add_argument("--venv", type=Path, default=HERE / "target" / "venv")
    given = arguments.parse_args()
    manifest = json.loads((HERE / "manifest.json").read_text())
    programs = environment(given.venv)
    component = componentize(programs, given.output.with_suffix(".component.wasm"))
    given.output.write_bytes(component + section(SECTION, json.dumps(manifest).encode()))
    print(f"{given.output}: {manifest['name']} {manifest['version']}")


def environment(folder):
    """The folder of the programs of a virtual environment that has what is required, and only that."""
    installed = folder / "requirements.txt"
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    wanted = REQUIREMENTS.read_bytes()
    if not installed.is_file() or installed.read_bytes() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        pip = [programs / "python", "-m", "pip", "install", "--quiet", "--require-hashes"]
        run([*pip, "--requirement", REQUIREMENTS])
        installed.write_bytes(wanted)
    return programs


def componentize(programs, output):
    """The bytes of the component, without its manifest."""
    output.parent.mkdir(parents=True, exist_ok=True)
    wit = ["--wit-path", HOST_WIT, "--wit-path", HERE / "wit", "--world", WORLD]
    app = ["componentize", "--python-path", HERE / "src", "--output", output, "skill"]
    run([programs / "componentize-py", "--quiet", *wit, *app])
    component = output.read_bytes()
    output.unlink()
    return component


def section(name, data):
    """A custom section: id 0, the size of the rest, the length of the name, the name, the data."""
    body = leb128(len(name)) + name + data
    return b"\0" + leb128(len(body)) + body


def leb128(value):
    """An unsigned number as WebAssembly writes it: seven bits a byte, the low ones first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded + bytes([value]))


def run(command):
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(command[0]).name} ended with code {error.returncode}")


if __name__ == "__main__":
    main()
