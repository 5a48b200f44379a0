//! Fixtures on disk: edits are reloaded completely or not at all.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use dukcapil_fr_sim::internals::config::Problem;
use dukcapil_fr_sim::internals::state::journal::Entry;
use dukcapil_fr_sim::internals::state::observer::Observer;
use parking_lot::Mutex;

use crate::support::{KEYS, Sim, eventually, write_fixture};

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
        Watched::with_keys(text, KEYS.path())
    }

    fn with_keys(text: &str, keys: &Path) -> Watched {
        let directory = tempfile::tempdir().unwrap();
        write_fixture(directory.path(), "customers/c.toml", text);
        let (sender, news) = sync_channel(16);
        let path = directory.path().to_owned();
        let keys = Some(keys.to_owned());
        let sim = Sim::with(|builder| {
            builder.keys(keys).fixtures(Some(path)).watch(true).observer(Arc::new(News(sender)))
        });
        Watched { sim, directory, news: Mutex::new(news) }
    }

    fn next(&self) -> Result<usize, String> {
        self.news.lock().recv_timeout(Duration::from_secs(30)).expect("news within half a minute")
    }

    fn edit(&self, text: &str) -> Result<usize, String> {
        write_fixture(self.directory.path(), "customers/c.toml", text);
        self.next()
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
fn a_key_file_that_appears_or_changes_is_read_at_once() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["private.pem", "public.pem"] {
        std::fs::copy(KEYS.path().join(name), keys.path().join(name)).unwrap();
    }
    let watched = Watched::with_keys("extends = 'demo'", keys.path());
    let key =
        || watched.sim.admin("GET", "/customers/c", "").1["public_key_pem"].as_str().unwrap().to_owned();
    let servers = key();
    let problem = watched.edit("extends = 'demo'\nkey = 'bank.pem'").unwrap_err();
    assert!(problem.contains("there is no key file \"bank.pem\""), "{problem}");
    let mut seen = vec![servers];
    for _ in 0..2 {
        // Made elsewhere, and moved there whole.
        let made = tempfile::tempdir().unwrap();
        dukcapil_fr_sim::internals::keys::read_or_generate(made.path(), 1024).unwrap();
        std::fs::copy(made.path().join("private.pem"), made.path().join("copy")).unwrap();
        std::fs::rename(made.path().join("copy"), keys.path().join("bank.pem")).unwrap();
        eventually("the reload", || watched.next().is_ok() && !seen.contains(&key()));
        seen.push(key());
    }
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
