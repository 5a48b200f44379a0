//! Data model of the fixture files as written: every key optional, unknown keys rejected.

use std::fmt;
use std::path::{Component, Path};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faces::FacesSpec;
use super::values::{CustomerId, Methode, PathPrefixes, PlantedScore, Population};
use crate::base::network::AllowedNetwork;
use crate::domain::capacity::CapacitySpec;
use crate::domain::limits::Limits;
use crate::domain::nik::{self, NikProblem};
use crate::domain::policy::PolicySpec;
use crate::domain::rules::RuleSpec;

/// `simulator.toml`: settings for all customers. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorSpec {
    /// Path prefixes of the endpoint.
    pub prefixes: Option<PathPrefixes>,
    /// Source of the peer address, for `access.peer`.
    pub peer: PeerSource,
    /// The global policy.
    pub policy: PolicySpec,
    /// Limits on requests, connections and memory.
    pub limits: Limits,
    /// Capacity of the matcher shared by all customers without a `capacity` of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySpec>,
    /// Number of strangers that a photo is also searched among; some of them are look-alikes. Default: 0.
    pub population: Population,
    /// Photo matching.
    pub matcher: MatcherSpec,
    /// State that lasts, with `--store file:PATH`.
    pub store: StoreSpec,
}

/// `[store]`: how state that lasts is written. Read at the start; a reload does not change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSpec {
    /// What an answer waits for.
    pub synchronous: Synchronous,
}

/// What an answer waits for before it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// The operating system has what changed: a killed simulator loses nothing, a machine that loses its power may lose seconds.
    #[default]
    Normal,
    /// The disk has it: nothing is lost then either, and each answer waits some milliseconds.
    Full,
}

/// `[matcher]`: photo matching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatcherSpec {
    /// Compares photos by content. If false, only an identical file matches, and photos are never decoded.
    pub perceptual: bool,
    /// Compares faces too, by an engine of the user's; default: none is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<FacesSpec>,
}

impl Default for MatcherSpec {
    fn default() -> MatcherSpec {
        MatcherSpec { perceptual: true, faces: None }
    }
}

/// Source of the TCP peer's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerSource {
    /// The socket.
    #[default]
    Socket,
    /// The PROXY protocol header (version 1 or 2), which every connection must then start with.
    ProxyProtocol,
    /// The last address in `X-Forwarded-For`: the one that the nearest proxy appended.
    XForwardedFor,
}

/// `customers/<customer_id>.toml`: one customer. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CustomerSpec {
    /// The customer's path segment; default: the file's stem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Customer to inherit every key from that is not set here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<CustomerId>,
    /// Allowed last path segments; default: `CALL_FN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methode: Option<Vec<Methode>>,
    /// File name of a private key (PEM) in the keys directory; default: the server's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"bank.pem")]
    pub key: Option<String>,
    /// Expected credentials.
    pub account: AccountSpec,
    /// Allowed addresses.
    pub access: AccessSpec,
    /// Request quota.
    pub quota: QuotaSpec,
    /// Capacity of the customer's own matcher; default: the customer uses the shared matcher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySpec>,
    /// Policy keys that override the global policy.
    pub policy: PolicySpec,
    /// The customer's gallery.
    pub gallery: OwnGallerySpec,
    /// Number of strangers that a photo is also searched among; default: as in `simulator.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
    /// Rules, evaluated in order; the first that matches decides.
    // Shared with the customers that inherit them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Arc<Vec<RuleSpec>>>,
}

/// `[account]`: the customer's credentials.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSpec {
    /// Expected plain text of `user_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"bank-user", extend("format" = "password"))]
    pub user_id: Option<String>,
    /// Expected plain text of `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"bank-password", extend("format" = "password"))]
    pub password: Option<String>,
}

// A derived Debug would print the password.
impl fmt::Debug for AccountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountSpec(..)")
    }
}

/// `[access]`: addresses that the customer may call from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSpec {
    /// Allowed addresses and networks; default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<AllowedNetwork>>,
    /// Also checks the TCP peer, not only the body's `ip`; default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<bool>,
}

/// `[quota]`: the customer's request quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSpec {
    /// Max. requests per day (Asia/Jakarta); default: no limit. In the admin API, null removes an inherited limit.
    #[schemars(with = "Option<u64>")]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(example = 80)]
    pub per_day: Option<Option<u64>>,
}

/// Deserializes a key that is present, even when null, to `Some`.
pub(crate) fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `[gallery]`: identities that this customer's requests can match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OwnGallerySpec {
    /// Also searches the shared gallery, `gallery/gallery.toml`; default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Identities of this customer only; their pictures are in `gallery/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<IdentitySpec>>,
}

