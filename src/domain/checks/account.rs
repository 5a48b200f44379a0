//! Account check: the customer_id exists, and user_id and password are that customer's (doc 4.3).

use super::{CheckInput, Finding};
use crate::base::text;
use crate::domain::evidence::Credential;
use crate::domain::evidence::likeness::likeness;
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Account;

pub fn check(input: &CheckInput) -> Finding {
    let Some(customer) = input.customer else {
        return Finding::failed(
            THIS,
            input.policy.unknown_customer.clone(),
            format!("no customer has the id {}", text::quoted(input.customer_id)),
            "use the id of a fixture, such as demo, in /api/face-recognition/{customer_id}/{methode}",
        )
        .decided_by("unknown_customer");
    };
    let wrong = [
        mismatch("user_id", &input.evidence.user_id, &customer.account.user_id, &customer.account.password),
        mismatch("password", &input.evidence.password, &customer.account.password, &customer.account.user_id),
    ];
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    match wrong.first() {
        Some((_, hint)) => {
            let reasons: Vec<_> = wrong.iter().map(|(reason, _)| reason.as_str()).collect();
            let finding =
                Finding::failed(THIS, Code::ACCOUNT, with_owner(input, reasons.join("; ")), hint.clone());
            let is_users = matches!(&input.evidence.user_id, Credential::Opened { plain, .. } if *plain == customer.account.user_id);
            if is_users { finding.decided_by("password") } else { finding }
        }
        None if decrypted(&input.evidence.user_id) && decrypted(&input.evidence.password) => {
            Finding::passed(THIS, "user_id and password are the customer's")
        }
        None => Finding::unknown(THIS, "user_id and password could not both be decrypted"),
    }
}

fn decrypted(credential: &Credential) -> bool {
    matches!(credential, Credential::Opened { .. })
}

/// Returns how a decrypted field differs from the expected value, and a hint. The reason never contains the value itself.
fn mismatch(name: &str, credential: &Credential, expected: &str, sibling: &str) -> Option<(String, String)> {
    let Credential::Opened { plain, .. } = credential else { return None };
    if plain == expected {
        return None;
    }
    let (how, hint) = if plain.is_empty() {
        ("is empty".to_owned(), "encrypt the text itself, not an unset variable".to_owned())
    } else if let Some(like) = likeness(plain.as_bytes(), expected, sibling) {
        (like.words, like.hint)
    } else {
        (
            "is not this customer's".to_owned(),
            "compare it with [account] of the customer's fixture".to_owned(),
        )
    };
    Some((format!("{name} was decrypted, but {how}"), hint))
}

fn with_owner(input: &CheckInput, reason: String) -> String {
    match &input.evidence.owner_of_user_id {
        Some(owner) => format!("{reason}; user_id is that of customer {owner}"),
        None => reason,
    }
}
