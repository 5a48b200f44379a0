//! Loads fixtures as a whole or not at all: built-in files, and over them those of a directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::extends::{SpecsById, chain, inherited};
use super::gallery::{self, Pictures};
use super::model::{CustomerSpec, PeerSource, SimulatorSpec};
use super::problem::{FieldError, Problem};
use super::resolve::{Resolver, SpecSource, attached_file, read_capacity};
use super::source::{self, File, Files, parse};
use super::values::{CustomerId, PathPrefix, PathPrefixes};
use crate::domain::capacity::{Capacity, CapacitySpec};
use crate::domain::customer::Customer;
use crate::domain::limits::Limits;
use crate::domain::matcher::Gallery;
use crate::domain::policy::{Policy, PolicySpec};
use crate::keys::KeyRing;

/// The prefixes of the document, one with its stray blank (doc 1: `http://172.16.160.176:8080/api /face-recognition`).
pub(super) const DOCUMENTED_PREFIXES: [&str; 2] = ["/api/face-recognition", "/api /face-recognition"];

/// Everything the fixtures say, resolved.
#[derive(Debug)]
pub struct Fixtures {
    pub prefixes: Vec<String>,
    pub peer: PeerSource,
    pub limits: Limits,
    /// Of the matcher that customers without one of their own share; `None`: no limit.
    pub capacity: Option<Capacity>,
    /// The global policy, also of unknown customers.
    pub policy: Policy,
    pub customers: BTreeMap<String, Arc<Customer>>,
    /// Who is found for every customer that does not say otherwise.
    pub gallery: Gallery,
    /// The files beside the galleries, which these name.
    pub pictures: Pictures,
    /// Whether photos are compared by content, or by their files alone.
    pub perceptual: bool,
    /// Among how many strangers a photo is searched, for customers that do not say.
    population: u64,
    pub keys: KeyRing,
    /// What the files say of each customer, before anything is inherited.
    specs: BTreeMap<CustomerId, CustomerSpec>,
    /// The same with everything that they inherit.
    resolved_specs: BTreeMap<CustomerId, Arc<CustomerSpec>>,
    /// Files beside the customers', which rules name.
    attached_files: BTreeMap<String, Vec<u8>>,
}

/// What cannot stand in a path as it is.
pub(super) const IN_A_PATH: &AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?');

impl Fixtures {
    /// The path of a customer's requests, under the first prefix.
    #[must_use]
    pub fn path_of(&self, customer_id: &str, methode: &str) -> String {
        let prefix = self.prefixes.first().map_or("", String::as_str);
        utf8_percent_encode(&format!("{prefix}/{customer_id}/{methode}"), IN_A_PATH).to_string()
    }

    /// What the files say of a customer, without what it inherits.
    #[must_use]
    pub fn spec(&self, id: &str) -> Option<&CustomerSpec> {
        self.specs.get(id)
    }

    /// What the files say of a customer, with everything that it inherits.
    #[must_use]
    pub fn resolved_spec(&self, id: &str) -> Option<&Arc<CustomerSpec>> {
        self.resolved_specs.get(id)
    }

