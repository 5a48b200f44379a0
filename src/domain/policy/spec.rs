//! Policy keys as written: in fixtures, presets, flags and the admin API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::describe_policy;
use super::not_found::NotFound;
use super::values::{BadImage, MaxResults, Precedence, ShapedCode};
use super::{AcceptPolicy, ContentTypePolicy, MalformedJson, Policy, QuotaCounts, TransactionIdPolicy};
use crate::base::json;
use crate::domain::http_answer::HeadStyle;
use crate::protocol::encoding::Base64Mode;
use crate::protocol::{Code, Layout, NumberMode, Shape, ValueTypes};

/// `[policy]` of a fixture or an admin API request: any of the keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = describe_policy, example = serde_json::json!({ "layout": "compact" }))]
pub struct PolicySpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precedence: Option<Precedence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<BTreeMap<ShapedCode, Shape>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionIdPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_limiter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face_threshold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed_json: Option<MalformedJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentTypePolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<AcceptPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadStyle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<ValueTypes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trim_messages: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found: Option<NotFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_counts: Option<QuotaCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_customer: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong_methode: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_image: Option<BadImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<Base64Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<MaxResults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nik_min_age: Option<u32>,
}

/// Calls a macro with the keys whose value in a specification is that of the policy.
macro_rules! plain_keys {
    ($with:ident) => {
        $with!(
            layout,
            transaction_id,
            uid,
            quota_limiter,
            face_threshold,
            numbers,
            malformed_json,
            content_type,
            accept,
            head,
            types,
            trim_messages,
            not_found,
            quota_counts,
            unknown_customer,
            wrong_methode,
            base64,
            nik_min_age,
        )
    };
}

impl PolicySpec {
    /// Whether a key is set.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        json::value(self).get(key).is_some()
    }

    /// Returns this specification, overlaid by the keys that `over` sets; `shape` merges code by code.
    #[must_use]
    pub fn overlaid(mut self, over: &PolicySpec) -> PolicySpec {
        macro_rules! take {
            ($($key:ident),* $(,)?) => { $(if over.$key.is_some() { self.$key.clone_from(&over.$key); })* };
        }
        plain_keys!(take);
        take!(precedence, bad_image, max_results);
        if let Some(shapes) = &over.shape {
            self.shape
                .get_or_insert_default()
                .extend(shapes.iter().map(|(code, shape)| (code.clone(), *shape)));
        }
        self
    }
}

impl Policy {
    /// Returns this policy, overlaid by the keys that `spec` sets.
    #[must_use]
    pub fn with(mut self, spec: &PolicySpec) -> Policy {
        macro_rules! take {
            ($($key:ident),* $(,)?) => { $(if let Some(value) = &spec.$key { self.$key = value.clone(); })* };
        }
        // What is set here is not what was measured.
        self.measured.retain(|key| !spec.sets(key));
        plain_keys!(take);
        if let Some(Precedence(checks)) = &spec.precedence {
            self.precedence.clone_from(checks);
        }
        if let Some(BadImage(code)) = &spec.bad_image {
            self.bad_image = code.clone();
        }
        if let Some(MaxResults(count)) = spec.max_results {
            self.max_results = count;
        }
        self.shape
            .extend(spec.shape.iter().flatten().map(|(ShapedCode(code), shape)| (code.clone(), *shape)));
        self
    }
}
