//! What the command line or the library's builder says about policy, with the preset's file read.

use std::borrow::Cow;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::parse;
use super::problem::Problem;
use super::source::File;
use crate::domain::policy::{PolicyLayers, PolicySpec, Preset};

/// Policy from outside the fixtures: their `[policy]` overrides the preset, and the flags override both.
#[derive(Clone, Debug, Default)]
pub struct StartPolicy {
    preset: PolicySpec,
    flags: PolicySpec,
}

/// A file of `measured:FILE`, as `calibrate` writes it. Where each value was measured is not used here.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MeasuredFile {
    policy: PolicySpec,
    #[serde(default, rename = "measured")]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    _measured: IgnoredAny,
    #[serde(default, rename = "undetermined")]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    _undetermined: IgnoredAny,
}

impl StartPolicy {
    /// Reads the preset's keys, from its file if it has one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(preset: &Preset, flags: PolicySpec) -> Result<StartPolicy, Vec<Problem>> {
        let preset = match preset {
            Preset::Measured(path) => read(path)?,
            Preset::Documented | Preset::Probable => preset.built_in(),
        };
        Ok(StartPolicy { preset, flags })
    }

    pub(super) fn over(&self, file: &PolicySpec) -> PolicyLayers {
        PolicyLayers { preset: self.preset.clone(), file: file.clone(), flags: self.flags.clone() }
    }
}

fn read(path: &Path) -> Result<PolicySpec, Vec<Problem>> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| vec![Problem::of_file(&shown, error.to_string())])?;
    let (file, mut problems) = (File { shown, bytes: Cow::Owned(bytes) }, Vec::new());
    let policy = parse::<MeasuredFile>(&file, &mut problems).map(|parsed| parsed.content.policy);
    policy.filter(|_| problems.is_empty()).ok_or(problems)
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
