//! Client-side request builder: a complete request, encrypted and encoded. Every part can be changed before it is sent.

use std::fmt;

use serde_json::{Map, Value};

use crate::base::json;
use crate::keys;
use crate::protocol::{Field, encoding};

/// A request to the endpoint: URL and JSON body. Created by [`Simulator::request`](crate::Simulator::request).
///
/// Every clone sends the same ciphertexts; a real client encrypts again for each request.
#[derive(Clone)]
pub struct Request {
    url: String,
    members: Map<String, Value>,
    key: rsa::PublicKey,
}

/// Values of a request's seven fields; the credentials in plaintext.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub transaction_id: &'a str,
    pub transaction_source: &'a str,
    pub threshold: &'a str,
    /// Contents of a JPG or PNG file.
    pub image: &'a [u8],
    pub user_id: &'a str,
    pub password: &'a str,
    pub ip: &'a str,
}

// Redacted: the body holds a photo and credentials.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.url)
    }
}

impl Request {
    /// Creates a request to `url` whose credentials are encrypted with `key`.
    ///
    /// # Errors
    /// When a credential is longer than the key allows (245 bytes for 2048 bits).
    pub fn new(url: String, key: rsa::PublicKey, fields: Fields) -> Result<Request, String> {
        let mut request = Request { url, members: Map::new(), key };
        let (user_id, password) = (request.encrypted(fields.user_id)?, request.encrypted(fields.password)?);
        let image = encoding::encode(fields.image);
        // In the document's order.
        for (field, value) in [
            (Field::TransactionId, fields.transaction_id),
            (Field::TransactionSource, fields.transaction_source),
            (Field::Threshold, fields.threshold),
            (Field::Image, &image),
            (Field::UserId, &user_id),
            (Field::Password, &password),
            (Field::Ip, fields.ip),
        ] {
            request.members.insert(field.name().to_owned(), value.into());
        }
        Ok(request)
    }

    /// Returns the key that encrypts the credentials.
    pub(super) fn key(&self) -> &rsa::PublicKey {
        &self.key
    }

    /// Encrypts a credential as the document asks for, and encodes it.
    pub(super) fn encrypted(&self, plain: &str) -> Result<String, String> {
        keys::encrypt(&self.key, plain.as_bytes()).map(|ciphertext| encoding::encode(&ciphertext))
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the body, as JSON.
    #[must_use]
    pub fn body(&self) -> String {
        json::text(&self.members)
    }

    /// Sets the `transactionId`.
    #[must_use]
    pub fn transaction_id(self, id: &str) -> Request {
        self.set(Field::TransactionId.name(), id)
    }

    /// Sets the `threshold`: a number, or a string to be sent as a string.
    #[must_use]
    pub fn threshold(self, threshold: impl Into<Value>) -> Request {
        self.set(Field::Threshold.name(), threshold)
    }

    /// Sets the photo: the file's bytes, in any format.
    #[must_use]
    pub fn image(self, file: &[u8]) -> Request {
        self.set(Field::Image.name(), encoding::encode(file))
    }

    /// Sets the `ip`.
    #[must_use]
    pub fn ip(self, ip: &str) -> Request {
        self.set(Field::Ip.name(), ip)
    }

    /// Sets the account; encrypts both credentials.
    ///
    /// # Errors
    /// When a credential is longer than the key allows.
    pub fn account(self, user_id: &str, password: &str) -> Result<Request, String> {
        let (user_id, password) = (self.encrypted(user_id)?, self.encrypted(password)?);
        Ok(self.set(Field::UserId.name(), user_id).set(Field::Password.name(), password))
    }

    /// Sets any field to any value, without encoding or encryption.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Request {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Request {
        self.members.shift_remove(name);
        self
    }
}
