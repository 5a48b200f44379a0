//! Bearer tokens of the admin API: the one of `--admin-token`, and the named ones of `--admin-token-file`.

use std::fmt;

use subtle::ConstantTimeEq;

/// Min length of a token in the file, in characters.
pub const MIN_LENGTH: usize = 8;
/// Max length of a name, in characters.
const MAX_NAME: usize = 64;

/// The tokens that the admin API accepts. Without any, it requires none.
#[derive(Clone, Default)]
pub struct AdminTokens {
    /// The token without a name.
    pub unnamed: Option<String>,
    pub named: Vec<NamedToken>,
}

/// A token and whose it is.
#[derive(Clone)]
pub struct NamedToken {
    pub name: String,
    token: String,
}

/// The holder of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// `None`: the token without a name.
    pub name: Option<String>,
}

/// Why a file of tokens is rejected. Never shows a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFileError {
    /// Line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    pub message: String,
}

// Derived ones would print the tokens.
impl fmt::Debug for AdminTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminTokens(..)")
    }
}

impl fmt::Debug for NamedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedToken({})", self.name)
    }
}

impl AdminTokens {
    /// Returns whether the admin API requires a token.
    #[must_use]
    pub fn are_required(&self) -> bool {
        self.unnamed.is_some() || !self.named.is_empty()
    }

    /// Returns whose token this is; `None` when it is not valid. Compares with every token, each in constant time, so the time tells
    /// neither how much of a token is right nor whose it is.
    #[must_use]
    pub fn holder(&self, token: &str) -> Option<TokenHolder> {
        let is_it = |known: &str| bool::from(known.as_bytes().ct_eq(token.as_bytes()));
        let named = self.named.iter().map(|known| (is_it(&known.token), Some(&known.name)));
        let unnamed = self.unnamed.iter().map(|known| (is_it(known), None));
        // The last one counts: a token that also has a name is that person's.
        let found =
            unnamed.chain(named).fold(None, |found, (is_it, name)| if is_it { Some(name) } else { found });
        found.map(|name| TokenHolder { name: name.cloned() })
    }
}

/// Reads a file of tokens: lines `NAME TOKEN`; blank lines and lines that begin with `#` are skipped.
///
/// # Errors
/// The first line that is wrong, and why; also when there is no token at all.
pub fn parse(text: &str) -> Result<Vec<NamedToken>, TokenFileError> {
    let mut tokens: Vec<(usize, NamedToken)> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{FEFF}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let error = |message: String| TokenFileError { line: Some(number), message };
        let token = parse_line(line).map_err(error)?;
        for (earlier, known) in &tokens {
            let what = if known.name == token.name { "name" } else { "token" };
            if known.name == token.name || known.token == token.token {
                return Err(error(format!(
                    "line {earlier} has the same {what}; give each person one of their own"
                )));
            }
        }
        tokens.push((number, token));
    }
    if tokens.is_empty() {
        let message = "there is no token in it; write one NAME TOKEN on each line".to_owned();
        return Err(TokenFileError { line: None, message });
    }
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}

fn parse_line(line: &str) -> Result<NamedToken, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(token), None) = (words.next(), words.next(), words.next()) else {
        let found = if line.contains(char::is_whitespace) { "more than two words" } else { "only one word" };
        return Err(format!("{found}; write NAME TOKEN, and comments on lines of their own, after #"));
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    if name.len() > MAX_NAME || !name.chars().all(is_name) {
        return Err(format!(
            "a name has 1 to {MAX_NAME} ASCII letters, digits and . _ - @ +; write NAME TOKEN"
        ));
    }
    if let Some(at) = token.chars().position(|c| !c.is_ascii_graphic()) {
        return Err(format!(
            "character {} of the token is not visible ASCII: it cannot be sent in a header",
            at + 1
        ));
    }
    if token.len() < MIN_LENGTH {
        return Err(format!(
            "the token has {} characters, fewer than {MIN_LENGTH}; make one with: openssl rand -hex 16",
            token.len()
        ));
    }
    Ok(NamedToken { name: name.to_owned(), token: token.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tokens_are_read_and_told_apart() {
        let text = "\u{FEFF}# the team\r\n\r\nbudi  token-of-budi\r\n\tsiti\ttoken-of-siti\n";
        let tokens = AdminTokens { unnamed: Some("plain".to_owned()), named: parse(text).unwrap() };
        let holder = |token: &str| tokens.holder(token).map(|holder| holder.name);
        assert_eq!(holder("token-of-budi"), Some(Some("budi".to_owned())));
        assert_eq!(holder("token-of-siti"), Some(Some("siti".to_owned())));
        assert_eq!(holder("plain"), Some(None));
        for wrong in ["", "token-of-bud", "token-of-budi ", "budi", "# the team"] {
            assert_eq!(holder(wrong), None, "{wrong}");
        }
        assert!(tokens.are_required() && !AdminTokens::default().are_required());
        assert_eq!(AdminTokens::default().holder(""), None);
        let shown = format!("{tokens:?} {:?}", tokens.named);
        assert!(!shown.contains("token-of"), "{shown}");
    }

    #[test]
    fn a_wrong_file_is_rejected_with_its_line_and_without_its_token() {
        for (text, line, says) in [
            ("", None, "no token"),
            ("# nobody\n\n", None, "no token"),
            ("budi", Some(1), "only one word"),
            ("\n\nbudi s3cret-token # comment", Some(3), "more than two words"),
            ("budi s3cret", Some(1), "fewer than 8"),
            ("a s3cret-token\n\na s3cret-other", Some(3), "line 1 has the same name"),
            ("a s3cret-token\nb s3cret-token", Some(2), "line 1 has the same token"),
            ("b[di s3cret-token", Some(1), "a name has"),
            ("budi s3cret-töken", Some(1), "character 9"),
            ("budi s3cret\u{1}token", Some(1), "character 7"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error:?}");
            assert!(error.message.contains(says) && !error.message.contains("s3cret"), "{text:?}: {error:?}");
        }
        let long = format!("{} s3cret-token", "n".repeat(65));
        assert!(parse(&long).unwrap_err().message.contains("64"));
    }
}
