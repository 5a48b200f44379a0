//! A connection with the server, and what its errors mean to a person.

use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::{
    Client, Cmd, Connection, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, Value,
};

use super::address::SharedAddress;
use super::scripts::SCRIPTS;

/// How long an answer of the server is waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Why the store cannot be used now; the message begins behind the store's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTrouble {
    pub message: String,
    /// Whether it may pass by itself: the server cannot be reached, or is just starting.
    pub may_pass: bool,
}

impl StoreTrouble {
    pub fn lasting(message: impl Into<String>) -> StoreTrouble {
        StoreTrouble { message: message.into(), may_pass: false }
    }

    pub fn passing(message: impl Into<String>) -> StoreTrouble {
        StoreTrouble { message: message.into(), may_pass: true }
    }
}

impl From<RedisError> for StoreTrouble {
    fn from(error: RedisError) -> StoreTrouble {
        let text = error.to_string();
        let is = |code: &str| error.code() == Some(code) || text.contains(code);
        if error.kind() == ErrorKind::AuthenticationFailed
            || ["NOAUTH", "WRONGPASS", "invalid username-password"].iter().any(|code| is(code))
        {
            return StoreTrouble::lasting(
                "refuses the password, or wants one: give it in --store-password-file, or in FRSIM_STORE as redis://:PASSWORD@HOST:PORT/NAME",
            );
        }
        if is("NOPERM") {
            return StoreTrouble::lasting(format!(
                "does not permit what the simulator needs: the user needs all commands on keys that begin with {{frsim: ({text})"
            ));
        }
        if is("OOM") {
            return StoreTrouble::lasting(
                "is full: the server has reached its maxmemory; raise it, or remove what else it holds",
            );
        }
        if is("WRONGTYPE") {
            return StoreTrouble::lasting(FOREIGN);
        }
        // The second: it became one while a record was waited for.
        if is("READONLY") || is("UNBLOCKED") {
            return StoreTrouble::passing(
                "takes no changes, because the server is a copy of another one: name an address that always leads to the primary",
            );
        }
        if error.is_timeout() {
            return StoreTrouble::passing(format!(
                "does not answer within {} seconds: its server hangs, or is no Valkey or Redis",
                PATIENCE.as_secs()
            ));
        }
        if error.kind() == ErrorKind::Parse {
            return StoreTrouble::lasting(
                "is no Valkey or Redis: what listens there answers in another protocol; look at the port",
            );
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return StoreTrouble::passing(format!("cannot be reached: {text}"));
        }
        let may_pass = ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN", "NOSCRIPT"];
        StoreTrouble {
            message: format!("cannot be used: {text}"),
            may_pass: may_pass.iter().any(|code| is(code)),
        }
    }
}

/// The message about keys that are of something else.
pub const FOREIGN: &str =
    "is not of this program: other data has its keys; name another store behind the port";

/// Connects, with all scripts loaded. `patience`: how long an answer is waited for.
///
/// # Errors
/// Why that is not possible.
pub fn connect(address: &SharedAddress, patience: Duration) -> Result<Connection, StoreTrouble> {
    let mut credentials = RedisConnectionInfo::default();
    if let Some(user) = &address.user {
        credentials = credentials.set_username(user);
    }
    if let Some(password) = &address.password {
        credentials = credentials.set_password(password);
    }
    let place = ConnectionAddr::Tcp(address.host.clone(), address.port).into_connection_info()?;
    let tcp = TcpSettings::default().set_nodelay(true);
    let client = Client::open(place.set_tcp_settings(tcp).set_redis_settings(credentials))?;
    let connected = client.get_connection_with_timeout(PATIENCE);
    // It says the same when a server that was reached hangs.
    let mut connection = connected.map_err(|error| match error.is_timeout() {
        true => (ErrorKind::Io, "nothing answers at that address, perhaps because of a firewall").into(),
        false => error,
    })?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    for script in SCRIPTS {
        script.load().exec(&mut connection)?;
    }
    Ok(connection)
}

/// Asks the server.
///
/// # Errors
/// Why there is no answer, or that it is another one than scripts give.
pub fn ask<T: FromRedisValue>(connection: &mut Connection, command: &Cmd) -> Result<T, StoreTrouble> {
    Ok(command.query(connection)?)
}

/// Reads an answer of a script: a word, and numbers.
pub fn words(value: Value) -> Result<(String, Vec<u64>), StoreTrouble> {
    let strange = || StoreTrouble::lasting("gives an answer that no script of this version gives");
    let Value::Array(values) = value else { return Err(strange()) };
    let mut values = values.into_iter();
    let word = values.next().and_then(|word| String::from_redis_value(word).ok()).ok_or_else(strange)?;
    let number = |value| u64::from_redis_value(value).map_err(|_| strange());
    Ok((word, values.map(number).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_is_reached_is_not_said_to_be_out_of_reach() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SharedAddress = format!("redis://{}/x", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The client may be gone when the last bytes come.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // Until the client closes.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let trouble = connect(&address, PATIENCE).err().unwrap();
        server.join().unwrap();
        assert!(!trouble.may_pass && trouble.message.starts_with("is no Valkey or Redis"), "{trouble:?}");
        let late = StoreTrouble::from(RedisError::from(std::io::Error::from(std::io::ErrorKind::WouldBlock)));
        assert!(late.may_pass && late.message.starts_with("does not answer within 2 seconds"), "{late:?}");
        let refused =
            StoreTrouble::from(RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)));
        assert!(refused.may_pass && refused.message.starts_with("cannot be reached"), "{refused:?}");
    }
}
