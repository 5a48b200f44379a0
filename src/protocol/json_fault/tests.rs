//! What people send in place of a JSON object, as tables: the reason, and the tool that the hint names.

use proptest::prelude::*;

use super::{JsonFault, scanner};
use crate::protocol::Body;
use crate::protocol::body::FIELDS;

fn fault(body: impl AsRef<[u8]>) -> JsonFault {
    Body::decode(body.as_ref()).fault.expect("a fault")
}

#[track_caller]
fn check(body: impl AsRef<[u8]>, reason: &str) {
    let fault = fault(body);
    assert_eq!(fault.reason, reason);
    assert!(!fault.hint.is_empty());
}

/// Asserts the whole reason, and a part of the hint, of each row. Lists every row that differs.
fn check_all(rows: &[(&str, &str, &str)]) {
    let differs = |(body, reason, hint): &(&str, &str, &str)| {
        let fault = fault(body);
        (fault.reason != *reason || !fault.hint.contains(hint)).then(|| {
            format!("\n{body:?}\n  expected {reason}\n  found    {}\n           {}", fault.reason, fault.hint)
        })
    };
    let different: Vec<_> = rows.iter().filter_map(differs).collect();
    assert!(different.is_empty(), "{}", different.concat());
}

/// Doc 3, the sample request as printed.
const SAMPLE: &str = "{\n“transactionId”:”11”,\n“transactionSource”:”mobile”,\n“threshold”:”5”,\n“image”:”base64({ image})”,\n“user_id”:” encrypt {xxxxxxxxxxxxxx}”,\n“password”:” encrypt{xxxxxxxxxxxxx}”,\n“ip”:”10.xxxxxxx”,\n}";

#[test]
fn the_documents_own_sample_request_is_recognised_with_both_its_mistakes() {
    check(
        SAMPLE,
        "not JSON: line 2, column 1: typographic quote “ (U+201C) instead of \"; then line 9, column 1: a trailing comma",
    );
    check(SAMPLE.replace(['“', '”'], "\""), "not JSON: line 9, column 1: a trailing comma");
    check(
        SAMPLE.replace("”\n}", "\"\n}").replace("”,\n}", "”\n}"),
        "not JSON: line 2, column 1: typographic quote “ (U+201C) instead of \"",
    );
}

#[test]
fn columns_count_characters() {
    check(
        r#"{"transactionSource":"é","ip":”10.0.0.1”}"#,
        "not JSON: line 1, column 31, in ip: typographic quote ” (U+201D) instead of \"",
    );
}

