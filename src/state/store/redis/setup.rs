//! How a replica is set up, as far as all replicas of a store must be alike.

/// Digests of what all replicas of a store must have in common, or they answer differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSetup {
    /// Of the fixture files.
    pub fixtures: String,
    /// Of the start options that change answers.
    pub options: String,
}

impl ReplicaSetup {
    /// Returns the text that other replicas compare.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}", self.fixtures, self.options)
    }

    /// Returns in what some of these texts differ: `fixtures`, `options`.
    #[must_use]
    pub fn differs(&self, others: &[String]) -> Vec<&'static str> {
        let parts = others.iter().map(|text| text.split_once(' ').unwrap_or_default());
        let fixtures = parts.clone().any(|(fixtures, _)| fixtures != self.fixtures).then_some("fixtures");
        let options = parts.clone().any(|(_, options)| options != self.options).then_some("options");
        fixtures.into_iter().chain(options).collect()
    }
}

/// Says in what other replicas differ.
pub(super) fn told(differs: &[&str]) -> &'static str {
    match differs {
        [] => "all replicas have the same fixtures and start options again",
        ["fixtures"] => {
            "other replicas have other fixtures: give all replicas the same, or they answer differently"
        }
        ["options"] => {
            "other replicas were started with other options (--preset, policy such as --layout, --max-body or --show-nik): give all replicas the same, or they answer differently"
        }
        _ => {
            "other replicas have other fixtures, and were started with other options (--preset, policy such as --layout, --max-body or --show-nik): give all replicas the same, or they answer differently"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_differ_in_what_another_has_otherwise() {
        let setup = |fixtures: &str, options: &str| ReplicaSetup {
            fixtures: fixtures.to_owned(),
            options: options.to_owned(),
        };
        let own = setup("a", "b");
        for (others, differs) in [
            (vec![setup("a", "b"), setup("a", "b")], vec![]),
            (vec![setup("a", "b"), setup("c", "b")], vec!["fixtures"]),
            (vec![setup("a", "c")], vec!["options"]),
            (vec![setup("c", "b"), setup("a", "c")], vec!["fixtures", "options"]),
        ] {
            let texts: Vec<_> = others.iter().map(ReplicaSetup::text).collect();
            assert_eq!(own.differs(&texts), differs, "{texts:?}");
        }
    }
}