    /// Resolves a customer that is put over the admin API. `spec` has everything that it inherits.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn resolve(
        &self,
        id: &CustomerId,
        spec: &CustomerSpec,
        now: Timestamp,
    ) -> Result<Customer, FieldError> {
        self.resolver().resolve(id, spec, SpecSource::OverApi(now))
    }

    /// What would be wrong with files that say this, over those that there are; paths begin with `simulator` or with `customers`
    /// and an id.
    #[must_use]
    pub fn validate(
        &self,
        simulator: &SimulatorSpec,
        customers: &BTreeMap<CustomerId, CustomerSpec>,
    ) -> Vec<FieldError> {
        let below = |place: &[&str], (path, message): FieldError| {
            (place.iter().map(ToString::to_string).chain(path).collect(), message)
        };
        let capacity =
            simulator.capacity.as_ref().and_then(|spec| read_capacity(spec, &self.attached_files).err());
        let capacity = capacity.map(|wrong| below(&["simulator"], wrong));
        let customers = self.wrong_with(customers);
        let customers = customers.into_iter().map(|(id, wrong)| below(&["customers", id.as_str()], wrong));
        capacity.into_iter().chain(customers).collect()
    }

    /// What would be wrong with these customers, and whose fault it is: its own, or that of the one of these that it extends.
    fn wrong_with<'a>(
        &'a self,
        new: &'a BTreeMap<CustomerId, CustomerSpec>,
    ) -> Vec<(&'a CustomerId, FieldError)> {
        let words: SpecsById = self.specs.iter().chain(new).collect();
        let wrong = |id: &CustomerId| {
            let spec = inherited(id, &words);
            spec.and_then(|spec| self.resolver().resolve(id, &spec, SpecSource::InFile)).err()
        };
        let own: BTreeMap<_, _> = new.keys().filter_map(|id| Some((id, wrong(id)?))).collect();
        let of_a_base = self.specs.keys().filter(|id| !new.contains_key(*id)).filter_map(|id| {
            let chain = chain(id, &words).ok()?;
            let base = *chain.iter().find(|base| new.contains_key(**base))?;
            // What is wrong with a base itself is told already.
            let (_, message) = wrong(id).filter(|_| !chain.iter().any(|base| own.contains_key(base)))?;
            Some((base, (Vec::new(), format!("{id} extends it, and would be wrong: {message}"))))
        });
        let of_a_base: Vec<_> = of_a_base.collect();
        own.into_iter().chain(of_a_base).collect()
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            attached_files: &self.attached_files,
            policy: &self.policy,
            keys: &self.keys,
            population: self.population,
            gallery: &self.gallery,
            pictures: &self.pictures,
        }
    }

    /// A file beside the customers', by its name.
    ///
    /// # Errors
    /// When there is none; the message proposes the one that was meant.
    pub fn attached_file(&self, name: &str) -> Result<Vec<u8>, String> {
        attached_file(&self.attached_files, name)
    }

    /// The capacity of a customer's matcher, and whose matcher it is: the customer's own, or everybody's (`None`).
    #[must_use]
    pub fn capacity_of<'a>(&'a self, customer: &'a Customer) -> Option<(Option<&'a str>, &'a Capacity)> {
        let own = customer.capacity.as_ref().map(|own| (Some(customer.id.as_str()), own));
        own.or_else(|| self.capacity.as_ref().map(|shared| (None, shared)))
    }

    /// Every capacity, and whose matcher has it: the shared one first, then the own ones of these customers.
    pub fn capacities<'a>(
        &'a self,
        customers: &'a [Arc<Customer>],
    ) -> impl Iterator<Item = (Option<&'a str>, &'a Capacity)> {
        let shared = self.capacity.iter().map(|capacity| (None, capacity));
        let own = customers.iter();
        shared.chain(own.filter_map(|customer| Some((Some(&*customer.id), customer.capacity.as_ref()?))))
    }

    /// Whose gallery has a NIK, of those that one of these customers finds, or that anybody finds.
    #[must_use]
    pub fn nik_owner(
        &self,
        customers: &[Arc<Customer>],
        nik: &str,
        customer_id: Option<&str>,
    ) -> Option<String> {
        let has = |gallery: &Gallery| gallery.get(nik).is_some();
        let mut customers = customers.iter().filter(|one| customer_id.is_none_or(|id| one.id == id));
        let shared = customer_id.is_none() || customers.clone().any(|one| one.shared_gallery);
        let own = customers.find(|one| has(&one.gallery)).map(|one| format!("of the fixtures of {}", one.id));
        own.or_else(|| (shared && has(&self.gallery)).then(|| "of the fixtures".to_owned()))
    }
}

/// Reads and resolves fixtures: the built-in ones, and over them those of `directory`. `over` is what the command line says
/// about policy; it stands between `simulator.toml` and the customers' own.
///
/// # Errors
/// Everything that is wrong, file by file.
pub fn load(directory: Option<&Path>, keys: KeyRing, over: &PolicySpec) -> Result<Fixtures, Vec<Problem>> {
    let files = source::read(directory).map_err(|problem| vec![problem])?;
    resolve(&files, keys, over)
}

/// Reads fixtures again. Pictures that `before` has are not decoded again.
///
/// # Errors
/// As [`load`].
pub fn reload(
    directory: Option<&Path>,
    over: &PolicySpec,
    before: &Fixtures,
) -> Result<Fixtures, Vec<Problem>> {
    let files = source::read(directory).map_err(|problem| vec![problem])?;
    resolve_with(&files, before.keys.clone(), over, Pictures::open(&files, Some(&before.pictures)))
}

pub(super) fn resolve(files: &Files, keys: KeyRing, over: &PolicySpec) -> Result<Fixtures, Vec<Problem>> {
    resolve_with(files, keys, over, Pictures::open(files, None))
}