impl CustomerSpec {
    /// Returns this specification overridden by every key that `over` sets: tables merge key by key, arrays are replaced.
    #[must_use]
    pub fn overlaid(mut self, over: &CustomerSpec) -> CustomerSpec {
        macro_rules! override_keys {
            ($($($key:ident).+),* $(,)?) => { $(if over.$($key).+.is_some() { self.$($key).+.clone_from(&over.$($key).+); })* };
        }
        override_keys!(
            customer_id,
            methode,
            key,
            account.user_id,
            account.password,
            access.allow,
            access.peer,
            quota.per_day,
            gallery.shared,
            gallery.identities,
            population,
            rules,
        );
        self.extends.clone_from(&over.extends);
        self.policy = self.policy.overlaid(&over.policy);
        if let Some(over) = &over.capacity {
            self.capacity = Some(self.capacity.unwrap_or_default().overlaid(over));
        }
        self
    }
}

/// `gallery/gallery.toml`: the shared gallery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GallerySpec {
    /// Identities that every customer's requests can match.
    pub identities: Vec<IdentitySpec>,
}

/// One entry of `[[identities]]`: a person in a gallery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    /// NIK: sixteen digits.
    pub nik: NikText,
    /// Name for people to read; not used in matching.
    #[schemars(example = &"Budi Contoh")]
    pub name: String,
    /// Picture files, relative to the directory of `gallery.toml`.
    pub pictures: Vec<PictureName>,
    /// Twins and look-alikes: returned together with this identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<SimilarSpec>,
}

/// One entry of `similar`: a planted twin or look-alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarSpec {
    /// NIK of the look-alike; it need not be in the gallery.
    pub nik: NikText,
    /// Score of the look-alike, capped at the identity's own score.
    pub score: PlantedScore,
}

/// A valid NIK: sixteen digits. The region may be unknown: a NIK keeps the region code of the time when it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NikText(pub String);

impl TryFrom<String> for NikText {
    type Error = String;

    fn try_from(text: String) -> Result<NikText, String> {
        match text.parse::<nik::Nik>() {
            Ok(_) => Ok(NikText(text)),
            Err(NikProblem::Length { .. } | NikProblem::NotADigit { .. }) => {
                Err(format!("{text:?} is not a NIK: a NIK has sixteen digits"))
            }
            Err(problem) => Err(format!("{text:?} is not a NIK: {problem}")),
        }
    }
}

/// Relative path of a file in the directory of `gallery.toml` or below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PictureName(pub String);

impl TryFrom<String> for PictureName {
    type Error = String;

    fn try_from(text: String) -> Result<PictureName, String> {
        let inside = Path::new(&text).components().all(|part| matches!(part, Component::Normal(_)));
        if !text.is_empty() && inside && !text.contains('\\') {
            return Ok(PictureName(text));
        }
        Err(format!("{text:?} is not the name of a file beside gallery.toml, such as \"budi.jpg\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_merge_and_arrays_are_replaced() {
        let base: CustomerSpec = toml::from_str(
            "methode = ['A', 'B']\naccount = { user_id = 'u', password = 'p' }\nquota = { per_day = 80 }\n\
             policy = { layout = 'compact', shape.5001 = 'identification' }",
        )
        .unwrap();
        let over: CustomerSpec = toml::from_str(
            "extends = 'demo'\nmethode = ['C']\naccount = { password = 'q' }\npolicy = { shape.5005 = 'identification' }",
        )
        .unwrap();
        let merged = base.overlaid(&over);
        assert_eq!(merged.methode, Some(vec![Methode("C".to_owned())]));
        assert_eq!(merged.account.user_id.as_deref(), Some("u"));
        assert_eq!(merged.account.password.as_deref(), Some("q"));
        assert_eq!(merged.quota.per_day, Some(Some(80)));
        assert_eq!(merged.policy.shape.unwrap().len(), 2);
        assert_eq!(merged.policy.layout, Some(crate::protocol::Layout::Compact));
    }

    #[test]
    fn debug_shows_no_account() {
        let spec: CustomerSpec =
            toml::from_str("account = { user_id = 'geheim', password = 'geheim' }").unwrap();
        assert!(!format!("{spec:?}").contains("geheim"));
    }

    #[test]
    fn a_nik_is_valid_or_rejected_with_the_reason() {
        let nik = |text: &str| NikText::try_from(text.to_owned()).map(|nik| nik.0);
        for text in ["3174055708909001", "9101011708909001", "3799991708909001"] {
            assert_eq!(nik(text).as_deref(), Ok(text));
        }
        for (text, reason) in [
            ("123", "a NIK has sixteen digits"),
            ("317405570890900x", "a NIK has sixteen digits"),
            ("0074055708909001", "digits 1-2: a province number is two digits from 1 to 9, not 00"),
            ("3174054002909001", "digits 7-8: day 40 is neither 01-31 (a man) nor 41-71 (a woman)"),
            ("3174052902019001", "digits 7-12: there is no 2001-02-29"),
            ("3174055708900000", "digits 13-16: serials start with 0001"),
        ] {
            assert_eq!(nik(text), Err(format!("{text:?} is not a NIK: {reason}")));
        }
    }
}
