//! Where the parts of an answer are known from.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grounds::{AnsweredThrough, Grounds};
use super::rests_on::{Differs, NO_FACE, RestsOn};
use crate::domain::policy::FIXED;
use crate::protocol::{Code, Layout, Outcome, Provenance, Shape, ValueTypes};

/// Where the parts of an answer are known from. Null for an answer that has no code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    /// That this request gets this code.
    pub code: BasisPart,
    /// The text of the code.
    pub text: BasisPart,
    /// Keys and types of the body.
    pub shape: BasisPart,
    /// Blanks and line breaks of the body.
    pub white_space: BasisPart,
    /// Status line and headers.
    pub head: BasisPart,
}

/// Where a part of an answer is known from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BasisPart {
    /// How certain it is; null where a rule says it, which tells nothing about the endpoint.
    pub standing: Option<Provenance>,
    /// Section of the document, policy key, or other source.
    #[schemars(with = "String")]
    pub source: Cow<'static, str>,
}

const BY_RULE: BasisPart = BasisPart { standing: None, source: Cow::Borrowed("a rule") };

fn part(standing: Provenance, source: impl Into<Cow<'static, str>>) -> BasisPart {
    BasisPart { standing: Some(standing), source: source.into() }
}

impl Grounds {
    /// Returns where the parts of the answer are known from, which rests on `rests_on`.
    #[must_use]
    pub fn basis(&self, rests_on: &[RestsOn]) -> Option<Basis> {
        let (code, shape) = (self.code.as_ref()?, self.shape?);
        Some(Basis {
            code: self.code_basis(code, rests_on),
            text: self.text_basis(code),
            shape: self.shape_basis(code, shape),
            white_space: self.white_space_basis(code, shape),
            head: part(
                self.policy.standing("head", Provenance::Assumed),
                "policy head; the document shows no head",
            ),
        })
    }

    fn code_basis(&self, code: &Code, rests_on: &[RestsOn]) -> BasisPart {
        if matches!(self.through, AnsweredThrough::Rule { .. } | AnsweredThrough::RuleWithoutChecks) {
            return BY_RULE;
        }
        let assumed: Vec<_> =
            rests_on.iter().filter(|one| one.differs == Differs::Code).map(|one| &*one.key).collect();
        match assumed[..] {
            [] => {}
            [NO_FACE] => return part(Provenance::Assumed, "no_face of [matcher.faces]"),
            _ => return part(Provenance::Assumed, format!("policy {}", assumed.join(", "))),
        }
        let decided_by = self.first_failed().and_then(|failed| failed.decided_by);
        if let Some(fixed) = FIXED.iter().find(|fixed| Some(fixed.name) == decided_by) {
            return part(fixed.standing, fixed.source);
        }
        match (Outcome::find(code), decided_by) {
            (_, Some(key)) if self.policy.standing(key, Provenance::Assumed) == Provenance::Measured => {
                part(Provenance::Measured, format!("policy {key}"))
            }
            (Some(row), _) => part(row.standing, row.source),
            (None, _) => part(self.policy.standing("not_found", Provenance::Assumed), "policy not_found"),
        }
    }

    fn text_basis(&self, code: &Code) -> BasisPart {
        if self.has_rules_text {
            return BY_RULE;
        }
        let own = |key: &str| part(self.policy.standing(key, Provenance::Assumed), format!("policy {key}"));
        let message = code.message();
        match Outcome::find(code) {
            _ if self.found_nobody && self.policy.not_found.error.is_some() => own("not_found"),
            _ if self.policy.trim_messages && message.trim() != message && !self.is_sample => {
                own("trim_messages")
            }
            Some(row) => part(row.text_standing(), row.source),
            None => part(Provenance::Assumed, "not in the document"),
        }
    }

    fn shape_basis(&self, code: &Code, shape: Shape) -> BasisPart {
        let own = |key: &str| part(self.policy.standing(key, Provenance::Assumed), format!("policy {key}"));
        let is_native = shape == Shape::Verification && self.policy.types == ValueTypes::Native;
        match Outcome::find(code) {
            Some(row) if self.is_sample => part(row.standing, row.source),
            _ if self.has_rules_shape => BY_RULE,
            _ if is_native => own("types"),
            _ if self.policy.shape.contains_key(code) && self.policy.measured.contains(&"shape") => {
                own("shape")
            }
            Some(row) if row.standing == Provenance::Doc && row.shape == shape => {
                part(row.standing, row.source)
            }
            Some(row) if row.standing == Provenance::Doc => own("shape"),
            _ => part(Provenance::Assumed, "not in the document; as its other answers of this shape"),
        }
    }

    fn white_space_basis(&self, code: &Code, shape: Shape) -> BasisPart {
        let printed = Outcome::find(code).filter(|row| row.standing == Provenance::Doc && row.shape == shape);
        match (self.policy.layout, printed) {
            (_, Some(row)) if self.is_sample => part(row.standing, row.source),
            (_, _) if self.policy.measured.contains(&"layout") => part(Provenance::Measured, "policy layout"),
            (Layout::Compact, _) => part(Provenance::Assumed, "policy layout"),
            (_, Some(row)) => part(row.standing, row.source),
            (_, None) => part(Provenance::Assumed, "as the document's other answers of this shape"),
        }
    }
}
