//! Rules: scripted replies, delays and faults. Which rules fire is a pure function of the rules, the facts of the request and the
//! counters so far; their effects are returned as data.
//!
//! Rules are evaluated in order, in up to three passes ([`Phase`]). Faults of the upload are decided from the request's head. Then,
//! before the checks, the leading rules with `checks = "skip"` are tried. All rules from the first one without it follow after the
//! checks, under the lock that charges the quota. What an earlier pass decided stays decided.
//!
//! A rule that skips the checks charges nothing, wherever it stands: nobody was authenticated. The shipped customers `always-*` and
//! `sample-*` are ordinary customers with such a rule, not special cases.

mod chance;
mod condition;
mod reply;
mod scenario;
mod spec;

pub use chance::{Chance, Draw};
pub use condition::{Facts, TimeOfDay, When, Window, since};
pub use reply::{RawReply, Reply, ReplySpec};
pub use scenario::{Counter, CounterKey, DrawContext, Firing, Scenario, ScenarioChange};
pub use spec::{Checks, FileReader, Fingerprint, Per, Rule, RuleDefinition, RuleError, RuleSpec, joined};

use super::delay::Delay;

/// When a rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the body is read: rules whose fault affects the upload.
    BeforeBody,
    /// Before the checks, unless another rule precedes them: rules that skip the checks.
    BeforeChecks,
    /// After the checks: all other rules, in order.
    AfterChecks,
}

/// An aspect of the response that a rule can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Reply,
    Delay,
    Fault,
    SetState,
}

/// Effects decided so far, each with the name of the rule that decided it.
#[derive(Clone, Debug, Default)]
pub struct RuleEffects {
    pub reply: Option<(Reply, String)>,
    /// Whether the rule that decided the reply skips the checks.
    pub skips_checks: bool,
    pub delay: Option<(Delay, String)>,
    pub fault: Option<(crate::domain::faults::Fault, String)>,
    pub set_state: Option<String>,
    /// Every rule that decided something, in order.
    pub firings: Vec<Firing>,
}

impl RuleEffects {
    fn is_unset(&self, effect: Effect) -> bool {
        match effect {
            Effect::Reply => self.reply.is_none(),
            Effect::Delay => self.delay.is_none(),
            Effect::Fault => self.fault.is_none(),
            Effect::SetState => self.set_state.is_none(),
        }
    }

    fn apply(&mut self, rule: &Rule, effect: Effect) {
        let name = || rule.name.clone();
        match effect {
            Effect::Reply => {
                self.reply = rule.reply.clone().map(|reply| (reply, name()));
                self.skips_checks = rule.spec.checks == Some(Checks::Skip);
            }
            Effect::Delay => self.delay = rule.delay.clone().map(|delay| (delay, name())),
            Effect::Fault => self.fault = rule.fault.clone().map(|fault| (fault, name())),
            Effect::SetState => self.set_state.clone_from(&rule.set_state),
        }
    }
}
