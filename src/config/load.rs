//! Loads all fixtures or none: the built-in files, overlaid by those of a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::built_rules::BuiltRules;
use super::document::{ParsedFile, parse};
use super::extends::{SpecsById, chain, inherited, too_long};
use super::faces::FacesSpec;
use super::gallery::{self, Pictures};
use super::model::{CustomerSpec, PeerSource, SimulatorSpec, Synchronous};
use super::preset::StartPolicy;
use super::problem::{FieldError, Problem, field_error};
use super::resolve::{Resolver, SpecSource, attached_file, read_capacity};
use super::source::{self, Files};
use super::values::{CustomerId, PathPrefix, PathPrefixes};
use crate::base::hash::hex;
use crate::base::suggestion;
use crate::base::url::encoded;
use crate::domain::capacity::{Capacity, CapacitySpec};
use crate::domain::customer::Customer;
use crate::domain::limits::Limits;
use crate::domain::matcher::Gallery;
use crate::domain::matcher::face_engine::FaceSettings;
use crate::domain::policy::{Policy, PolicyLayers};
use crate::domain::rules::RuleSpec;
use crate::keys::KeyRing;
use crate::protocol::{OUTCOMES, Outcome};

/// Path prefixes of the document, the second with its stray space (doc 1: `http://172.16.160.176:8080/api /face-recognition`).
pub(super) const DOCUMENTED_PREFIXES: [&str; 2] = ["/api/face-recognition", "/api /face-recognition"];

/// All fixtures, resolved.
#[derive(Debug)]
pub struct Fixtures {
    pub prefixes: Vec<String>,
    pub peer: PeerSource,
    pub limits: Limits,
    /// Capacity of the shared matcher, for customers without a capacity of their own; `None`: unlimited.
    pub capacity: Option<Capacity>,
    /// Global policy; also applies to requests of unknown customers.
    pub policy: Arc<Policy>,
    /// Where the global policy comes from.
    pub policy_layers: PolicyLayers,
    pub customers: BTreeMap<String, Arc<Customer>>,
    /// Shared gallery, for every customer that does not opt out.
    pub gallery: Gallery,
    /// Picture files that the galleries reference.
    pub pictures: Pictures,
    /// Compares photos by content; if false, only identical files match.
    pub perceptual: bool,
    /// The face engine; `None`: faces are not compared.
    pub faces: Option<Arc<FaceSettings>>,
    /// Whether the store waits for the disk.
    pub is_synchronous: bool,
    /// Default number of strangers that a photo is also searched among.
    population: u64,
    pub keys: KeyRing,
    /// What is probably not meant, though it is valid.
    pub warnings: Vec<Problem>,
    /// Each customer's specification as written, without inheritance.
    specs: BTreeMap<CustomerId, CustomerSpec>,
    /// Each customer's specification with inheritance applied.
    resolved_specs: BTreeMap<CustomerId, Arc<CustomerSpec>>,
    /// Files in `customers/` that rules reference.
    attached_files: BTreeMap<String, Vec<u8>>,
    built_rules: BuiltRules,
}

/// Characters that are percent-encoded in a path.
pub(super) const IN_A_PATH: &AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?');

impl Fixtures {
    /// Returns the path of a customer's requests, under the first prefix.
    #[must_use]
    pub fn path_of(&self, customer_id: &str, methode: &str) -> String {
        let prefix = self.prefixes.first().map_or("", String::as_str);
        let prefix = utf8_percent_encode(prefix, IN_A_PATH);
        format!("{prefix}/{}/{}", encoded(customer_id), encoded(methode))
    }

    /// Returns whether a store that lasts keeps vectors of faces.
    #[must_use]
    pub fn keeps_faces(&self) -> bool {
        self.faces.as_ref().is_some_and(|faces| faces.keep)
    }

    /// Returns the error about a face engine whose vectors would stay with the replica that asked for them.
    #[must_use]
    pub fn unshared_faces(&self) -> Option<Problem> {
        let is_unshared = self.faces.is_some() && !self.keeps_faces();
        let message = "[matcher.faces] over a store that replicas share needs keep = true: the vector of an enrolled person reaches other \
                       replicas, and stays after a reconnect, only by way of the store";
        let hint = "write keep = true under [matcher.faces], and the server has the vectors from then on; or give the simulator a store of \
                    its own: --store file:PATH";
        is_unshared.then(|| Problem::of_file("simulator.toml", message).hint(hint))
    }

