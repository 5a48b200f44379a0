//! Values that files and requests write as text: `"250ms"`, `"10.0.0.0/8"`.

/// Implements `Deserialize` for types that are parsed from text.
macro_rules! deserialize_from_text {
    ($($name:ident),*) => {
        $(impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        })*
    };
}

/// Implements `Serialize` for types whose `Display` is how they are written.
macro_rules! serialize_as_text {
    ($($name:ident),*) => {
        $(impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

pub(crate) use deserialize_from_text;
pub(crate) use serialize_as_text;
