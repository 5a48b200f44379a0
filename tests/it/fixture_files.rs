//! Fixtures on disk: edits are reloaded completely or not at all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use dukcapil_fr_sim::internals::config::Problem;
use dukcapil_fr_sim::internals::state::journal::Entry;
use dukcapil_fr_sim::internals::state::observer::Observer;
use parking_lot::Mutex;

use crate::support::{Sim, eventually, write_fixture};

/// An observer that lets tests wait for a reload instead of sleeping.
struct News(SyncSender<Result<usize, String>>);

impl Observer for News {
    fn request(&self, _: &Entry) {}

    fn reloaded(&self, customers: usize) {
        let _ = self.0.try_send(Ok(customers));
    }

    fn refused(&self, problems: &[Problem]) {
        let _ = self.0.try_send(Err(Problem::list(problems)));
    }
}

struct Watched {
    sim: Sim,
    directory: tempfile::TempDir,
    news: Mutex<Receiver<Result<usize, String>>>,
}

impl Watched {
    fn start(text: &str) -> Watched {
        let directory = tempfile::tempdir().unwrap();
        write_fixture(directory.path(), "customers/c.toml", text);
        let (sender, news) = sync_channel(16);
        let path = directory.path().to_owned();
        let sim =
            Sim::with(|builder| builder.fixtures(Some(path)).watch(true).observer(Arc::new(News(sender))));
        Watched { sim, directory, news: Mutex::new(news) }
    }

    fn edit(&self, text: &str) -> Result<usize, String> {
        write_fixture(self.directory.path(), "customers/c.toml", text);
        self.news.lock().recv_timeout(Duration::from_secs(30)).expect("news within half a minute")
    }
}

#[test]
fn a_valid_edit_is_reloaded_automatically_and_an_invalid_one_is_not() {
    let watched = Watched::start("extends = 'demo'\npolicy = { max_results = 3 }");
    let most = || watched.sim.call("c", watched.sim.request().text()).json()["maxResults"].clone();
    assert_eq!(most(), 3);
    watched.edit("extends = 'demo'\npolicy = { max_results = 4 }").unwrap();
    assert_eq!(most(), 4);
    let problem = watched.edit("extends = 'demo'\npolicy = { max_result = 5 }").unwrap_err();
    assert!(
        problem.contains("c.toml:2:12: unknown key `max_result` (did you mean `max_results`?)"),
        "{problem}"
    );
    assert_eq!(most(), 4);
    watched.edit("extends = 'demo'\npolicy = { max_results = 6 }").unwrap();
    assert_eq!(most(), 6);
}

#[test]
fn counts_and_api_changes_survive_a_reload() {
    let watched = Watched::start("extends = 'demo'\nquota = { per_day = 9 }");
    let sim = &watched.sim;
    sim.call("c", sim.request().text());
    sim.admin("PUT", "/customers/demo/quota", r#"{"per_day":5,"used":2}"#);
    watched.edit("extends = 'demo'\nquota = { per_day = 7 }").unwrap();
    let quota = |customer: &str| {
        let (_, quota) = sim.admin("GET", &format!("/customers/{customer}/quota"), "");
        (quota["per_day"].as_u64().unwrap(), quota["used"].as_u64().unwrap())
    };
    assert_eq!((quota("c"), quota("demo")), ((7, 1), (5, 2)));
    sim.call("c", sim.request().text());
    assert_eq!(sim.last()["ordinal"], 2);
}

#[test]
fn a_missing_directory_is_rejected_and_reloaded_when_it_is_restored() {
    let watched = Watched::start("extends = 'demo'\npolicy = { max_results = 3 }");
    let most = || watched.sim.call("c", watched.sim.request().text()).json()["maxResults"].clone();
    let heard = |wanted: &dyn Fn(&Result<usize, String>) -> bool| {
        let news = watched.news.lock();
        eventually("the news", || {
            wanted(&news.recv_timeout(Duration::from_secs(30)).expect("news within half a minute"))
        });
    };
    std::fs::remove_dir_all(watched.directory.path()).unwrap();
    heard(&|news| news.as_ref().is_err_and(|problem| problem.contains("cannot be read")));
    for results in [4, 5] {
        let text = format!("extends = 'demo'\npolicy = {{ max_results = {results} }}");
        write_fixture(watched.directory.path(), "customers/c.toml", &text);
        heard(&|news| news.is_ok() && most() == results);
    }
}