    /// Returns a customer's specification as written in its file, without inheritance.
    #[must_use]
    pub fn spec(&self, id: &str) -> Option<&CustomerSpec> {
        self.specs.get(id)
    }

    /// Returns a customer's specification with inheritance applied.
    #[must_use]
    pub fn resolved_spec(&self, id: &str) -> Option<&Arc<CustomerSpec>> {
        self.resolved_specs.get(id)
    }

    /// Returns the lists of rules in the files.
    pub fn rule_lists(&self) -> impl Iterator<Item = &Arc<Vec<RuleSpec>>> {
        self.specs.values().filter_map(|spec| spec.rules.as_ref())
    }

    /// Returns the error about a customer that extends more others than `limits.extends`.
    #[must_use]
    pub fn too_many_bases(&self) -> FieldError {
        field_error(&["extends"], too_long(self.limits.extends))
    }

    /// Resolves a customer of the admin API. `spec` includes everything that it inherits.
    ///
    /// # Errors
    /// All errors, each with the path of its key.
    pub fn resolve(
        &self,
        id: &CustomerId,
        spec: &CustomerSpec,
        now: Timestamp,
    ) -> Result<Customer, Vec<FieldError>> {
        self.resolver().resolve(id, spec, SpecSource::Api(now))
    }

    /// Validates `simulator` and `customers` as if files with this content overlaid the present ones. Returns the errors; their
    /// paths begin with `simulator`, or with `customers` and an id.
    #[must_use]
    pub fn validate(
        &self,
        simulator: &SimulatorSpec,
        customers: &BTreeMap<CustomerId, CustomerSpec>,
    ) -> Vec<FieldError> {
        let prefixed = |prefix: &[&str], (path, message): FieldError| {
            (prefix.iter().map(ToString::to_string).chain(path).collect(), message)
        };
        let capacity =
            simulator.capacity.as_ref().and_then(|spec| read_capacity(spec, &self.attached_files).err());
        let faces = simulator.matcher.faces.iter().filter_map(|spec| spec.resolve().err()).flatten();
        let of_simulator = capacity.into_iter().chain(faces).map(|error| prefixed(&["simulator"], error));
        let customers = self.customer_errors(customers);
        let customers = customers.into_iter().map(|(id, error)| prefixed(&["customers", id.as_str()], error));
        of_simulator.chain(customers).collect()
    }

    /// Validates these customers over the present ones. Attributes each error to the new customer that causes it: its own errors,
    /// and those of present customers that extend it.
    fn customer_errors<'a>(
        &'a self,
        new: &'a BTreeMap<CustomerId, CustomerSpec>,
    ) -> Vec<(&'a CustomerId, FieldError)> {
        let specs: SpecsById = self.specs.iter().chain(new).collect();
        let max_bases = self.limits.extends;
        let errors = |id: &CustomerId| match inherited(id, &specs, max_bases) {
            Ok(spec) => self.resolver().resolve(id, &spec, SpecSource::File).err().unwrap_or_default(),
            Err(error) => vec![error],
        };
        let own: Vec<_> =
            new.keys().flat_map(|id| errors(id).into_iter().map(move |error| (id, error))).collect();
        let wrong: BTreeSet<_> = own.iter().map(|(id, _)| *id).collect();
        let of_dependents = self.specs.keys().filter(|id| !new.contains_key(*id)).filter_map(|id| {
            let chain = chain(id, &specs, max_bases).ok()?;
            let base = *chain.iter().find(|base| new.contains_key(**base))?;
            // A base's own error is reported already.
            let is_reported = chain.iter().any(|base| wrong.contains(base));
            let (_, message) = errors(id).into_iter().next().filter(|_| !is_reported)?;
            Some((base, (Vec::new(), format!("{id} extends it and would become invalid: {message}"))))
        });
        let of_dependents: Vec<_> = of_dependents.collect();
        own.into_iter().chain(of_dependents).collect()
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            attached_files: &self.attached_files,
            policy: &self.policy,
            keys: &self.keys,
            population: self.population,
            gallery: &self.gallery,
            pictures: &self.pictures,
            max_rules: self.limits.rules,
            built_rules: &self.built_rules,
        }
    }

    /// Returns a file in `customers/` that is not a customer, by name.
    ///
    /// # Errors
    /// When it does not exist; the message suggests a similar name.
    pub fn attached_file(&self, name: &str) -> Result<Vec<u8>, String> {
        attached_file(&self.attached_files, name)
    }

    /// Returns the capacity of a customer's matcher and its owner: the customer, or `None` for the shared matcher.
    #[must_use]
    pub fn capacity_of<'a>(&'a self, customer: &'a Customer) -> Option<(Option<&'a str>, &'a Capacity)> {
        let own = customer.capacity.as_ref().map(|own| (Some(customer.id.as_str()), own));
        own.or_else(|| self.capacity.as_ref().map(|shared| (None, shared)))
    }

    /// Returns every capacity with its owner: the shared one first (`None`), then those of these customers.
    pub fn capacities<'a>(
        &'a self,
        customers: &'a [Arc<Customer>],
    ) -> impl Iterator<Item = (Option<&'a str>, &'a Capacity)> {
        let shared = self.capacity.iter().map(|capacity| (None, capacity));
        let own = customers.iter();
        shared.chain(own.filter_map(|customer| Some((Some(&*customer.id), customer.capacity.as_ref()?))))
    }

    /// Returns which gallery has a NIK, as text for a message: among those that `customer_id` searches, or among all.
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

