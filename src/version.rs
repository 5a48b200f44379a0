//! Build information: the version and the commit.

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit hash in hexadecimal; `unknown` when built neither in a git checkout nor from a cargo package.
pub const COMMIT: &str = env!("BUILT_FROM_COMMIT");

/// Version and commit for people: `0.1.0 (abc1234 2026-11-22)`, with the commit's date if it is known.
pub const WITH_COMMIT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")");
