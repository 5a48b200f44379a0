//! Decryption check: the customer's private key decrypts `user_id` and `password` (doc 2, 4.7).

use super::{CheckInput, Finding};
use crate::domain::evidence::Credential;
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Decryption;

pub fn check(input: &CheckInput) -> Finding {
    let fields = [("user_id", &input.evidence.user_id), ("password", &input.evidence.password)];
    let rejected: Vec<_> = fields
        .iter()
        .filter_map(|(name, credential)| match credential {
            Credential::Refused { reason, hint } => Some((format!("{name} {reason}"), hint.as_str())),
            _ => None,
        })
        .collect();
    if let Some((_, hint)) = rejected.first() {
        let reasons: Vec<_> = rejected.iter().map(|(reason, _)| reason.as_str()).collect();
        return Finding::failed(THIS, Code::DECRYPTION, reasons.join("; "), (*hint).to_owned());
    }
    match fields.iter().find(|(_, credential)| matches!(credential, Credential::Absent)) {
        Some((name, _)) => Finding::unknown(THIS, format!("there is no {name} to decrypt")),
        None => Finding::passed(THIS, "user_id and password were decrypted"),
    }
}
