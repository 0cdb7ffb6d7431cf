//! Tells the admin server's `/mesh/version` which compiler made it, and from which commit, where `MESH_GIT_HASH` says so.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MESH_GIT_HASH");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(compiler).arg("--version").output().ok();
    let version = told.and_then(|told| String::from_utf8(told.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=MESH_RUSTC={}", version.trim());
}
