//! Where the global policy comes from. A customer's own policy overrides it.

use std::fmt;

use super::Policy;
use super::keys::KEYS;
use super::measured::Measurement;
use super::spec::PolicySpec;

/// What sets policy keys for all customers; a later layer overrides an earlier one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyLayers {
    /// Keys of the preset.
    pub preset: PolicySpec,
    /// How the preset's keys were measured.
    pub measured: Vec<Measurement>,
    /// `[policy]` of `simulator.toml`.
    pub file: PolicySpec,
    /// Keys of the command line, or of the library's builder.
    pub flags: PolicySpec,
}

/// A layer that sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// None does: the default holds.
    Default,
    Preset,
    File,
    Flag,
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PolicySource::Default => "default",
            PolicySource::Preset => "preset",
            PolicySource::File => "file",
            PolicySource::Flag => "flag",
        })
    }
}

impl PolicyLayers {
    /// Returns the policy that holds for a customer without keys of its own.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default().with(&self.preset);
        let is_measured =
            |key: &&str| self.measured.iter().any(|one| one.is_of(key)) && self.preset.sets(key);
        policy.measured = KEYS.iter().map(|key| key.name).filter(is_measured).collect();
        policy.with(&self.file).with(&self.flags)
    }

    /// Returns how a key's value was measured; none where another layer decides it.
    pub fn measurements<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Measurement> {
        let is_presets = self.source(key) == PolicySource::Preset;
        self.measured.iter().filter(move |one| is_presets && one.is_of(key))
    }

    /// Returns the layer that decides a key. `shape` is merged code by code: the last layer that sets one.
    #[must_use]
    pub fn source(&self, key: &str) -> PolicySource {
        let layers = [
            (&self.flags, PolicySource::Flag),
            (&self.file, PolicySource::File),
            (&self.preset, PolicySource::Preset),
        ];
        layers
            .into_iter()
            .find(|(spec, _)| spec.sets(key))
            .map_or(PolicySource::Default, |(_, source)| source)
    }
}