/// Reads and resolves fixtures: the built-in ones, overlaid by those of `directory`. `start` is what the command line says about policy:
/// its preset is overridden by `simulator.toml`, its flags override that, and the customers' policies override all.
///
/// # Errors
/// All errors, file by file.
pub fn load(directory: Option<&Path>, keys: KeyRing, start: &StartPolicy) -> Result<Fixtures, Vec<Problem>> {
    let files = source::read(directory).map_err(|problem| vec![problem])?;
    resolve(&files, keys, start)
}

/// Returns where the global policy comes from. Reads no other fixture than `simulator.toml`.
///
/// # Errors
/// What is wrong with that file.
pub fn policy_layers(directory: Option<&Path>, start: &StartPolicy) -> Result<PolicyLayers, Vec<Problem>> {
    let files = source::read(directory).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let simulator = read_simulator(&files, &mut problems);
    if problems.is_empty() { Ok(start.over(&simulator.policy)) } else { Err(problems) }
}

/// Returns a digest of all fixture files, built-in ones included.
///
/// # Errors
/// When the directory or a file in it cannot be read.
pub fn digest(directory: Option<&Path>) -> Result<String, Problem> {
    let mut sha256 = Sha256::new();
    for (name, file) in source::read(directory)? {
        for part in [name.as_bytes(), &*file.bytes] {
            sha256.update((part.len() as u64).to_le_bytes());
            sha256.update(part);
        }
    }
    Ok(hex(&sha256.finalize()))
}

/// Reads the fixtures again. Reuses the decoded pictures of `before`.
///
/// # Errors
/// As [`load`].
pub fn reload(
    directory: Option<&Path>,
    start: &StartPolicy,
    before: &Fixtures,
) -> Result<Fixtures, Vec<Problem>> {
    let files = source::read(directory).map_err(|problem| vec![problem])?;
    resolve_with(&files, before.keys.clone(), start, Some(before))
}

pub(super) fn resolve(files: &Files, keys: KeyRing, start: &StartPolicy) -> Result<Fixtures, Vec<Problem>> {
    resolve_with(files, keys, start, None)
}

