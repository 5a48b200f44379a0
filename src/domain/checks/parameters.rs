//! Parameters check: the body is a JSON object with all seven fields, of the right type and length; the methode is the customer's
//! (doc 2, 4.5).

use super::{CheckInput, Finding};
use crate::base::text;
use crate::domain::policy::Check;
use crate::protocol::Code;
use crate::protocol::body::FIELDS;

const THIS: Check = Check::Parameters;

pub fn check(input: &CheckInput) -> Finding {
    let methode = wrong_methode(input);
    let body = match &input.body.fault {
        Some(fault) => Some((fault.reason.clone(), fault.hint.clone())),
        None => field_faults(input),
    };
    match (body, methode) {
        (None, None) => Finding::passed(THIS, "all seven fields are present, with the right type and length"),
        (Some((reason, hint)), None) => Finding::failed(THIS, Code::PARAMETERS, reason, hint),
        (None, Some((reason, hint))) => {
            Finding::failed(THIS, input.policy.wrong_methode.clone(), reason, hint)
                .decided_by("wrong_methode")
        }
        (Some((reason, hint)), Some((also, _))) => {
            Finding::failed(THIS, Code::PARAMETERS, format!("{reason}; {also}"), hint)
        }
    }
}

fn field_faults(input: &CheckInput) -> Option<(String, String)> {
    let faults: Vec<_> = FIELDS.iter().filter_map(|rule| input.body.field_fault(rule.field)).collect();
    (!faults.is_empty()).then(|| (faults.join("; "), HINT.to_owned()))
}

const HINT: &str = "send all seven keys, none empty: transactionId (at most 20 characters), transactionSource (50), \
                    threshold (number), image, user_id, password, ip (15)";

fn wrong_methode(input: &CheckInput) -> Option<(String, String)> {
    let allowed = &input.customer?.methode;
    if allowed.iter().any(|methode| methode == input.methode) {
        return None;
    }
    Some((
        format!("methode {} is not the customer's", text::quoted(input.methode)),
        format!("methode of {} is: {}", input.customer_id, allowed.join(" or ")),
    ))
}
