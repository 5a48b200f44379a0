//! The scripts and keys of a shared store. All keys have one hash tag, so each script is atomic.

use ::redis::Cmd;
use sha1::{Digest, Sha1};

use crate::base::hash::hex;

/// A script that the server runs.
#[derive(Clone, Copy, Debug)]
pub struct Script(&'static str);

pub const APPEND: Script = Script(include_str!("append.lua"));
pub const ARRIVE: Script = Script(include_str!("arrive.lua"));
pub const LEAVE: Script = Script(include_str!("leave.lua"));
pub const BEAT: Script = Script(include_str!("beat.lua"));
pub const CREATE: Script = Script(include_str!("create.lua"));
pub const SNAPSHOT: Script = Script(include_str!("snapshot.lua"));
pub const RELEASE: Script = Script(include_str!("release.lua"));

/// All scripts, loaded when a connection is made.
pub const SCRIPTS: [Script; 7] = [APPEND, ARRIVE, LEAVE, BEAT, CREATE, SNAPSHOT, RELEASE];

impl Script {
    /// Returns the call with these keys, to which the arguments are to be added.
    pub fn call(self, keys: &[&str]) -> Cmd {
        let mut call = ::redis::cmd("EVALSHA");
        call.arg(hex(&Sha1::digest(self.0))).arg(keys.len()).arg(keys);
        call
    }

    /// Returns the command that loads it.
    pub fn load(self) -> Cmd {
        let mut load = ::redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.0);
        load
    }
}

/// Names of a store's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    pub prefix: String,
    pub meta: String,
    pub versions: String,
    pub log: String,
    pub pages: String,
    pub turn: String,
    pub replicas: String,
    pub flying: String,
    pub setups: String,
}

impl Keys {
    /// Returns the keys of the store with this name.
    #[must_use]
    pub fn of(name: &str) -> Keys {
        let prefix = format!("{{frsim:{name}}}:");
        let key = |name: &str| format!("{prefix}{name}");
        Keys {
            meta: key("meta"),
            versions: key("ver"),
            log: key("log"),
            pages: key("pages"),
            turn: key("turn"),
            replicas: key("replicas"),
            flying: key("flying"),
            setups: key("setups"),
            prefix,
        }
    }

    /// Returns the key of a subject's fields.
    #[must_use]
    pub fn subject(&self, subject: &str) -> String {
        format!("{}s:{subject}", self.prefix)
    }

    /// Returns the key of a customer's requests under way.
    #[must_use]
    pub fn flight(&self, customer_id: &str) -> String {
        format!("{}flight:{customer_id}", self.prefix)
    }
}
