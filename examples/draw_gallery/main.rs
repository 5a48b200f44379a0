//! Draws the pictures of the built-in gallery: `cargo run --release --example draw_gallery -- fixtures/gallery`.

mod files;
mod portrait;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("name a directory")?);
    for (index, name) in files::FILES.iter().enumerate() {
        std::fs::write(directory.join(name), files::encode(&portrait::draw(index), name)?)?;
    }
    Ok(())
}
