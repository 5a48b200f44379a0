//! Rules as the admin API takes them, and what they make of a request: what the fuzz target `rules` and `tests/it/fuzzed.rs` check.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use dukcapil_fr_sim::Simulator;
use dukcapil_fr_sim::internals::domain::rules::RuleSpec;
use dukcapil_fr_sim::internals::engine::RequestHead;

/// Good rules, to be edited.
pub const GOOD: [&str; 7] = [
    r#"{"when":{"outcome":"5004"},"times":2,"skip":1,"every":2,"per":"transaction_id","reply":{"code":"6014"}}"#,
    r#"{"when":{"transaction_id":"/^T-[0-9]+$/","ip":"10.0.0.0/8"},"rate":0.5,"delay":{"uniform":["1ms","2s"]}}"#,
    r#"{"when":{"header":{"User-Agent":"okhttp*"},"threshold":"5..7"},"fault":{"kind":"truncate","at":0.5,"end":"rst"}}"#,
    r#"{"when":{"clock":"09:00..17:00","window":"10s..","state":""},"exact":"7/10","set_state":"down","ttl":"5m"}"#,
    r#"{"checks":"skip","reply":{"code":"6018","candidates":[{"nik":"3174055708909001","score":12.5}],"error":"x"}}"#,
    r#"{"ramp":{"from":0.0,"to":0.5,"over":"60s"},"reply":{"status":503,"headers":{"retry-after":"1"},"body":"later"}}"#,
    r#"{"when":{"image":{"size":"..9","similar_to":"3174055708909001"}},"fault":{"kind":"bitflip","bits":3}}"#,
];

const BODIES: [&[u8]; 2] = [b"{\"transactionId\":\"T-1\",\"ip\":\"10.0.0.1\",\"threshold\":7}", b""];

/// A simulator whose rules are replaced.
pub struct Rules(Simulator);

impl Rules {
    pub fn start() -> Rules {
        let builder = Simulator::builder().key_bits(1024).admin_listen(None);
        let builder = builder.customer("fuzzed", HashMap::from([("extends", "load")]));
        Rules(builder.start_blocking().expect("a simulator"))
    }

    /// Puts a rule and explains requests. Returns whether the rule was accepted.
    ///
    /// # Panics
    /// When an accepted rule does not read as it was written, or a request gets no reason.
    pub fn check(&self, text: &[u8]) -> bool {
        let Ok(spec) = serde_json::from_slice::<RuleSpec>(text) else { return false };
        let engine = self.0.engine();
        let Ok(put) = engine.put_rule("fuzzed", "fuzzed", spec) else { return false };
        let again = serde_json::to_string(&put).expect("a rule is written");
        assert_eq!(serde_json::from_str::<RuleSpec>(&again).expect("and read again"), put);
        for body in BODIES {
            let head = RequestHead {
                customer_id: "fuzzed".to_owned(),
                methode: None,
                path: None,
                peer: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                connection: 1,
                headers: None,
            };
            let explanation = engine.explain(&head, body).explanation(false);
            assert!(!explanation.reason.is_empty());
        }
        engine.remove_rules("fuzzed", None);
        true
    }
}
