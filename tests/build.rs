//! Hands the target triple to the test of the dependency direction: the graph differs between platforms.

fn main() {
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo:rustc-env=SINEW_TEST_TARGET={target}");
    println!("cargo:rerun-if-changed=build.rs");
}
