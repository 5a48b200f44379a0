//! What a shared store belongs to, and how a new one is made.

use std::collections::BTreeMap;

use ::redis::Connection;
use rand::RngExt;

use super::super::{StoreIdentity, StoreWrite};
use super::connection::{FOREIGN, StoreTrouble, ask};
use super::scripts::{CREATE, Keys};

/// Version of the keys and of what is in them.
const FORMAT: &str = "1";

/// Returns a warning when the server may throw away what was counted; `None` also where it does not say.
pub(super) fn eviction(connection: &mut Connection) -> Option<String> {
    let mut info = ::redis::cmd("INFO");
    info.arg("memory");
    let info: String = ask(connection, &info).ok()?;
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let (limit, policy) = (value("maxmemory")?, value("maxmemory_policy")?);
    (limit != "0" && policy != "noeviction").then(|| {
        format!(
            "the server of the shared store has maxmemory-policy {policy}: it may throw away what was counted; set noeviction"
        )
    })
}

/// What a store belongs to, and what a new one has.
#[derive(Debug)]
pub(super) struct Founder {
    pub identity: StoreIdentity,
    pub initial: Vec<StoreWrite>,
}

pub(super) type Meta = BTreeMap<String, String>;

impl Founder {
    /// Returns what the store says of itself; creates it where there is none.
    pub fn meta(&self, connection: &mut Connection, keys: &Keys) -> Result<Meta, StoreTrouble> {
        let StoreIdentity { seed, key, .. } = &self.identity;
        let (seed, made) = (seed.to_string(), unguessable());
        let fields = [
            ("format", FORMAT),
            ("seed", &*seed),
            ("key", key),
            ("made_by", crate::version::VERSION),
            ("made", &made),
            ("records", "0"),
            ("last_id", "0"),
            ("config", "0"),
        ];
        let mut call = CREATE.call(&[&keys.meta, &keys.versions, &keys.log, &keys.pages]);
        call.arg(fields.len());
        fields.iter().for_each(|(name, value)| {
            call.arg(*name).arg(*value);
        });
        call.arg(&keys.prefix);
        for write in &self.initial {
            if let StoreWrite::Set { subject, field, value } = write {
                call.arg(&**subject).arg(field).arg(value);
            }
        }
        let meta: Meta = ask(connection, &call)?;
        if !meta.contains_key("format") || !meta.contains_key("made") {
            return Err(StoreTrouble::lasting(FOREIGN));
        }
        Ok(meta)
    }

    /// Compares what a store belongs to.
    pub fn compare(&self, meta: &Meta) -> Result<(), StoreTrouble> {
        let field = |name: &str| meta.get(name).map_or("", String::as_str);
        if field("format") != FORMAT {
            return Err(StoreTrouble::lasting(format!(
                "has format {}, and this version ({}) reads format {FORMAT}: start the version that made it ({}), or name another store",
                field("format"),
                crate::version::VERSION,
                field("made_by"),
            )));
        }
        let compared = self.identity.compare(field, "another store behind the port");
        // Fixtures may be edited: replicas compare theirs with each other.
        compared.map(drop).map_err(StoreTrouble::lasting)
    }
}

/// Names a replica, or a history.
pub(super) fn unguessable() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}
