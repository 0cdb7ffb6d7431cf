//! What the fuzz targets do with the bytes that they are given.

use mesh_config::{ConfigSet, Report};

/// Reads a text, and prints what is found.
pub fn parse(bytes: &[u8]) {
    read(bytes);
}

/// Reads a text and checks each object.
pub fn validate(bytes: &[u8]) {
    let set = read(bytes);
    print(&set.validate());
}

/// Reads a text and looks at the objects together.
pub fn analyze(bytes: &[u8]) {
    let set = read(bytes);
    print(&set.analyze());
}

fn read(bytes: &[u8]) -> ConfigSet {
    let text = String::from_utf8_lossy(bytes);
    let (documents, report) = mesh_config::parse("fuzz", &text);
    print(&report);
    let (set, duplicates) = ConfigSet::from_documents(documents);
    print(&duplicates);
    set
}

fn print(report: &Report) {
    std::hint::black_box(report.to_string());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_targets_take_the_corpus_and_every_beginning_of_it() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
        for entry in fs::read_dir(corpus).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            for end in (0..=bytes.len()).step_by(37) {
                super::parse(&bytes[..end]);
                super::validate(&bytes[..end]);
                super::analyze(&bytes[..end]);
            }
        }
    }
}