pub(super) fn resolve_with(
    files: &Files,
    keys: KeyRing,
    over: &PolicySpec,
    pictures: Pictures,
) -> Result<Fixtures, Vec<Problem>> {
    let mut problems = Vec::new();
    let simulator = read_simulator(files, &mut problems);
    let (specs, unreadable) = read_customers(files, &mut problems);
    let gallery = gallery::shared(files, &pictures, &mut problems);
    let policy = Policy::default().with(&simulator.policy).with(over);
    let attached_files = read_attached_files(files);
    let population = simulator.population.0;
    let resolver = Resolver {
        attached_files: &attached_files,
        policy: &policy,
        keys: &keys,
        population,
        gallery: &gallery,
        pictures: &pictures,
    };
    let capacity = shared_capacity(simulator.capacity.as_ref(), files, &attached_files, &mut problems);
    let (mut customers, mut resolved_specs) = (BTreeMap::new(), BTreeMap::new());
    let words = specs.iter().map(|(id, page)| (id, &page.spec)).collect();
    for (id, page) in &specs {
        let resolved = inherited(id, &words)
            .and_then(|spec| Ok((resolver.resolve(id, &spec, SpecSource::InFile)?, spec)));
        match resolved {
            Ok((customer, spec)) => {
                customers.insert(id.to_string(), Arc::new(customer));
                resolved_specs.insert(id.clone(), Arc::new(spec));
            }
            // What extends a customer that cannot be read is not judged: that one's problem is told already.
            Err(_) if extends_one_of(id, &specs, &unreadable) => {}
            Err((path, message)) => problems.push(page.problem(&path, message)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let prefixes = match simulator.prefixes {
        Some(PathPrefixes(prefixes)) => prefixes.into_iter().map(|PathPrefix(path)| path).collect(),
        None => DOCUMENTED_PREFIXES.map(str::to_owned).to_vec(),
    };
    let (peer, limits, perceptual) = (simulator.peer, simulator.limits, simulator.matcher.perceptual);
    let specs = specs.into_iter().map(|(id, page)| (id, page.spec)).collect();
    Ok(Fixtures {
        prefixes,
        peer,
        limits,
        capacity,
        policy,
        customers,
        gallery,
        pictures,
        perceptual,
        population,
        keys,
        specs,
        resolved_specs,
        attached_files,
    })
}

/// The capacity of the matcher that customers share.
pub(super) fn shared_capacity(
    spec: Option<&CapacitySpec>,
    files: &Files,
    attached_files: &BTreeMap<String, Vec<u8>>,
    problems: &mut Vec<Problem>,
) -> Option<Capacity> {
    match read_capacity(spec?, attached_files) {
        Ok(capacity) => Some(capacity),
        Err((path, message)) => {
            let file = files.get("simulator.toml")?;
            let text = String::from_utf8_lossy(&file.bytes);
            problems.push(Problem::at(&file.shown, &text, &path, message));
            None
        }
    }
}

/// A customer's file with what it says.
pub(super) struct CustomerFile<'a> {
    file: &'a File,
    text: &'a str,
    spec: CustomerSpec,
}

impl CustomerFile<'_> {
    fn problem(&self, path: &[String], message: String) -> Problem {
        Problem::at(&self.file.shown, self.text, path, message)
    }
}

pub(super) type CustomerFiles<'a> = BTreeMap<CustomerId, CustomerFile<'a>>;

pub(super) fn read_simulator(files: &Files, problems: &mut Vec<Problem>) -> SimulatorSpec {
    let Some(file) = files.get("simulator.toml") else { return SimulatorSpec::default() };
    parse(file, problems).map(|(_, simulator)| simulator).unwrap_or_default()
}

/// The customers, and the file stems of those that cannot be read.
pub(super) fn read_customers<'a>(
    files: &'a Files,
    problems: &mut Vec<Problem>,
) -> (CustomerFiles<'a>, Vec<&'a str>) {
    let (mut specs, mut unreadable) = (CustomerFiles::new(), Vec::new());
    for (name, file) in files {
        let Some(stem) = name.strip_prefix("customers/").and_then(|name| name.strip_suffix(".toml")) else {
            continue;
        };
        let Some((text, spec)) = parse::<CustomerSpec>(file, problems) else {
            unreadable.push(stem);
            continue;
        };
        let id = match spec.customer_id.clone().map_or_else(|| stem.parse(), Ok) {
            Ok(id) => id,
            Err(message) => {
                problems.push(Problem::of_file(
                    &file.shown,
                    format!("the file's name is no customer_id: {message}"),
                ));
                continue;
            }
        };
        let page = CustomerFile { file, text, spec };
        if let Some(first) = specs.get(&id) {
            let message = format!("the customer_id {id} is taken by {}", first.file.shown);
            let hint = format!("to replace a built-in customer, name the file customers/{id}.toml");
            problems.push(page.problem(&["customer_id".to_owned()], message).hint(hint));
        } else {
            specs.insert(id, page);
        }
    }
    (specs, unreadable)
}

pub(super) fn extends_one_of(id: &CustomerId, specs: &CustomerFiles, unreadable: &[&str]) -> bool {
    let mut seen = Vec::new();
    let mut at = Some(id);
    while let Some(id) = at.filter(|id| !seen.contains(id)) {
        seen.push(id);
        at = specs.get(id).and_then(|page| page.spec.extends.as_ref());
    }
    seen.iter().any(|id| unreadable.contains(&id.as_str()))
}

/// The files in `customers/` that are no customers.
pub(super) fn read_attached_files(files: &Files) -> BTreeMap<String, Vec<u8>> {
    let attached_files =
        files.iter().filter_map(|(path, file)| Some((path.strip_prefix("customers/")?, file)));
    attached_files
        .filter(|(name, _)| !name.ends_with(".toml"))
        .map(|(name, file)| (name.to_owned(), file.bytes.to_vec()))
        .collect()
}
