//! Which build this is: the version, and the commit that it was made of.

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, as a hash in hexadecimal; `unknown` when it was built outside a checkout and not from a package.
pub const COMMIT: &str = env!("BUILT_FROM_COMMIT");

/// Both for people: `0.1.0 (abc1234 2026-11-22)`, with the day of the commit where it is known.
pub const WITH_COMMIT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")");
