//! The fixture files as they are written: every key optional, unknown keys refused.

use std::fmt;
use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{CustomerId, Methode, PathPrefixes, PlantedScore, Population};
use crate::base::network::AllowedNetwork;
use crate::domain::capacity::CapacitySpec;
use crate::domain::limits::Limits;
use crate::domain::nik::{self, NikProblem};
use crate::domain::policy::PolicySpec;
use crate::domain::rules::RuleSpec;

/// `simulator.toml`: what holds for every customer. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorSpec {
    /// Where the endpoint is found.
    pub prefixes: Option<PathPrefixes>,
    /// Who a connection's peer is, for `access.peer`.
    pub peer: PeerSource,
    /// The global policy.
    pub policy: PolicySpec,
    /// What a request may hold.
    pub limits: Limits,
    /// How much the matcher can do that all customers without one of their own share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySpec>,
    /// Among how many strangers a photo is searched; some of them look alike. Default: 0, none.
    pub population: Population,
    /// How photos are matched.
    pub matcher: MatcherSpec,
}

/// `[matcher]`: how photos are matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatcherSpec {
    /// Whether photos are compared by content. If not, only the identical file is found, and no photo is ever decoded.
    pub perceptual: bool,
}

impl Default for MatcherSpec {
    fn default() -> MatcherSpec {
        MatcherSpec { perceptual: true }
    }
}

/// Where the TCP peer's address is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerSource {
    /// The socket.
    #[default]
    Socket,
    /// The PROXY protocol header (version 1 or 2) that every connection then starts with.
    ProxyProtocol,
    /// The last address in `X-Forwarded-For`: the one that the nearest proxy put there.
    XForwardedFor,
}

/// `customers/<customer_id>.toml`: one customer. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CustomerSpec {
    /// The customer's part of the path; default: the file's stem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The customer from whom everything not set here is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<CustomerId>,
    /// The last part of the path; default: `CALL_FN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methode: Option<Vec<Methode>>,
    /// A private PEM in the keys directory; default: the server's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What `user_id` and `password` must be.
    pub account: AccountSpec,
    /// From where the customer may call.
    pub access: AccessSpec,
    /// How much the customer may ask.
    pub quota: QuotaSpec,
    /// A matcher of the customer's own, and how much it can do; default: the one that all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySpec>,
    /// The policy where it differs from the global one.
    pub policy: PolicySpec,
    /// Who can be found.
    pub gallery: OwnGallerySpec,
    /// Among how many strangers a photo is searched; default: that of `simulator.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
    /// Tried in order; the first that matches decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleSpec>>,
}

/// `[account]`: what the customer proves itself with.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSpec {
    /// The decrypted `user_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The decrypted `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

// A derived Debug would print the password.
impl fmt::Debug for AccountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountSpec(..)")
    }
}

/// `[access]`: from where the customer may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSpec {
    /// Addresses and networks; default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<AllowedNetwork>>,
    /// Whether the TCP peer is judged as well as the body's `ip`; default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<bool>,
}

/// `[quota]`: how much the customer may ask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSpec {
    /// Requests per Jakarta day; default: no limit. Over the admin API, null lifts an inherited limit.
    #[schemars(with = "Option<u64>")]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub per_day: Option<Option<u64>>,
}

/// A key that is there, be it null.
pub(crate) fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `[gallery]`: who can be found for this customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OwnGallerySpec {
    /// Whether those of `gallery/gallery.toml` are found too; default: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Who is found for this customer only; their pictures stand in `gallery/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<IdentitySpec>>,
}

impl CustomerSpec {
    /// This with everything that `over` sets: tables merge key by key, arrays are replaced.
    #[must_use]
    pub fn overlaid(mut self, over: &CustomerSpec) -> CustomerSpec {
        macro_rules! take {
            ($($($key:ident).+),* $(,)?) => { $(if over.$($key).+.is_some() { self.$($key).+.clone_from(&over.$($key).+); })* };
        }
        take!(
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

/// `gallery/gallery.toml`: who can be found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GallerySpec {
    /// Everybody who can be found.
    pub identities: Vec<IdentitySpec>,
}

/// One of `[[identities]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    /// Sixteen digits.
    pub nik: NikText,
    /// For people only.
    pub name: String,
    /// Files beside `gallery.toml`.
    pub pictures: Vec<PictureName>,
    /// Twins and look-alikes: who is found along with this identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<SimilarSpec>,
}

/// One of `similar`: a planted twin or look-alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarSpec {
    /// Of somebody in the gallery, or of nobody.
    pub nik: NikText,
    /// Its score where the identity's own is at least that; else it has the identity's.
    pub score: PlantedScore,
}

/// Sixteen digits in which nothing is impossible. The region may be unknown: NIKs keep the codes of their day.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NikText(pub String);

impl TryFrom<String> for NikText {
    type Error = String;

    fn try_from(text: String) -> Result<NikText, String> {
        match text.parse::<nik::Nik>() {
            Ok(_) => Ok(NikText(text)),
            Err(NikProblem::Length { .. } | NikProblem::NotADigit { .. }) => {
                Err(format!("{text:?} is no NIK: it has sixteen digits"))
            }
            Err(problem) => Err(format!("{text:?} is no NIK: {problem}")),
        }
    }
}

/// A file beside `gallery.toml`, or below it.
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
        Err(format!("{text:?} is no file beside gallery.toml, such as \"budi.jpg\""))
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
    fn a_nik_is_possible_or_refused_with_the_reason() {
        let nik = |text: &str| NikText::try_from(text.to_owned()).map(|nik| nik.0);
        for text in ["3174055708909001", "9101011708909001", "3799991708909001"] {
            assert_eq!(nik(text).as_deref(), Ok(text));
        }
        for (text, reason) in [
            ("123", "it has sixteen digits"),
            ("317405570890900x", "it has sixteen digits"),
            ("0074055708909001", "digits 1-2: a province number is two digits from 1 to 9, not 00"),
            ("3174054002909001", "digits 7-8: day 40 is neither 01-31, a man's, nor 41-71, a woman's"),
            ("3174052902019001", "digits 7-12: there is no 2001-02-29"),
            ("3174055708900000", "digits 13-16: serials start with 0001"),
        ] {
            assert_eq!(nik(text), Err(format!("{text:?} is no NIK: {reason}")));
        }
    }
}
