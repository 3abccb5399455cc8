//! Builds the guests for the WebAssembly target and hands out their bytes.
