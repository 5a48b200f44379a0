//! The seven fields of a request, and the document's constraints on them.

/// A field of the request (doc 2, the table of parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    TransactionId,
    TransactionSource,
    Threshold,
    Image,
    UserId,
    Password,
    Ip,
}

/// The document's constraints on a field, and whether its value may be shown.
#[derive(Debug)]
pub struct FieldRule {
    /// The field of this row.
    pub field: Field,
    /// Its key in the JSON object.
    pub name: &'static str,
    /// Max length, in characters (Unicode scalar values).
    pub max_chars: Option<usize>,
    /// Whether to redact the value: credentials and photos are never shown, logged or journaled.
    pub secret: bool,
}

/// All fields, in the order of doc 2. All seven are required and must not be empty (FIELD-NOTES, "Request", observed).
pub static FIELDS: [FieldRule; 7] = [
    FieldRule { field: Field::TransactionId, name: "transactionId", max_chars: Some(20), secret: false },
    FieldRule {
        field: Field::TransactionSource,
        name: "transactionSource",
        max_chars: Some(50),
        secret: false,
    },
    FieldRule { field: Field::Threshold, name: "threshold", max_chars: None, secret: false },
    FieldRule { field: Field::Image, name: "image", max_chars: None, secret: true },
    FieldRule { field: Field::UserId, name: "user_id", max_chars: None, secret: true },
    FieldRule { field: Field::Password, name: "password", max_chars: None, secret: true },
    FieldRule { field: Field::Ip, name: "ip", max_chars: Some(15), secret: false },
];

impl Field {
    /// Returns the document's row for this field.
    #[must_use]
    pub fn rule(self) -> &'static FieldRule {
        &FIELDS[self as usize]
    }

    /// Returns the field's key in the JSON object.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rule().name
    }

    pub(super) fn by_name(name: &str) -> Option<Field> {
        FIELDS.iter().find(|rule| rule.name == name).map(|rule| rule.field)
    }
}