pub(super) fn resolve_with(
    files: &Files,
    keys: KeyRing,
    start: &StartPolicy,
    before: Option<&Fixtures>,
) -> Result<Fixtures, Vec<Problem>> {
    let mut problems = Vec::new();
    let simulator = read_simulator(files, &mut problems);
    let faces = face_settings(simulator.matcher.faces.as_ref(), files, &mut problems);
    let engine = |faces: &Option<Arc<FaceSettings>>| faces.as_ref().map(|faces| faces.engine());
    // Another engine finds other faces.
    let before = before.filter(|before| engine(&before.faces) == engine(&faces));
    let pictures = Pictures::open(files, before.map(|before| &before.pictures), faces.is_some());
    let (specs, unreadable) = read_customers(files, &mut problems);
    let gallery = gallery::shared(files, &pictures, &mut problems);
    let policy_layers = start.over(&simulator.policy);
    let policy = Arc::new(policy_layers.policy());
    let attached_files = read_attached_files(files);
    let population = simulator.population.0;
    let built_rules = BuiltRules::default();
    let resolver = Resolver {
        attached_files: &attached_files,
        policy: &policy,
        keys: &keys,
        population,
        gallery: &gallery,
        pictures: &pictures,
        max_rules: simulator.limits.rules,
        built_rules: &built_rules,
    };
    let capacity = shared_capacity(simulator.capacity.as_ref(), files, &attached_files, &mut problems);
    let (mut customers, mut resolved_specs) = (BTreeMap::new(), BTreeMap::new());
    let specs_by_id = specs.iter().map(|(id, file)| (id, &file.document.content)).collect();
    for (id, file) in &specs {
        let resolved = match inherited(id, &specs_by_id, simulator.limits.extends) {
            Ok(spec) => resolver.resolve(id, &spec, SpecSource::File).map(|customer| (customer, spec)),
            // What the customer would inherit is not known: an account that is missing here may come from there.
            Err(error) => {
                let own = resolver.resolve(id, &file.document.content, SpecSource::File).err();
                let own =
                    own.into_iter().flatten().filter(|(path, _)| !path.starts_with(&["account".to_owned()]));
                Err(std::iter::once(error).chain(own).collect())
            }
        };
        match resolved {
            Ok((customer, spec)) => {
                customers.insert(id.to_string(), Arc::new(customer));
                resolved_specs.insert(id.clone(), Arc::new(spec));
            }
            // Skips customers that extend an unreadable one: its error is reported already.
            Err(_) if extends_one_of(file, &specs, &unreadable, simulator.limits.extends) => {}
            Err(errors) => {
                let errors = errors.into_iter().filter(|(path, _)| !file.document.is_wrong(path));
                problems.extend(errors.map(|(path, message)| file.problem(&path, message)));
            }
        }
    }
    problems.sort_by_key(|problem| (problem.file.clone(), problem.position));
    if !problems.is_empty() {
        return Err(problems);
    }
    let prefixes = match simulator.prefixes {
        Some(PathPrefixes(prefixes)) => prefixes.into_iter().map(|PathPrefix(path)| path).collect(),
        None => DOCUMENTED_PREFIXES.map(str::to_owned).to_vec(),
    };
    let is_synchronous = simulator.store.synchronous == Synchronous::Full;
    let (peer, limits, perceptual) = (simulator.peer, simulator.limits, simulator.matcher.perceptual);
    let warnings = specs.values().flat_map(unknown_codes).collect();
    let specs = specs.into_iter().map(|(id, file)| (id, file.document.content)).collect();
    Ok(Fixtures {
        prefixes,
        peer,
        limits,
        capacity,
        policy,
        policy_layers,
        customers,
        gallery,
        pictures,
        perceptual,
        faces,
        is_synchronous,
        population,
        keys,
        warnings,
        specs,
        resolved_specs,
        attached_files,
        built_rules,
    })
}

/// Reads the capacity of the shared matcher. Adds errors to `problems`.
pub(super) fn shared_capacity(
    spec: Option<&CapacitySpec>,
    files: &Files,
    attached_files: &BTreeMap<String, Vec<u8>>,
    problems: &mut Vec<Problem>,
) -> Option<Capacity> {
    let capacity = read_capacity(spec?, attached_files);
    capacity.map_err(|error| problems.extend(in_simulator_file(vec![error], files))).ok()
}

/// Reads the settings of the face engine. Adds errors to `problems`.
fn face_settings(
    spec: Option<&FacesSpec>,
    files: &Files,
    problems: &mut Vec<Problem>,
) -> Option<Arc<FaceSettings>> {
    spec?.resolve().map(Arc::new).map_err(|errors| problems.extend(in_simulator_file(errors, files))).ok()
}

/// Returns errors in the settings of `simulator.toml` with their places there.
fn in_simulator_file(errors: Vec<FieldError>, files: &Files) -> Vec<Problem> {
    let Some(file) = files.get("simulator.toml") else { return Vec::new() };
    let text = String::from_utf8_lossy(&file.bytes);
    let located = |(path, message): FieldError| Problem::at(&file.shown, &text, &path, message);
    errors.into_iter().map(located).collect()
}

/// A customer's file and its parsed content.
pub(super) struct CustomerFile<'a> {
    shown: &'a str,
    document: ParsedFile<'a, CustomerSpec>,
}

