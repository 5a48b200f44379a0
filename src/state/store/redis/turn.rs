//! Turns: changes over the admin API, at any replica, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::scripts::RELEASE;
use super::shared_store::{SharedStore, StoreDown};

/// How long a turn lasts when its replica is killed; a living one keeps it for longer.
pub(super) const TURN: Duration = Duration::from_secs(10);

/// How long a turn is waited for.
const WAIT: Duration = Duration::from_secs(20);

/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(2);

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    #[error(transparent)]
    Down(#[from] StoreDown),
    #[error(
        "other changes had the turn for too long, so nothing was changed: replicas make changes one after the other"
    )]
    Taken,
}

/// The right to change settings, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    store: Arc<SharedStore>,
    token: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.store.change(|progress| drop(progress.turn.take_if(|turn| *turn == self.token)));
        // Behind everything that was pushed.
        self.store.send(self.store.keep_turn(&self.token, Duration::ZERO), Box::new(|_| ()));
    }
}

impl SharedStore {
    /// Waits for the turn, and until this replica has applied all changes before it.
    ///
    /// # Errors
    /// When the store cannot be reached, or others have the turn for too long.
    pub async fn take_turn(self: &Arc<Self>) -> Result<Turn, NoTurn> {
        let token = self.token();
        let deadline = Instant::now() + WAIT;
        loop {
            if self.claim(&token) {
                let (reply, answer) = oneshot::channel();
                self.send(self.acquire(&token), Box::new(move |value| drop(reply.send(value))));
                let answer = answer.await.unwrap_or(Err(StoreDown));
                if let Some(turn) = self.granted(answer, &token)? {
                    self.caught_up().await?;
                    return Ok(turn);
                }
            }
            if Instant::now() >= deadline {
                return Err(NoTurn::Taken);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The same, for threads.
    ///
    /// # Errors
    /// Those of [`SharedStore::take_turn`].
    pub fn take_turn_blocking(self: &Arc<Self>) -> Result<Turn, NoTurn> {
        let token = self.token();
        let deadline = Instant::now() + WAIT;
        loop {
            if self.claim(&token) {
                let answer = self.ask(self.acquire(&token));
                if let Some(turn) = self.granted(answer, &token)? {
                    self.caught_up_blocking()?;
                    return Ok(turn);
                }
            }
            if Instant::now() >= deadline {
                return Err(NoTurn::Taken);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn token(&self) -> String {
        format!("{}/{}", self.replica, self.next_operation())
    }

    /// Claims the turn within this replica.
    fn claim(&self, token: &str) -> bool {
        let mut progress = self.progress.lock();
        if progress.turn.is_some() {
            return false;
        }
        progress.turn = Some(token.to_owned());
        true
    }

    fn acquire(&self, token: &str) -> Cmd {
        let mut command = ::redis::cmd("SET");
        command.arg(&self.keys.turn).arg(token).arg("NX").arg("PX").arg(TURN.as_millis() as u64);
        command
    }

    /// Returns the turn if the server gave it; else the claim within this replica ends.
    fn granted(
        self: &Arc<Self>,
        answer: Result<Value, StoreDown>,
        token: &str,
    ) -> Result<Option<Turn>, StoreDown> {
        // Dropped when it was not given: that ends the claim.
        let turn = Turn { store: Arc::clone(self), token: token.to_owned() };
        Ok((answer? != Value::Nil).then_some(turn))
    }

    /// Returns the command that keeps a turn for so much longer; zero gives it back.
    pub(super) fn keep_turn(&self, token: &str, time: Duration) -> Cmd {
        let mut call = RELEASE.call(&[&self.keys.turn]);
        call.arg(token).arg(time.as_millis() as u64);
        call
    }
}
