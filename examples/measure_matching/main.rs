//! Measures the matcher: `cargo run --release --example measure_matching -- docs/matching.svg [PHOTO...]` prints the tables of
//! `docs/matching.md` and draws its plot. Without photos it measures only the built-in gallery.

mod changes;
mod plot;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use dukcapil_fr_sim::internals::config::source;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::matcher::hash::ProbeHash;
use dukcapil_fr_sim::internals::domain::matcher::score::score;
use dukcapil_fr_sim::internals::domain::matcher::{Picture, decode_small};

/// A picture of the gallery, and its pixels, which the changes start from.
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

    /// Returns the score of a file as a probe for this picture.
    fn score_of(&self, file: &[u8]) -> f32 {
        let print = decode_small(file, || ()).and_then(|small| ProbeHash::of(&small));
        print.zip(self.picture.template()).map_or(0.0, |(print, template)| score(print.distance(template)))
    }

    fn score_beside(&self, other: &Subject) -> f32 {
        let print = ProbeHash::of(other.picture.small());
        print.zip(self.picture.template()).map_or(0.0, |(print, template)| score(print.distance(template)))
    }
}

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
    let gallery = measure(&gallery.collect::<Result<Vec<_>, _>>()?);
    let photos = arguments.map(|path| {
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Subject::new(&name, fs::read(&path)?)
    });
    let photos = measure(&photos.collect::<Result<Vec<_>, Box<dyn Error>>>()?);
    print_table(&gallery, &photos);
    let all = |of: fn(&Measured) -> Vec<f32>| [of(&gallery), of(&photos)].concat();
    let same = all(|set| set.same.iter().flat_map(|(_, scores)| scores.clone()).collect());
    fs::write(plot, plot::svg(&same, &all(|set| set.different.clone())))?;
    Ok(())
}

fn measure(subjects: &[Subject]) -> Measured {
    let mut same: Vec<(&'static str, Vec<f32>)> = Vec::new();
    for change in changes::all() {
        if same.last().is_none_or(|(kind, _)| *kind != change.kind) {
            same.push((change.kind, Vec::new()));
        }
        for subject in subjects {
            let found = subject.score_of(&change.apply(&subject.pixels));
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
    println!("| | gallery: lowest | mean | highest | photos: lowest | mean | highest |");
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
