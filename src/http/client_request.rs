//! A ready request, as a client sends it: encrypted, encoded, and open to every change before it goes.

use std::fmt;

use rsa::RsaPublicKey;
use serde_json::{Map, Value};

use crate::keys;
use crate::protocol::{Field, encoding};

/// A request of the endpoint: where it goes and what stands in it. Made by [`Simulator::request`](crate::Simulator::request).
///
/// Every clone sends the same ciphertexts; a real client encrypts anew each time.
#[derive(Clone)]
pub struct Request {
    url: String,
    members: Map<String, Value>,
    key: RsaPublicKey,
}

/// What stands in a request's seven fields; the credentials plain.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub transaction_id: &'a str,
    pub transaction_source: &'a str,
    pub threshold: &'a str,
    /// A jpg or png file.
    pub image: &'a [u8],
    pub user_id: &'a str,
    pub password: &'a str,
    pub ip: &'a str,
}

// What is in it is somebody's photo and account.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.url)
    }
}

impl Request {
    /// A request to `url` whose credentials are encrypted with `key`.
    ///
    /// # Errors
    /// When a credential is longer than the key allows (245 bytes for 2048 bits).
    pub fn new(url: String, key: RsaPublicKey, fields: Fields) -> Result<Request, String> {
        let mut request = Request { url, members: Map::new(), key };
        let (user_id, password) = (request.sealed(fields.user_id)?, request.sealed(fields.password)?);
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

    fn sealed(&self, plain: &str) -> Result<String, String> {
        keys::encrypt(&self.key, plain.as_bytes()).map(|sealed| encoding::encode(&sealed))
    }

    /// Where it goes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body: JSON.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::to_string(&self.members).unwrap_or_default()
    }

    /// With this `transactionId`.
    #[must_use]
    pub fn transaction_id(self, id: &str) -> Request {
        self.set(Field::TransactionId.name(), id)
    }

    /// With this `threshold`: a number, or a text to be sent as one.
    #[must_use]
    pub fn threshold(self, threshold: impl Into<Value>) -> Request {
        self.set(Field::Threshold.name(), threshold)
    }

    /// With this photo: the file's bytes, of whatever format.
    #[must_use]
    pub fn image(self, file: &[u8]) -> Request {
        self.set(Field::Image.name(), encoding::encode(file))
    }

    /// With this `ip`.
    #[must_use]
    pub fn ip(self, ip: &str) -> Request {
        self.set(Field::Ip.name(), ip)
    }

    /// With this account, encrypted.
    ///
    /// # Errors
    /// When a text is longer than the key allows.
    pub fn account(self, user_id: &str, password: &str) -> Result<Request, String> {
        let (user_id, password) = (self.sealed(user_id)?, self.sealed(password)?);
        Ok(self.set(Field::UserId.name(), user_id).set(Field::Password.name(), password))
    }

    /// With any value under any name, as it is.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Request {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Request {
        self.members.shift_remove(name);
        self
    }
}
