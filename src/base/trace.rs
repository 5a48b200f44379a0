//! Trace ids of W3C Trace Context.

/// Returns the trace id of a request: 32 hexadecimal digits in lower case. `None` without a `traceparent` header, with several, and where
/// its value is not one of the recommendation (Trace Context, 3.2 and 4.3), which says to ignore such a header.
#[must_use]
pub fn trace_id(headers: &[(String, String)]) -> Option<&str> {
    let mut all = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
    let (Some((_, value)), None) = (all.next(), all.next()) else { return None };
    // A version, the trace id, the parent's id, flags; later versions may append more.
    let mut parts = value.splitn(5, '-');
    let [version, trace_id, parent_id, flags] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, digits: usize| is_hex(text, digits) && text.bytes().any(|byte| byte != b'0');
    let is_version = match version {
        "00" => parts.next().is_none(),
        "ff" => false,
        _ => is_hex(version, 2),
    };
    (is_version && is_id(trace_id, 32) && is_id(parent_id, 16) && is_hex(flags, 2)).then_some(trace_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_valid_traceparent_has_a_trace_id_and_any_other_is_ignored() {
        let parent = "00f067aa0ba902b7";
        let zeros = "0".repeat(32);
        for (value, expected) in [
            (format!("00-{ID}-{parent}-01"), Some(ID)),
            (format!("00-{ID}-{parent}-00"), Some(ID)),
            // A later version, as it is and with more behind it.
            (format!("cc-{ID}-{parent}-01"), Some(ID)),
            (format!("cc-{ID}-{parent}-01-what-ever"), Some(ID)),
            (format!("00-{ID}-{parent}-01-more"), None),
            (format!("00-{ID}-{parent}-01-"), None),
            (format!("ff-{ID}-{parent}-01"), None),
            (format!("0-{ID}-{parent}-01"), None),
            (format!("xy-{ID}-{parent}-01"), None),
            (format!("00-{zeros}-{parent}-01"), None),
            (format!("00-{ID}-0000000000000000-01"), None),
            (format!("00-{}-{parent}-01", ID.to_uppercase()), None),
            (format!("00-{}-{parent}-01", &ID[1..]), None),
            (format!("00-{ID}-{}-01", &parent[1..]), None),
            (format!("00-{ID}-{parent}-1"), None),
            (format!("00-{ID}-{parent}"), None),
            (format!("00-{ID}é-{parent}-01"), None),
            (ID.to_owned(), None),
            (String::new(), None),
        ] {
            let headers = [("host".to_owned(), "x".to_owned()), ("TraceParent".to_owned(), value.clone())];
            assert_eq!(trace_id(&headers), expected, "{value}");
        }
    }

    #[test]
    fn no_and_several_headers_have_none() {
        assert_eq!(trace_id(&[]), None);
        let header = ("traceparent".to_owned(), format!("00-{ID}-00f067aa0ba902b7-01"));
        assert_eq!(trace_id(&[header.clone(), header]), None);
    }
}
