// SPDX-License-Identifier: MIT
//! Finds the installed library by pkg-config.
use std::process::{exit, Command};

fn main() {
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let asked = Command::new("pkg-config").args(["--variable=libdir", "myalloc"]).output();
    let folder = match &asked {
        Ok(answer) if answer.status.success() => String::from_utf8_lossy(&answer.stdout).trim().to_string(),
        _ => {
            eprintln!("pkg-config does not find myalloc: is it installed, and PREFIX/lib/pkgconfig in PKG_CONFIG_PATH?");
            exit(1);
        }
    };
    println!("cargo:rustc-link-search=native={folder}");
    if std::env::var_os("CARGO_FEATURE_STATIC").is_some() {
        println!("cargo:rustc-link-lib=static=myalloc");
    } else {
        println!("cargo:rustc-link-lib=dylib=myalloc");
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{folder}");
    }
}