impl CustomerFile<'_> {
    fn problem(&self, path: &[String], message: String) -> Problem {
        Problem::at(self.shown, self.document.text, path, message)
    }
}

pub(super) type CustomerFiles<'a> = BTreeMap<CustomerId, CustomerFile<'a>>;

/// Reads `simulator.toml`. Adds errors to `problems`.
pub(super) fn read_simulator(files: &Files, problems: &mut Vec<Problem>) -> SimulatorSpec {
    let Some(file) = files.get("simulator.toml") else { return SimulatorSpec::default() };
    parse(file, problems).map(|document| document.content).unwrap_or_default()
}

/// Reads the customers' files. Returns the customers, and the ids of those with something that cannot be read.
pub(super) fn read_customers<'a>(
    files: &'a Files,
    problems: &mut Vec<Problem>,
) -> (CustomerFiles<'a>, Vec<&'a str>) {
    let (mut specs, mut unreadable) = (CustomerFiles::new(), Vec::new());
    for (name, file) in files {
        let Some(stem) = name.strip_prefix("customers/").and_then(|name| name.strip_suffix(".toml")) else {
            continue;
        };
        let Some(document) = parse::<CustomerSpec>(file, problems) else {
            unreadable.push(stem);
            continue;
        };
        if !document.wrong.is_empty() {
            unreadable.push(stem);
        }
        let own_id = document.content.customer_id.clone();
        let own_id = own_id.filter(|_| !document.is_wrong(&["customer_id".to_owned()]));
        let id = match own_id.map_or_else(|| stem.parse(), Ok) {
            Ok(id) => id,
            Err(message) => {
                problems.push(Problem::of_file(
                    &file.shown,
                    format!("the file name is not a customer_id: {message}"),
                ));
                continue;
            }
        };
        let customer_file = CustomerFile { shown: &file.shown, document };
        if let Some(first) = specs.get(&id) {
            let message = format!("the customer_id {id} is taken by {}", first.shown);
            let hint = format!("to replace a built-in customer, name the file customers/{id}.toml");
            problems.push(customer_file.problem(&["customer_id".to_owned()], message).hint(hint));
        } else {
            specs.insert(id, customer_file);
        }
    }
    (specs, unreadable)
}

/// Warns of codes in replies that are not known and so have no message, unless the rule gives one.
fn unknown_codes(file: &CustomerFile) -> Vec<Problem> {
    let rules = file.document.content.rules.as_deref().into_iter().flatten().enumerate();
    let warning = |(index, rule): (usize, &RuleSpec)| {
        let reply = rule.reply.as_ref().filter(|reply| reply.error.is_none())?;
        let code = reply.code.as_ref().filter(|code| Outcome::find(code).is_none())?;
        let suggestion = suggestion::suffix(code.as_str(), OUTCOMES.iter().map(|outcome| outcome.code));
        let message =
            format!("the code \"{code}\" is not known, so the reply has an empty message{suggestion}");
        let path = ["rules", &index.to_string(), "reply", "code"].map(str::to_owned);
        Some(file.problem(&path, message).hint("if you mean it, write error = \"...\" beside it"))
    };
    rules.filter_map(warning).collect()
}

/// Returns whether a customer extends, directly or not, one of the unreadable customers.
pub(super) fn extends_one_of(
    file: &CustomerFile,
    specs: &CustomerFiles,
    unreadable: &[&str],
    max_bases: usize,
) -> bool {
    let mut seen = Vec::new();
    let mut next = file.document.content.extends.as_ref();
    while let Some(id) = next.filter(|id| seen.len() <= max_bases && !seen.contains(id)) {
        seen.push(id);
        next = specs.get(id).and_then(|file| file.document.content.extends.as_ref());
    }
    seen.iter().any(|id| unreadable.contains(&id.as_str()))
}

/// Returns the files in `customers/` that are not customers.
pub(super) fn read_attached_files(files: &Files) -> BTreeMap<String, Vec<u8>> {
    let attached_files =
        files.iter().filter_map(|(path, file)| Some((path.strip_prefix("customers/")?, file)));
    attached_files
        .filter(|(name, _)| !name.ends_with(".toml"))
        .map(|(name, file)| (name.to_owned(), file.bytes.to_vec()))
        .collect()
}
