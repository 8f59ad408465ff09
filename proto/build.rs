//! Compiles our `.proto` files with protox, so that no protoc has to be installed.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from("proto");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::compile(&files, [&directory])?;
    prost_build::Config::new()
        // Maps in key order, so that equal values always have equal bytes.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
