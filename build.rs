//! Links libgcc into the binary, which then needs nothing but libc.
//!
//! rustc asks for `-lgcc_s` on Linux with glibc; a linker script of that name,
//! found first, hands it the static archives in its place.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        let folder = std::env::var("OUT_DIR").expect("cargo sets it");
        let script = std::path::Path::new(&folder).join("libgcc_s.so");
        std::fs::write(script, "INPUT(-lgcc_eh -lgcc)\n").expect("the build folder can be written");
        println!("cargo:rustc-link-arg-bins=-L{folder}");
    }
}