#[test]
fn what_is_sent_in_place_of_json_is_named() {
    check_all(&[
        ("", "the body is empty", "variable or file"),
        (" \r\n", "the body is empty", ""),
        ("[]", "the body is an array, not an object", "(object)[]"),
        ("[1, 2]", "the body is an array, not an object", "one JSON object"),
        (
            r#"[{"ip":"10.0.0.1"}]"#,
            "the body is an array, not an object: the object stands inside [ and ]",
            "without [ and ]",
        ),
        ("null", "the body is null, not an object", "variable"),
        ("true", "the body is a boolean, not an object", ""),
        ("17", "the body is a number, not an object", ""),
        ("\"x\"", "the body is a string, not an object", ""),
        (
            "undefined",
            "the body is one word that stands for no value (undefined, None, nil and their like)",
            "variable",
        ),
        ("None\n", "the body is one word that stands for no value (undefined, None, nil and their like)", ""),
        (
            "[object Object]",
            "the body is the text [object ...]: JavaScript turned an object into text",
            "JSON.stringify",
        ),
        (
            "[object FormData]",
            "the body is the text [object ...]: JavaScript turned an object into text",
            "FormData",
        ),
        ("transactionId=1&ip=2", "the body is a form (key=value&...), not JSON", "requests.post(json=...)"),
        (
            r#"json={"ip":"1"}"#,
            "the body is a form (key=value&...), not JSON: the JSON is the value of its key",
            "",
        ),
        (
            "data=%7B%22ip%22%3A1%7D",
            "the body is a form (key=value&...), not JSON: the JSON is the value of its key",
            "",
        ),
        (
            "%7B%22ip%22%3A+1%7D=",
            "the body is a form or percent-encoded text, not JSON: the JSON is percent-encoded",
            "--data-binary",
        ),
        (
            "%257B%2522ip",
            "the body is a form or percent-encoded text, not JSON: the JSON is percent-encoded",
            "",
        ),
        (
            "--x1\r\nContent-Disposition: form-data; name=\"ip\"\r\n\r\n1\r\n--x1--",
            "the body is multipart/form-data, not JSON",
            "",
        ),
        ("<html><body>502</body></html>", "the body is HTML, not JSON", "page"),
        ("<!DOCTYPE HTML PUBLIC>", "the body is HTML, not JSON", ""),
        ("<?xml version=\"1.0\"?><request/>", "the body is XML, not JSON", ""),
        ("<?xml version=\"1.0\"?><soapenv:Envelope xmlns", "the body is SOAP (XML), not JSON", "SOAP"),
        (
            "<br />\n<b>Notice</b>:  Undefined index",
            "the body is HTML, as PHP prints its warnings before everything else",
            "display_errors",
        ),
        ("<?php echo json_encode($body);", "the body is PHP source, not JSON", "run the script"),
        (
            "<__main__.Request object at 0x7f00>",
            "the body is the print of a Python object, not JSON",
            "json.dumps",
        ),
        ("---\nip: 1\n", "the body is YAML, not JSON", ""),
        ("transactionId: 1\nip: 10.0.0.1\n", "the body is YAML (key: value), not JSON", ""),
        ("transactionId = 1\nip = 2", "the body is settings (key = value), not JSON", ""),
        ("transactionId=1\nip=2", "the body is settings (key = value), not JSON", ""),
        ("[request]\nip=2", "the body is an INI or TOML text, not JSON", ""),
        ("transactionId,transactionSource,ip\n1,2,3", "the body is a table (CSV), not JSON", ""),
        ("transactionId:1", "the body is key:value without braces and quotes, not JSON", "brace expansion"),
        (
            "Array\n(\n    [ip] => 1\n)\n",
            "the body is an array as PHP's print_r prints it, not JSON",
            "json_encode",
        ),
        ("Array", "the body is the word Array: PHP turned an array into text", "json_encode"),
        ("array(7) {\n  [\"ip\"]=>", "the body is an array as PHP's var_dump or source has it, not JSON", ""),
        (
            "array (\n  'ip' => 1",
            "the body is an array as PHP's print_r or var_export prints it, not JSON",
            "",
        ),
        ("stdClass Object\n(", "the body is an object as PHP's print_r prints it, not JSON", ""),
        ("a:1:{s:2:\"ip\";s:1:\"1\";}", "the body is a value as PHP's serialize() writes it, not JSON", ""),
        ("O:8:\"stdClass\":1:{", "the body is a value as PHP's serialize() writes it, not JSON", ""),
        ("['ip' => '1']", "the body is an array, not an object", ""),
        (r#"["ip" => "1"]"#, "the body is an array of PHP or a hash of Ruby ([... => ...]), not JSON", ""),
        (
            r#"["ip": "1"]"#,
            "the body is a dictionary as Swift or Groovy prints it ([... : ...]), not JSON",
            "",
        ),
        ("[ip:10.0.0.1, threshold:7]", "the body is a map as Groovy or Swift prints it, not JSON", ""),
        ("[('ip', '1')]", "the body is a list of pairs as Python prints it, not JSON", ""),
        ("b'{\"ip\":1}'", "the body is the print of a Python string or bytes (b'...'), not JSON", "decode"),
        ("map[ip:1 threshold:7]", "the body is a map as Go prints it, not JSON", "json.Marshal"),
        ("&{1 mobile 7}", "the body is a struct as Go prints it, not JSON", ""),
        (
            "@{ip=1; threshold=7}",
            "the body is a hash table as PowerShell prints it, not JSON",
            "ConvertTo-Json",
        ),
        (
            "System.Collections.Hashtable",
            "the body is the name of a .NET type, as ToString() prints it, not JSON",
            "",
        ),
        (
            "com.bank.Request@1b6d3586",
            "the body is the name of a Java object, as toString() prints it, not JSON",
            "Jackson",
        ),
        (
            "Request(transactionId=1, ip=2)",
            "the body is an object as toString() prints it (Java, Kotlin, C#, Rust), not JSON",
            "",
        ),
        (
            "Request{transactionId='1'}",
            "the body is an object as toString() prints it (Java, Kotlin, C#, Rust), not JSON",
            "",
        ),
        (
            "Request[transactionId=1]",
            "the body is an object as toString() prints it (Java, Kotlin, C#, Rust), not JSON",
            "",
        ),
        ("$VAR1 = {", "the body is a value as Perl's Data::Dumper prints it, not JSON", ""),
        ("OrderedDict([('ip', 1)])", "the body is a dict as Python prints it, not JSON", ""),
        (")]}',\n{\"ip\":1}", "the body is JSON behind an anti-hijacking prefix ()]}')", "prefix"),
        ("while(1);{}", "the body is JSON behind an anti-hijacking prefix (while(1);)", ""),
        ("callback({\"ip\":1});", "the body is JSONP: a call with the JSON inside", ""),
        ("var body = {ip:1};", "the body is JavaScript source, not JSON", ""),
        ("JSON.stringify(body)", "the body is JavaScript source, not JSON: the call itself was sent", ""),
        ("({\"ip\":1})", "the body is JSON in parentheses", ""),
        ("```json\n{}\n```", "the body is JSON in a Markdown block (```)", ""),
        ("`{\"ip\":1}`", "the body is JSON in backticks", ""),
        ("'{\"ip\":1}'", "the body is JSON in single quotes", "cmd.exe"),
        (
            "'{ip:1}'",
            "the body is in single quotes, which cmd.exe passes on, and its double quotes are gone",
            "cmd.exe",
        ),
        (
            "'{transactionId:",
            "the body is in single quotes, which cmd.exe passes on, and its double quotes are gone",
            "",
        ),
        ("\"{\"ip\":1}\"", "the body is JSON in double quotes, and its own quotes are not escaped", ""),
        (
            r#""{\"ip\":1}""#,
            "the body is a string, not an object: the string holds the JSON, which was encoded twice",
            "json=json.dumps",
        ),
        (
            r#""\"{\\\"ip\\\":1}\"""#,
            "the body is a string, not an object: the string holds the JSON, which was encoded three times",
            "",
        ),
        (
            "@request.json",
            "the body is the name of a file (@...), not what is in it",
            "--data-binary @body.json",
        ),
        ("@ body", "the body is the name of a file (@...), not what is in it", ""),
        ("C:\\tmp\\body.json", "the body is the name of a file, not what is in it", ""),
        ("/tmp/request.json\n", "the body is the name of a file, not what is in it", ""),
        ("https://example.com/body.json", "the body is an address (URL), not JSON", ""),
        ("${BODY}", "the body is a placeholder (${...}), not JSON", "variable"),
        ("$(cat body.json)", "the body is a command of a shell ($(...)), sent as it is", ""),
        ("$BODY", "the body is the name of a variable, not its value", ""),
        ("%BODY%", "the body is the name of a variable (%...%), not its value", ""),
        ("<%= body %>", "the body is a template's placeholder, not JSON", ""),
        ("curl -d '{}' http://x", "the body is a command (curl), not JSON", ""),
        ("POST /api HTTP/1.1\r\nHost: x\r\n\r\n{}", "the body is a whole HTTP request, not JSON", ""),
        (
            "Content-Type: application/json\r\n\r\n{}",
            "the body is HTTP header fields, then a body: not JSON",
            "",
        ),
        (
            "1a4\r\n{\"ip\":1}\r\n0\r\n\r\n",
            "the body is JSON in chunks: sizes of chunks stand in the body",
            "",
        ),
        ("data: {\"ip\":1}\n\n", "the body is a server-sent event (data: ...), not JSON", ""),
        ("data:image/png;base64,iVBORw0KGgo=", "the body is a picture as a data URI, not JSON", "image"),
        ("eyJpcCI6IjEifQ==", "the body is base64 of JSON, not JSON", ""),
        ("eyJhbGciOiJIUzI1NiJ9.eyJpcCI6MX0.c2ln", "the body is a token (JWT), not JSON", ""),
        ("7b226970223a317d", "the body is hexadecimal digits of JSON, not JSON", ""),
        ("Traceback (most recent call last):\n", "the body is an error of Python, not JSON", ""),
        ("\n\nhello", "not JSON: line 3, column 1: a JSON object starts with {", "one JSON object"),
        ("hello = world", "the body is settings (key = value), not JSON", ""),
    ]);
}

#[test]
fn other_encodings_and_binary_formats_are_named() {
    let json = r#"{"ip":"10.0.0.1"}"#;
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(to_bytes).collect::<Vec<_>>();
    let utf32 =
        |to_bytes: fn(u32) -> [u8; 4]| json.chars().flat_map(|c| to_bytes(c.into())).collect::<Vec<_>>();
    let marked = |mark: &[u8], text: Vec<u8>| [mark, &text].concat();
    let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
    let bson = b"\x0D\0\0\0\x02a\0\x01\0\0\0\0\0".to_vec();
    for (body, what, hint) in [
        (
            marked(b"\xFF\xFE", little.clone()),
            "UTF-16 (little-endian, with the byte order mark FF FE)",
            "PowerShell",
        ),
        (
            marked(b"\xFE\xFF", big.clone()),
            "UTF-16 (big-endian, with the byte order mark FE FF)",
            "PowerShell",
        ),
        (little, "UTF-16 (little-endian, without a byte order mark)", "Encoding.Unicode"),
        (big, "UTF-16 (big-endian, without a byte order mark)", "UTF-8"),
        (utf32(u32::to_le_bytes), "UTF-32 (little-endian, without", "UTF-8"),
        (utf32(u32::to_be_bytes), "UTF-32 (big-endian, without", "UTF-8"),
        (marked(b"\xFF\xFE\0\0", utf32(u32::to_le_bytes)), "UTF-32 (little-endian, with", "UTF-8"),
        (marked(b"\0\0\xFE\xFF", utf32(u32::to_be_bytes)), "UTF-32 (big-endian, with", "UTF-8"),
        (b"\xC0\x7F\x89\x97\x7F\x7A".to_vec(), "EBCDIC", "iconv"),
        (
            b"\x1F\x8B\x08\0\0\0\0\0".to_vec(),
            "compressed with gzip, and there is no Content-Encoding",
            "as it is",
        ),
        (b"\x78\x9C\xAB\x56".to_vec(), "compressed with deflate (zlib)", "as it is"),
        (b"\x28\xB5\x2F\xFD\x20".to_vec(), "compressed with zstd", "as it is"),
        (b"PK\x03\x04\x14".to_vec(), "a ZIP archive", ""),
        (b"\xFF\xD8\xFF\xE0".to_vec(), "a JPEG picture", "field image"),
        (b"\x89PNG\r\n\x1A\n".to_vec(), "a PNG picture", "field image"),
        (b"\0\0\0\x18ftypheic".to_vec(), "a HEIC picture", ""),
        (b"\x87\xADtransactionId\xA11".to_vec(), "MessagePack", "JSON"),
        (b"\xA7\x6DtransactionId\x61\x31".to_vec(), "CBOR", "JSON"),
        (bson, "BSON", "JSON"),
        (b"\xAC\xED\0\x05sr".to_vec(), "a serialised Java object", ""),
        (b"\x80\x04\x95\x10".to_vec(), "a Python pickle", ""),
        (b"\x93\xFA\x01\x02".to_vec(), "not text, or not in UTF-8", "encrypted"),
    ] {
        let fault = fault(&body);
        assert!(fault.reason.contains(&format!("the body is {what}")), "{body:?}: {}", fault.reason);
        assert!(fault.hint.contains(hint), "{what}: {}", fault.hint);
    }
}

#[test]
fn characters_that_cannot_be_seen_are_named() {
    for (c, name) in [
        ('\u{A0}', "no-break space (U+00A0)"),
        ('\u{AD}', "soft hyphen (U+00AD)"),
        ('\u{200B}', "zero width space (U+200B)"),
        ('\u{200D}', "zero width joiner (U+200D)"),
        ('\u{200E}', "direction mark (U+200E)"),
        ('\u{2028}', "line separator (U+2028)"),
        ('\u{202F}', "narrow no-break space (U+202F)"),
        ('\u{2003}', "Unicode space (U+2003)"),
        ('\u{2060}', "word joiner (U+2060)"),
        ('\u{3000}', "ideographic space (U+3000)"),
        ('\u{FEFF}', "byte order mark (U+FEFF)"),
        ('\u{FE0F}', "variation selector (U+FE0F)"),
        ('\0', "NUL (U+0000)"),
        ('\u{B}', "vertical tab (U+000B)"),
        ('\u{C}', "form feed (U+000C)"),
        ('\u{1A}', "SUB (Ctrl-Z, the end of a DOS file) (U+001A)"),
        ('\u{7}', "control character (U+0007)"),
        ('\u{7F}', "control character (U+007F)"),
        ('\u{85}', "next line (NEL) (U+0085)"),
    ] {
        let seen = format!("a character that cannot be seen: {name}");
        check(format!("{{\"ip\":{c}\"1\"}}"), &format!("not JSON: line 1, column 7, in ip: {seen}"));
        check(format!("{{{c}\"ip\":\"1\"}}"), &format!("not JSON: line 1, column 2: {seen}"));
        check(format!("{{\"ip\":\"1\"}}{c}"), &format!("not JSON: line 1, column 11: {seen}"));
        check(format!("\u{FEFF}{c}{{\"ip\":\"1\"}}"), &format!("not JSON: line 1, column 1: {seen}"));
    }
    check(
        "{\n\"ip\":\u{A0}\"1\",\u{200B}}",
        "not JSON: line 2, column 6, in ip: a character that cannot be seen: no-break space (U+00A0); then line 2, column 12: a trailing comma",
    );
    assert!(fault("{\"ip\":\"1\"}\0\0").hint.contains("strlen"));
    assert!(fault("{\"ip\":\"1\",\u{FEFF}}").hint.contains("StreamWriter"));
}

#[test]
fn mistakes_inside_the_json_are_named_with_position_and_field() {
    check_all(&[
        ("{'ip':1}", "not JSON: line 1, column 2: single quotes instead of \"", "json.dumps"),
        (
            "{'ip': None, 'x': True}",
            "not JSON: line 1, column 2: single quotes instead of \"; then line 1, column 8, in ip: None, which JSON does not have",
            "Python's str()",
        ),
        ("{ip:\"1\"}", "not JSON: line 1, column 2: a key without quotes", "JSON.stringify"),
        (
            "{transactionId:1}",
            "not JSON: line 1, column 2: a key without quotes, and no double quote in the whole body",
            "a shell took the quotes away",
        ),
        (
            "{transactionId:abc}",
            "not JSON: line 1, column 2: a key without quotes, and no double quote in the whole body; then line 1, column 16, in transactionId: text without quotes",
            "Dart",
        ),
        (
            "{ip=10.0.0.1}",
            "not JSON: line 1, column 2: a key without quotes, and no double quote in the whole body; then line 1, column 4, in ip: = instead of : between key and value; then line 1, column 5, in ip: text without quotes",
            "Map.toString()",
        ),
        (
            r#"{"ip"=>"1"}"#,
            "not JSON: line 1, column 6, in ip: => instead of : between key and value",
            "Ruby",
        ),
        (
            r#"{:ip=>"1"}"#,
            "not JSON: line 1, column 2: a key without quotes; then line 1, column 5: => instead of : between key and value",
            "Ruby",
        ),
        (
            "{\"ip\":\"1\" // mine\n}",
            "not JSON: line 1, column 11, in ip: a comment, which JSON does not have",
            "//",
        ),
        ("/* mine */ {\"ip\":\"1\"}", "not JSON: line 1, column 1: a comment, which JSON does not have", ""),
        (
            "{\"ip\":\"1\",\n# mine\n\"x\":1}",
            "not JSON: line 2, column 1: a comment, which JSON does not have",
            "",
        ),
        (
            r#"{"threshold":NaN}"#,
            "not JSON: line 1, column 14, in threshold: NaN, which JSON does not have",
            "allow_nan",
        ),
        (
            r#"{"threshold":-Infinity}"#,
            "not JSON: line 1, column 14, in threshold: Infinity, which JSON does not have",
            "",
        ),
        (
            r#"{"image":undefined}"#,
            "not JSON: line 1, column 10, in image: undefined, which JSON does not have",
            "variable",
        ),
        (r#"{"image":nil}"#, "not JSON: line 1, column 10, in image: nil, which JSON does not have", "Ruby"),
        (
            r#"{"image":TRUE}"#,
            "not JSON: line 1, column 10, in image: TRUE, which JSON does not have",
            "lower case",
        ),
        (r#"{"ip":10.0.0.1}"#, "not JSON: line 1, column 7, in ip: text without quotes", "double quotes"),
        (r#"{"ip":localhost}"#, "not JSON: line 1, column 7, in ip: text without quotes", ""),
        (
            r#"{"transactionId":007}"#,
            "not JSON: line 1, column 18, in transactionId: a number with a leading zero, which JSON does not allow",
            "strings",
        ),
        (
            r#"{"ip":00}"#,
            "not JSON: line 1, column 7, in ip: a number with a leading zero, which JSON does not allow",
            "",
        ),
        (r#"{"threshold":--5}"#, "not JSON: line 1, column 14, in threshold: text without quotes", ""),
        (
            r#"{"threshold":+5}"#,
            "not JSON: line 1, column 14, in threshold: a number with a plus sign, which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":.5}"#,
            "not JSON: line 1, column 14, in threshold: a number with no digit before the point, which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":5.}"#,
            "not JSON: line 1, column 14, in threshold: a number with no digit behind the point, which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":0x5}"#,
            "not JSON: line 1, column 14, in threshold: a number with hexadecimal digits (0x), which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":7.0f}"#,
            "not JSON: line 1, column 14, in threshold: a number with a letter for its type (7.0f, 7L), which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":1_0}"#,
            "not JSON: line 1, column 14, in threshold: a number with underscores, which JSON does not allow",
            "",
        ),
        (
            r#"{"threshold":7,5}"#,
            "not JSON: line 1, column 16: a decimal comma, or a member without a key",
            "locale",
        ),
        (
            r#"{"image":,"ip":"1"}"#,
            "not JSON: line 1, column 10, in image: the value is missing",
            "$(base64 ...)",
        ),
        (r#"{"image":}"#, "not JSON: line 1, column 10, in image: the value is missing", ""),
        (
            "{\"ip\":\"1\"\n\"image\":\"A\"}",
            "not JSON: line 2, column 1: a comma is missing before this member",
            "",
        ),
        (r#"{"ip":"1";"x":2}"#, "not JSON: line 1, column 10, in ip: a semicolon instead of a comma", ""),
        (r#"{,"ip":"1"}"#, "not JSON: line 1, column 2: a comma without a member before it", ""),
        (r#"{"ip":"1",,"x":2}"#, "not JSON: line 1, column 11: a comma without a member before it", ""),
        (r#"{"ip" "1"}"#, "not JSON: line 1, column 7, in ip: a key without : and a value", ""),
        (r#"{"ip"}"#, "not JSON: line 1, column 6, in ip: a key without : and a value", ""),
        (
            r#"{"ip":"a"b"}"#,
            "not JSON: line 1, column 10, in ip: text directly behind a closing quote: a quote inside the string is not escaped",
            "",
        ),
        (r#"{"ip":"""a"""}"#, "not JSON: line 1, column 7, in ip: three double quotes instead of one", ""),
        (
            r#"{"ip":"10." + "0"}"#,
            "not JSON: line 1, column 13, in ip: strings joined by an operator, as in a program's source",
            "",
        ),
        (r#"{"ip":`1`}"#, "not JSON: line 1, column 7, in ip: backticks instead of \"", ""),
        (
            r#"{"image":b'QUFB'}"#,
            "not JSON: line 1, column 10, in image: a letter before the quote, as Python writes bytes (b'...')",
            "decode",
        ),
        (
            r#"{"x":new Date()}"#,
            "not JSON: line 1, column 6: a call or constructor of a program, which JSON does not have",
            "",
        ),
        (
            r#"{"x":ObjectId("1")}"#,
            "not JSON: line 1, column 6: a call or constructor of a program, which JSON does not have",
            "",
        ),
        (
            r#"{\"ip\":\"1\"}"#,
            "not JSON: line 1, column 2: escaped quotes (\\\") instead of \"",
            "PowerShell 7.3",
        ),
        (r#"{\u0022ip\u0022:1}"#, "not JSON: line 1, column 2: escaped quotes (\\\") instead of \"", ""),
        (
            "{&quot;ip&quot;:1}",
            "not JSON: line 1, column 2: HTML entities (&quot;) instead of \"",
            "HTML escaping",
        ),
        (
            "{{body}}",
            "not JSON: line 1, column 2: a placeholder of a template that was not filled in",
            "Postman",
        ),
        (
            r#"{"image":{{photo}}}"#,
            "not JSON: line 1, column 10, in image: a placeholder of a template that was not filled in",
            "",
        ),
        (
            r#"{"image":${PHOTO}}"#,
            "not JSON: line 1, column 10, in image: a placeholder of a template that was not filled in",
            "",
        ),
        (
            r#"{"image":<%= x %>}"#,
            "not JSON: line 1, column 10, in image: a placeholder of a template that was not filled in",
            "",
        ),
        (
            r#"{"ip":"1", ...}"#,
            "not JSON: line 1, column 12: an ellipsis (...), as documentation abbreviates",
            "",
        ),
        (
            "{\"ip\"：\"1\"，\"x\":1}",
            "not JSON: line 1, column 6, in ip: full-width ： (U+FF1A) instead of :",
            "half-width",
        ),
        ("{“ip”:‘1’}", "not JSON: line 1, column 2: typographic quote “ (U+201C) instead of \"", ""),
        (
            "{\"ip”:\"1\",\"x”:2}",
            "not JSON: line 1, column 5: typographic quote ” (U+201D) instead of \"",
            "",
        ),
        (
            r#"{"ip":"1"]"#,
            "not JSON: line 1, column 10, in ip: ] closes what the other kind of bracket opened",
            "",
        ),
        (r#"{"ip":"1"}}"#, "not JSON: line 1, column 11: a closing bracket too many", ""),
        ("{} {}", "not JSON: line 1, column 4: a second JSON value behind the object", "NDJSON"),
        (
            "{\"ip\":1}\n{\"ip\":2}\n",
            "not JSON: line 2, column 1: a second JSON value behind the object",
            "NDJSON",
        ),
        (
            r#"{"ip":"1"}="#,
            "not JSON: line 1, column 11: = behind the JSON object: it was sent as the key of a form",
            "--data-urlencode",
        ),
        (r#"{"ip":"1"};"#, "not JSON: line 1, column 11: text behind the JSON object, from ; on", ""),
        (
            "{\"ip\":\"1\"}\nEOF",
            "not JSON: line 2, column 1: text behind the JSON object, from E on",
            "heredoc",
        ),
        ("{\"ip\":\"1\"}<br />", "not JSON: line 1, column 11: text behind the JSON object, from < on", ""),
        (
            r#"{"ip":"\'"}"#,
            "not JSON: line 1, column 8, in ip: \\' inside a string, which is not an escape of JSON",
            "write ' as it is",
        ),
        (
            r#"{"transactionSource":"C:\photo"}"#,
            "not JSON: line 1, column 25, in transactionSource: \\p inside a string, which is not an escape of JSON",
            "\\\\",
        ),
        (r#"{"ip":"\u12"}"#, "not JSON: line 1, column 8, in ip: \\u without four hexadecimal digits", ""),
        (
            r#"{"ip":"\ud800"}"#,
            "not JSON: line 1, column 8, in ip: half of a surrogate pair in a \\u escape",
            "\\ud83d\\ude00",
        ),
        (
            r#"{"ip":"\udc00"}"#,
            "not JSON: line 1, column 8, in ip: half of a surrogate pair in a \\u escape",
            "",
        ),
        (
            r#"{"ip":"\ud800\n"}"#,
            "not JSON: line 1, column 8, in ip: half of a surrogate pair in a \\u escape",
            "",
        ),
        ("{\"x\":[1,2,]}", "not JSON: line 1, column 11: a trailing comma", ""),
        ("{\"x\":[1 2]}", "not JSON: line 1, column 9: text without quotes", ""),
        (
            "{\u{1B}[1m\"ip\":1}",
            "not JSON: line 1, column 2: a character that cannot be seen: ESC, the begin of a terminal's colour code (U+001B); then line 1, column 3: an unexpected [",
            "jq -M",
        ),
    ]);
}

#[test]
fn a_line_break_inside_a_string_names_the_field_and_the_command() {
    for field in &FIELDS {
        for line_break in ["\n", "\r\n", "\r"] {
            let fault = fault(format!("{{\"{}\":\"QUFB{line_break}QUFB\"}}", field.name));
            assert!(
                fault.reason.ends_with(&format!(", in {}: a raw line break inside a string", field.name)),
                "{}",
                fault.reason
            );
            let command = if field.secret { "base64 -w0" } else { "\\n" };
            assert!(fault.hint.contains(command), "{}", fault.hint);
        }
    }
    check(
        "{\"ip\":\"1\t2\"}",
        "not JSON: line 1, column 9, in ip: a raw control character inside a string: tab (U+0009)",
    );
    check(
        "{\"ip\":\"1\0\"}",
        "not JSON: line 1, column 9, in ip: a raw control character inside a string: NUL (U+0000)",
    );
    check(
        "{\"ip\":\"1,\n\"x\":2}",
        "not JSON: line 1, column 10, in ip: a string that is not closed on its line",
    );
}

#[test]
fn a_body_that_ends_too_early_says_where_and_why() {
    for (body, reason) in [
        ("{", "line 1, column 1: the body ends too early, before the closing bracket (after 1 byte)"),
        (r#"{"ip"#, "line 1, column 4: the body ends too early, in the middle of a key (after 4 bytes)"),
        (r#"{"ip""#, "line 1, column 5, in ip: the body ends too early, behind a key (after 5 bytes)"),
        (r#"{"ip":"#, "line 1, column 6, in ip: the body ends too early, before a value (after 6 bytes)"),
        (
            r#"{"ip":"10"#,
            "line 1, column 9, in ip: the body ends too early, in the middle of a string (after 9 bytes)",
        ),
        (
            r#"{"ip":"10\"#,
            "line 1, column 10, in ip: the body ends too early, in the middle of a string (after 10 bytes)",
        ),
        (
            r#"{"ip":"10\u00"#,
            "line 1, column 13, in ip: the body ends too early, in the middle of a string (after 13 bytes)",
        ),
        (
            r#"{"x":tru"#,
            "line 1, column 8: the body ends too early, in the middle of a value (after 8 bytes)",
        ),
        (
            r#"{"threshold":1e"#,
            "line 1, column 15, in threshold: the body ends too early, in the middle of a number (after 15 bytes)",
        ),
        (
            r#"{"ip":"1","#,
            "line 1, column 10: the body ends too early, before the closing bracket (after 10 bytes)",
        ),
    ] {
        check(body, &format!("not JSON: {reason}"));
        assert!(fault(body).hint.contains("Content-Length"));
    }
    assert!(fault(r#"{"transactionSource":"é""#).hint.contains("this text has 1 byte more than characters"));
    assert!(fault(r#"{"ip":"1}"#).hint.contains("close the string"));
    let page = format!("{{\"image\":\"{}", "A".repeat(4096 - 10));
    assert!(fault(page).hint.contains("4096 bytes are exactly the size of a buffer"));
}

#[test]
fn bytes_that_are_not_utf8_are_named_with_their_field() {
    let inside =
        |field: &str, bytes: &[u8]| fault([format!("{{\"{field}\":\"a").as_bytes(), bytes, b"\"}"].concat());
    for (bytes, what) in [
        (&b"\xE9"[..], "they look like Latin-1 or Windows-1252"),
        (b"\x93text\x94", "they look like Windows-1252"),
        (b"\xED\xA0\xBD\xED\xB8\x80", "halves of a surrogate pair one by one"),
        (b"\xC0\x80", "C0 80, a NUL in Java's modified UTF-8"),
        (b"\xFF\xD8\xFF\xE0\0\x10JFIF", "a JPEG picture, raw"),
        (b"\xFE\x01\x02\x03", "another encoding, or no text at all"),
    ] {
        let fault = inside("transactionSource", bytes);
        assert!(
            fault
                .reason
                .starts_with("not JSON: line 1, column 24, in transactionSource: bytes that are not UTF-8: "),
            "{}",
            fault.reason
        );
        assert!(fault.reason.contains(what), "{}", fault.reason);
        assert!(fault.hint.contains("send UTF-8"), "{}", fault.hint);
        assert!(inside("image", bytes).hint.contains("base64"));
    }
    let fault = fault(b"{\"ip\":\"caf\xC3");
    assert!(fault.reason.ends_with("the text ends in the middle of a character"), "{}", fault.reason);
}

#[test]
fn nesting_is_limited() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(129), "]".repeat(129));
    check(deep, "not the expected JSON: line 1, column 134: nested deeper than 128 levels");
    let allowed = format!(r#"{{"x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
    assert!(Body::decode(allowed.as_bytes()).fault.is_none());
}

/// Values that must not be shown: a password, a ciphertext, a photo.
#[test]
fn the_reason_never_quotes_a_value() {
    for body in [
        r#"{"password":"geheim" "x"}"#,
        r#"{"password":geheim}"#,
        r#"{"password":"gehe\qim"}"#,
        r#"{"password":"geheim"#,
        "{\"password\":\"geheim\ngeheim\"}",
        r#"{"password" "geheim"}"#,
        "{password:geheim}",
        "{'password':'geheim'}",
        r#"{"geheim"}"#,
        r#"{geheim}"#,
        "'{password:geheim}'",
        "password=geheim&ip=1",
        "password: geheim\n",
        "geheim.json",
        "@geheim",
        "Request(password=geheim)",
        "map[password:geheim]",
        r#"{"ip":1}geheim"#,
        r#"{"password":geheim(1)}"#,
        r#"{"password":"a"geheim}"#,
        r#"{"password":+geheim}"#,
        "[geheim",
        "\"geheim",
        "geheim",
    ] {
        let fault = fault(body);
        assert!(!format!("{fault:?}").contains("eheim"), "{body}: {fault:?}");
    }
}

/// Megabytes that make a careless reader slow, deep or large. What is quadratic would take hours.
#[test]
fn hostile_bodies_cost_linear_time_and_little_memory() {
    #[track_caller]
    fn try_with(size: usize, start: &str, unit: &str) {
        let body = [start, &unit.repeat(size / unit.len())].concat();
        let began = std::time::Instant::now();
        let fault = fault(body);
        assert!(began.elapsed().as_secs() < 30, "{start}{unit}: {:?}", began.elapsed());
        assert!(fault.reason.len() < 600 && fault.hint.len() < 1500, "{start}{unit}: {fault:?}");
    }
    for start in ["", "{\"x\":"] {
        for unit in ["[", "{", "{\"x\":"] {
            try_with(5 << 20, start, unit);
        }
    }
    for (start, unit) in [
        ("{\"image\":\"", "A"),
        ("{\"image\":\"", "\n"),
        ("{\"ip\":\"", "\n\""),
        ("{\"ip\":\"", "\\"),
        ("{\"ip\":\"", "\\u"),
        ("{\"ip\":\"", "\\ud800"),
        ("{\"ip\":\"", "” "),
        ("{\"ip\":\"", "” \n"),
        ("{", "a:1,"),
        ("{", ","),
        ("{", "'a':'',"),
        ("{", "\"ip\":\"\\ud800\","),
        ("{\"ip\":", "\u{A0}"),
        ("{\"ip\":", "/**/"),
        ("{\"ip\":", "/*"),
        ("{\"ip\":", "#\n"),
        ("{\"ip\":", "0"),
        ("{\"ip\":", "-"),
        ("{\"ip\":", "a"),
        ("{\"ip\":[", "\"\" "),
        ("{\"ip\":[", "None,"),
        ("{\"ip\":[", "\u{2028}None;"),
        ("\"", "\\\""),
        ("", "\""),
        ("", "--"),
        ("", "a="),
        ("", "eyJ"),
        ("", "7b22"),
        ("", "\u{200B}"),
        ("<", "a"),
        ("(", "("),
    ] {
        try_with(1 << 19, start, unit);
    }
    for byte in [0, 0x80, 0xC3, 0xFF] {
        assert!(fault(vec![byte; 1 << 20]).reason.len() < 600);
    }
    let nested = (0..8).fold("{}".to_owned(), |text, _| serde_json::to_string(&text).expect("a string"));
    check(
        nested,
        "the body is a string, not an object: the string holds the JSON, which was encoded 9 times",
    );
}

/// Pieces of JSON, of its mistakes, and of what stands around them.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"ip\"",
        "\"image\":\"A\"",
        "\"x\":1",
        "\"",
        "'",
        "“",
        "”",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "\\n",
        " ",
        "\n",
        "\t",
        "\0",
        "\u{A0}",
        "1",
        "-",
        "0",
        "05",
        "1.5",
        "1e",
        "e1",
        "true",
        "null",
        "nul",
        "None",
        "a",
        "é",
        "/*",
        "*/",
        "//",
        "#",
        "=",
        "=>",
        ";",
        "+",
        ".",
        "{{",
        "}}",
        "$",
        "<",
        "\u{7f}",
        "\"\"\"",
        "[1]",
        "{\"a\":{}}",
        "，",
    ];
    let piece = prop::sample::select(pieces).prop_map(str::to_owned);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// The scanner agrees with the decoder about what is JSON, so no fault goes without its position.
    #[test]
    fn the_scanner_finds_a_mistake_where_the_decoder_does(inside in pieces(), wrapped in any::<bool>()) {
        let body = if wrapped { format!("{{{inside}}}") } else { format!("{{{inside}") };
        let decoded = Body::decode(body.as_bytes()).fault;
        prop_assert_eq!(decoded.is_some(), !scanner::mistakes(body.as_bytes()).is_empty(), "{} {:?}", body, decoded);
    }

    #[test]
    fn any_bytes_are_explained(start in prop::sample::select(vec!["", "{", "{\"ip\":\"", "[", "\"", "'"]), rest in prop::collection::vec(any::<u8>(), 0..80)) {
        let body = [start.as_bytes(), &rest].concat();
        let fault = super::explain(&body);
        prop_assert!(!fault.reason.is_empty() && !fault.hint.is_empty());
    }
}
