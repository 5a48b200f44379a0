//! Reading the fixtures again: puts them in force as a whole, or says what is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Engine, gallery_faces};
use crate::config::{self, Fixtures, Problem, StartPolicy};
use crate::state::change::Change;
use crate::state::observer::Observer;

/// The directory whose files replace built-in ones.
pub struct FixtureDirectory {
    path: Option<PathBuf>,
    may_be_absent: bool,
}

impl FixtureDirectory {
    /// A directory; one that may be absent counts only while it exists.
    #[must_use]
    pub fn new(path: Option<PathBuf>, may_be_absent: bool) -> FixtureDirectory {
        FixtureDirectory { path, may_be_absent }
    }

    /// The directory, if there is one.
    #[must_use]
    pub fn present(&self) -> Option<&Path> {
        self.path.as_deref().filter(|path| !self.may_be_absent || path.is_dir())
    }
}

/// Where the fixtures come from, and where they go.
pub struct Reloader {
    pub directory: FixtureDirectory,
    /// What the command line says about policy.
    pub policy: StartPolicy,
    pub engine: Arc<Engine>,
    pub observer: Arc<dyn Observer>,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    /// A reloader for an engine.
    #[must_use]
    pub fn new(
        directory: FixtureDirectory,
        policy: StartPolicy,
        engine: Arc<Engine>,
        observer: Arc<dyn Observer>,
    ) -> Reloader {
        Reloader { directory, policy, engine, observer, one_at_a_time: Mutex::default() }
    }

    /// Puts the fixtures as they are now in force, and tells the observer and the readers of events. Gives the number of customers in
    /// files.
    ///
    /// # Errors
    /// Everything that is wrong with them; the old ones stay in force then.
    pub fn reload(&self) -> Result<usize, Vec<Problem>> {
        // Without it, while a shared store is down, this replica's files are in force all the same.
        let _turn = self.engine.take_turn_blocking().ok();
        let customers = self.reload_for_call()?;
        self.report(Vec::new());
        Ok(customers)
    }

    fn report(&self, problems: Vec<String>) {
        self.engine.journal.report(Change::of_fixtures(self.engine.clock.now(), problems));
    }

    /// Like [`Reloader::reload`], for a call of the admin API, which itself reports the change that it made.
    ///
    /// # Errors
    /// Those of [`Reloader::reload`].
    pub fn reload_for_call(&self) -> Result<usize, Vec<Problem>> {
        let _turn = self.one_at_a_time.lock();
        match self.read() {
            Ok(fixtures) => {
                let customers = fixtures.customers.len();
                let mut warnings: Vec<_> = fixtures.warnings.iter().map(ToString::to_string).collect();
                warnings.extend(self.engine.replace_fixtures(fixtures));
                if let (Some(shared), Ok(digest)) =
                    (self.engine.shared(), config::digest(self.directory.present()))
                {
                    shared.set_fixtures(digest);
                }
                warnings.iter().for_each(|warning| self.observer.warned(warning));
                self.observer.reloaded(customers);
                gallery_faces::learn(&self.engine, &self.observer);
                Ok(customers)
            }
            Err(problems) => {
                self.observer.refused(&problems);
                self.report(problems.iter().map(ToString::to_string).collect());
                Err(problems)
            }
        }
    }

    /// The fixtures as they are now; nothing is put in force.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(&self) -> Result<Fixtures, Vec<Problem>> {
        let fixtures = config::reload(self.directory.present(), &self.policy, &self.engine.fixtures())?;
        match fixtures.unshared_faces().filter(|_| self.engine.shared().is_some()) {
            Some(problem) => Err(vec![problem]),
            None => Ok(fixtures),
        }
    }
}
