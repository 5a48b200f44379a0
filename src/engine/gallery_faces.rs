//! The faces in the fixtures' own pictures: a thread asks the face engine about them at the start and after a reload, and says what a person
//! should know of the engine. Until it has ended the simulator is not ready: a photo would be compared with a part of the gallery.

use std::sync::{Arc, Weak};
use std::thread;

use super::Engine;
use crate::config::Fixtures;
use crate::domain::matcher::Picture;
use crate::domain::matcher::face::without_vector;
use crate::domain::matcher::face_engine::FaceSettings;
use crate::state::observer::Observer;

/// Starts the thread, if the active fixtures have a face engine. It ends early when other fixtures come into force.
pub fn learn(engine: &Arc<Engine>, observer: &Arc<dyn Observer>) {
    let fixtures = engine.fixtures();
    let Some(settings) = fixtures.faces.clone() else { return };
    let learns = fixtures.pictures.without_face().next().is_some();
    if learns {
        engine.matcher.faces.learner_begins();
    }
    let learner = Learner {
        engine: Arc::downgrade(engine),
        observer: Arc::clone(observer),
        fixtures,
        settings,
        learns,
    };
    let started = thread::Builder::new().name("frsim-faces".to_owned()).spawn(move || learner.run());
    if let Err(error) = started {
        observer.warned(&format!(
            "the face engine is asked by requests only, because a thread cannot be started: {error}"
        ));
    }
}

struct Learner {
    engine: Weak<Engine>,
    observer: Arc<dyn Observer>,
    fixtures: Arc<Fixtures>,
    settings: Arc<FaceSettings>,
    /// Whether there are pictures to ask about: while this lives then, the simulator is not ready.
    learns: bool,
}

impl Drop for Learner {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade().filter(|_| self.learns) {
            engine.matcher.faces.learner_ended();
        }
    }
}

impl Learner {
    fn run(self) {
        let Some(engine) = self.engine.upgrade() else { return };
        let unknown = engine.matcher.enrolled().pictures_unknown_to(&self.settings.engine());
        if unknown > 0 {
            self.observer.warned(&without_vector(unknown));
        }
        let reached = engine.matcher.faces.reach(&self.settings);
        drop(engine);
        let learned = reached.and_then(|()| {
            self.fixtures
                .pictures
                .without_face()
                .try_for_each(|(name, picture)| self.learn_one(name, picture))
        });
        if let Err(reason) = learned {
            self.observer.warned(&format!("{reason}; photos are answered 6014 until it answers"));
        }
    }

    fn learn_one(&self, name: &str, picture: &Picture) -> Result<(), String> {
        let engine = self.engine.upgrade().filter(|engine| Arc::ptr_eq(&engine.fixtures(), &self.fixtures));
        let (Some(engine), Some(file)) = (engine, picture.file_without_face()) else { return Ok(()) };
        let (matcher, id) = (&engine.matcher, self.settings.engine());
        let turn = matcher.faces.turn_to_learn();
        let known = matcher.known_vector(&self.fixtures.pictures, &id);
        matcher.faces.learn(&self.settings, picture, file, known.as_ref())?;
        drop(turn);
        if picture.face(&id) == Some(None) {
            self.observer.warned(&format!(
                "the face engine finds no face in gallery/{name}, which matches by content only"
            ));
        }
        Ok(())
    }
}
