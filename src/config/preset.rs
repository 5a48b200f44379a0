//! What the command line or the library's builder says about policy, with the preset's file read.

use std::borrow::Cow;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::parse;
use super::problem::Problem;
use super::source::File;
use crate::base::json;
use crate::domain::policy::{Measurement, Policy, PolicyLayers, PolicySpec, Preset, Undetermined};

/// Policy from outside the fixtures: their `[policy]` overrides the preset, and the flags override both.
#[derive(Clone, Debug, Default)]
pub struct StartPolicy {
    preset: PolicySpec,
    /// How the preset's keys were measured.
    measured: Vec<Measurement>,
    flags: PolicySpec,
}

/// A file of `measured:FILE`, as `calibrate` writes it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFile {
    pub policy: PolicySpec,
    #[serde(default)]
    pub measured: Vec<Measurement>,
    #[serde(default)]
    pub undetermined: Vec<Undetermined>,
}

impl MeasuredFile {
    /// Returns the file's text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // A policy, texts and numbers: TOML has them all.
        toml::to_string(self).unwrap_or_default()
    }
}

impl StartPolicy {
    /// Reads the preset's keys, from its file if it has one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(preset: &Preset, flags: PolicySpec) -> Result<StartPolicy, Vec<Problem>> {
        Ok(match preset {
            Preset::Measured(path) => {
                let MeasuredFile { policy, measured, .. } = read(path)?;
                StartPolicy { preset: policy, measured, flags }
            }
            Preset::Documented | Preset::Probable => {
                StartPolicy { preset: preset.built_in(), measured: Vec::new(), flags }
            }
        })
    }

    /// Returns the policy, where no fixtures say another one.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.over(&PolicySpec::default()).policy()
    }

    /// Returns what is said about policy, as JSON.
    #[must_use]
    pub fn text(&self) -> String {
        json::text(&(&self.preset, &self.flags))
    }

    pub(super) fn over(&self, file: &PolicySpec) -> PolicyLayers {
        PolicyLayers {
            preset: self.preset.clone(),
            measured: self.measured.clone(),
            file: file.clone(),
            flags: self.flags.clone(),
        }
    }
}

fn read(path: &Path) -> Result<MeasuredFile, Vec<Problem>> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| vec![Problem::of_file(&shown, error.to_string())])?;
    let (file, mut problems) = (File { shown, bytes: Cow::Owned(bytes) }, Vec::new());
    let parsed = parse::<MeasuredFile>(&file, &mut problems).map(|parsed| parsed.content);
    parsed.filter(|_| problems.is_empty()).ok_or(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Result<PolicySpec, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("measured.toml");
        std::fs::write(&path, text).unwrap();
        let policy = StartPolicy::new(&Preset::Measured(path), PolicySpec::default());
        policy.map(|policy| policy.preset).map_err(|problems| Problem::list(&problems))
    }

    #[test]
    fn the_policy_of_a_measured_file_is_read() {
        let text = "[policy]\nnot_found = '6019'\nprecedence = ['quota']\n[[measured]]\nkey = 'not_found'\n\
                    at = '2026-12-01T20:51:07+07:00'\ncases = ['match/none']\ncalls = 1\n\
                    [[undetermined]]\nkey = 'quota_counts'\nwhy = 'no answer carried quotaLimiter'";
        assert_eq!(
            measured(text),
            toml::from_str("not_found = '6019'\nprecedence = ['quota']").map_err(|_| String::new())
        );
    }

    #[test]
    fn a_wrong_file_is_refused_with_what_is_wrong() {
        for (text, expected) in [
            ("", "policy is missing"),
            (
                "[policy]\nnot_fuond = '6019'",
                "measured.toml:2:1: unknown key `not_fuond` (did you mean `not_found`?)",
            ),
            ("[policy]\nnumbers = 'lose'", "measured.toml:2:11: "),
            ("[polic]\n", "did you mean `policy`?"),
        ] {
            let problems = measured(text).unwrap_err();
            assert!(problems.contains(expected), "{problems}");
        }
        let missing = StartPolicy::new(&Preset::Measured("no/such/file.toml".into()), PolicySpec::default());
        assert!(Problem::list(&missing.unwrap_err()).contains("no/such/file.toml: "));
    }
}
