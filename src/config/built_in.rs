//! The built-in fixtures: exactly the files of this list, embedded in the binary. Other files in the repository's `fixtures/` are its
//! user's: they are read when the simulator runs there, and never become part of a build.

use std::borrow::Cow;

use super::source::{File, Files};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/", $name)))),*]
    };
}

/// Every built-in file: its path in a fixture directory, and its content.
static FILES: &[(&str, &[u8])] = embedded![
    "customers/always-5001.toml",
    "customers/always-5002.toml",
    "customers/always-5003.toml",
    "customers/always-5004.toml",
    "customers/always-5005.toml",
    "customers/always-5006.toml",
    "customers/always-6014.toml",
    "customers/always-6018.toml",
    "customers/busy-then-ok.toml",
    "customers/crowded.toml",
    "customers/demo.toml",
    "customers/flaky.toml",
    "customers/gateway-down.toml",
    "customers/hang.toml",
    "customers/load.toml",
    "customers/quota-one-left.toml",
    "customers/reset.toml",
    "customers/sample-5001.toml",
    "customers/sample-5002.toml",
    "customers/sample-5003.toml",
    "customers/sample-5004.toml",
    "customers/sample-5005.toml",
    "customers/sample-5006.toml",
    "customers/sample-6014.toml",
    "customers/sample-6018.toml",
    "customers/slow.toml",
    "customers/truncated.toml",
    "gallery/agus.jpg",
    "gallery/andi.png",
    "gallery/bambang.jpg",
    "gallery/fatimah.jpg",
    "gallery/gallery.toml",
    "gallery/karim.png",
    "gallery/maria.jpg",
    "gallery/mei.jpg",
    "gallery/putu.jpg",
    "gallery/ratna.jpg",
    "gallery/rizky.jpg",
    "gallery/siti.jpg",
    "gallery/yosef.jpg",
    "simulator.toml",
];

/// Returns the photo that a request without one sends: of a person in the built-in gallery.
#[must_use]
pub fn demo_picture() -> &'static [u8] {
    const NAME: &str = "gallery/siti.jpg";
    FILES
        .iter()
        .find(|(name, _)| *name == NAME)
        .map(|(_, bytes)| *bytes)
        .expect("the built-in gallery has this picture")
}

/// Returns the built-in files, by their path in a fixture directory.
#[must_use]
pub fn built_in() -> Files {
    let file = |(name, bytes): &(&str, &'static [u8])| {
        ((*name).to_owned(), File { shown: format!("built-in {name}"), bytes: Cow::Borrowed(*bytes) })
    };
    FILES.iter().map(file).collect()
}
