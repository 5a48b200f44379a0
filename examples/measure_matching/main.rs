//! Measures the matcher: `cargo run --release --example measure_matching -- docs/explanation/matching.svg [PHOTO...]` prints the tables of
//! `docs/explanation/matching.md` and draws its plot: of the built-in gallery, of photographs that are drawn here (and of other photos, where some are
//! named), and of ten thousand strangers.

mod changes;
mod photographs;
mod plot;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use dukcapil_fr_sim::internals::config::source;
use dukcapil_fr_sim::internals::domain::evidence::PhotoFormat;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::matcher::hash::ProbeHash;
use dukcapil_fr_sim::internals::domain::matcher::score::score;
use dukcapil_fr_sim::internals::domain::matcher::{Picture, decode_small};

/// A picture, and its pixels, which the changes start from.
#[derive(Clone)]
struct Subject {
    name: String,
    pixels: image::DynamicImage,
    picture: Picture,
}

impl Subject {
    fn new(name: &str, file: Vec<u8>) -> Result<Subject, Box<dyn Error>> {
        let pixels = image::load_from_memory(&file)?;
        Ok(Subject { name: name.to_owned(), pixels, picture: Picture::new(file, &Limits::NONE)? })
    }

    /// Returns the score of a probe for this picture.
    fn score_of(&self, probe: Option<&ProbeHash>) -> f32 {
        probe.zip(self.picture.template()).map_or(0.0, |(probe, template)| score(probe.distance(template)))
    }

    fn score_beside(&self, other: &Subject) -> f32 {
        self.score_of(ProbeHash::of(other.picture.small()).as_ref())
    }
}

fn probe(file: &[u8]) -> Option<ProbeHash> {
    let format = if file.starts_with(b"\xFF\xD8") { PhotoFormat::Jpeg } else { PhotoFormat::Png };
    ProbeHash::of(&decode_small(file, format).ok()?.small)
}

/// Photographs that are drawn, at most as wide as a phone's preview, and as high.
const PHOTOGRAPHS: u64 = 40;
const SIZES: [(u32, u32); 4] = [(480, 640), (360, 480), (640, 480), (720, 960)];

/// New photos of people who are in no gallery.
const STRANGERS: u64 = 10_000;

/// The scores of one set of pictures.
struct Measured {
    /// Scores by kind of change, in order.
    same: Vec<(&'static str, Vec<f32>)>,
    different: Vec<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let plot = PathBuf::from(arguments.next().ok_or("name the plot's file, and photos")?);
    let gallery = source::built_in().into_iter().filter_map(|(path, file)| {
        let name = path.strip_prefix("gallery/").filter(|name| !name.ends_with(".toml"))?;
        Some(Subject::new(name, file.bytes.into_owned()))
    });
    let gallery = gallery.collect::<Result<Vec<_>, _>>()?;
    let drawn = (0..PHOTOGRAPHS).map(|seed| {
        let (width, height) = SIZES[seed as usize % SIZES.len()];
        let picture = photographs::photograph(seed, width, height).into();
        Subject::new(&format!("photograph {seed}"), changes::jpeg(&picture, 92))
    });
    let named = arguments.map(|path| {
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Subject::new(&name, fs::read(&path)?)
    });
    let photos = drawn.chain(named).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let (of_gallery, of_photos) = (measure(&gallery), measure(&photos));
    print_table(&of_gallery, &of_photos);
    print_strangers(&[gallery, photos].concat());
    let all = |of: fn(&Measured) -> Vec<f32>| [of(&of_gallery), of(&of_photos)].concat();
    let same = all(|set| set.same.iter().flat_map(|(_, scores)| scores.clone()).collect());
    fs::write(plot, plot::svg(&same, &all(|set| set.different.clone())))?;
    Ok(())
}

/// Compares each stranger with all pictures, and prints how the best scores are distributed.
fn print_strangers(subjects: &[Subject]) {
    let best_of = |seed: u64| {
        let picture = photographs::photograph(1_000_000 + seed, 320, 400).into();
        let file = changes::jpeg(&picture, 85);
        let probe = probe(&file);
        subjects.iter().map(|subject| subject.score_of(probe.as_ref())).fold(0.0, f32::max)
    };
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let best: Vec<f32> = thread::scope(|scope| {
        let worker =
            |first| move || (first..STRANGERS).step_by(threads as usize).map(best_of).collect::<Vec<_>>();
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(worker(first))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    let count = |from: f32| best.iter().filter(|score| **score >= from).count();
    println!(
        "{} strangers, each against {} pictures: highest {:.2}; {} score 2 or more, {} score 4 or more, {} score 5 or more",
        best.len(),
        subjects.len(),
        best.iter().copied().fold(0.0, f32::max),
        count(2.0),
        count(4.0),
        count(5.0)
    );
}

fn measure(subjects: &[Subject]) -> Measured {
    let mut same: Vec<(&'static str, Vec<f32>)> = Vec::new();
    for change in changes::all() {
        if same.last().is_none_or(|(kind, _)| *kind != change.kind) {
            same.push((change.kind, Vec::new()));
        }
        for subject in subjects {
            let found = subject.score_of(probe(&change.apply(&subject.pixels)).as_ref());
            if found <= 7.0 {
                println!("{}, {} {}: {found:.2}", subject.name, change.kind, change.name);
            }
            same.last_mut().into_iter().for_each(|(_, scores)| scores.push(found));
        }
    }
    let mut different = Vec::new();
    for (index, one) in subjects.iter().enumerate() {
        for other in
            subjects.iter().enumerate().filter(|(number, _)| *number != index).map(|(_, other)| other)
        {
            different.push(one.score_beside(other));
        }
    }
    Measured { same, different }
}

fn print_table(gallery: &Measured, photos: &Measured) {
    println!("| | gallery: lowest | mean | highest | photographs: lowest | mean | highest |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for ((kind, portraits), (_, photos)) in gallery.same.iter().zip(&photos.same) {
        println!("| {kind} | {} | {} |", summary(portraits), summary(photos));
    }
    println!("| **different pictures** | {} | {} |", summary(&gallery.different), summary(&photos.different));
}

fn summary(scores: &[f32]) -> String {
    if scores.is_empty() {
        return "- | - | -".to_owned();
    }
    let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = scores.iter().copied().fold(0.0, f32::max);
    let mean = scores.iter().sum::<f32>() / scores.len() as f32;
    format!("{lowest:.2} | {mean:.2} | {highest:.2}")
}
