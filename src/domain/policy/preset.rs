//! Presets: named values of several policy keys, below those of `simulator.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::spec::PolicySpec;
use super::values::ShapedCode;
use super::{AcceptPolicy, ContentTypePolicy, MalformedJson};
use crate::base::suggestion;
use crate::domain::http_answer::HeadStyle;
use crate::protocol::{Code, Layout, NumberMode, Shape};

/// Which endpoint is simulated where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The document: every default.
    #[default]
    Documented,
    /// What the real server most likely does (FIELD-NOTES, "How sure the document itself is" and "What is behind it").
    Probable,
    /// The `[policy]` of a file with measured values.
    Measured(PathBuf),
}

/// Prefix of the name of [`Preset::Measured`].
const MEASURED: &str = "measured:";

impl Preset {
    /// Returns the keys that the preset itself sets: none where a file has them.
    #[must_use]
    pub fn built_in(&self) -> PolicySpec {
        match self {
            Preset::Documented | Preset::Measured(_) => PolicySpec::default(),
            Preset::Probable => probable(),
        }
    }
}

fn probable() -> PolicySpec {
    let flat = |code| (ShapedCode(code), Shape::Identification);
    PolicySpec {
        layout: Some(Layout::Compact),
        shape: Some(BTreeMap::from([flat(Code::ACCOUNT), flat(Code::THRESHOLD)])),
        face_threshold: Some("echo".to_owned()),
        numbers: Some(NumberMode::Loose),
        malformed_json: Some(MalformedJson::BadRequest),
        content_type: Some(ContentTypePolicy::UnsupportedMediaType),
        accept: Some(AcceptPolicy::NotAcceptable),
        head: Some(HeadStyle::Tomcat),
        ..PolicySpec::default()
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(MEASURED)) {
            ("documented", _) => Ok(Preset::Documented),
            ("probable", _) => Ok(Preset::Probable),
            (_, Some(path)) if !path.is_empty() => Ok(Preset::Measured(path.into())),
            (_, Some(_)) | ("measured", _) => {
                Err("measured needs a file, such as measured:measured.toml".to_owned())
            }
            _ => {
                let suggestion = suggestion::suffix(text, ["documented", "probable"]);
                Err(format!("a preset is documented, probable or measured:FILE, not {text:?}{suggestion}"))
            }
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Preset::Documented => f.write_str("documented"),
            Preset::Probable => f.write_str("probable"),
            Preset::Measured(path) => write!(f, "{MEASURED}{}", path.display()),
        }
    }
}
