//! Draws portraits as a camera takes them, of nobody: a room, light from a side, a face with hair and clothes, texture of every size, and
//! grain. A seed makes another person in another room.

use image::{Rgb, RgbImage};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

type Colour = [f32; 3];

/// A shape with soft edges, in fractions of the picture's width.
struct Shape {
    centre: (f32, f32),
    radius: (f32, f32),
    /// 2 is an ellipse, more is nearly a rectangle.
    power: i32,
    softness: f32,
    colour: Colour,
}

impl Shape {
    /// How much of the shape is seen at a point: 0 to 1.
    fn cover(&self, x: f32, y: f32) -> f32 {
        let (across, down) = ((x - self.centre.0) / self.radius.0, (y - self.centre.1) / self.radius.1);
        let inside = 1.0 - (across.abs().powi(self.power) + down.abs().powi(self.power));
        (inside / self.softness + 0.5).clamp(0.0, 1.0)
    }
}

/// Draws one photograph.
pub fn photograph(seed: u64, width: u32, height: u32) -> RgbImage {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let tall = height as f32 / width as f32;
    let (wall, floor) = (colour(random, 30.0, 230.0), colour(random, 30.0, 230.0));
    let shapes: Vec<_> = room(random, tall).into_iter().chain(person(random, tall)).collect();
    let light = (random.random_range(-60.0..60.0_f32), random.random_range(-40.0..40.0_f32));
    let (texture, grain) = (random.random_range(3.0..14.0_f32), random.random_range(1.0..6.0_f32));
    let noise_seed = random.random::<u32>();
    RgbImage::from_fn(width, height, |column, row| {
        let (x, y) = (column as f32 / width as f32, row as f32 / width as f32);
        let mut pixel = mix(wall, floor, y / tall);
        for shape in &shapes {
            pixel = mix(pixel, shape.colour, shape.cover(x, y));
        }
        let relight = light.0 * (x - 0.5) + light.1 * (y / tall - 0.5);
        let detail: f32 =
            [2, 4, 6].iter().map(|octave| noise(column, row, *octave, noise_seed) * texture).sum();
        let grain = noise(column, row, 0, noise_seed) * grain;
        Rgb(pixel.map(|level| (level + relight + detail + grain) as u8))
    })
}

/// Furniture, windows and what else is behind a person.
fn room(random: &mut ChaCha8Rng, tall: f32) -> Vec<Shape> {
    let count = random.random_range(2..7);
    let shape = |random: &mut ChaCha8Rng| Shape {
        centre: (random.random_range(0.0..1.0), random.random_range(0.0..tall)),
        radius: (random.random_range(0.08..0.5), random.random_range(0.08..0.5)),
        power: if random.random_bool(0.7) { 8 } else { 2 },
        softness: random.random_range(0.05..0.8),
        colour: colour(random, 10.0, 245.0),
    };
    (0..count).map(|_| shape(random)).collect()
}

fn person(random: &mut ChaCha8Rng, tall: f32) -> Vec<Shape> {
    let (x, y) = (random.random_range(0.4..0.6), tall * random.random_range(0.36..0.48));
    let size = random.random_range(0.16..0.27_f32);
    let shade = random.random_range(0.45..1.0_f32);
    let skin = [235.0, 190.0, 160.0].map(|level| level * shade);
    let dark = colour(random, 5.0, 90.0);
    let oval = |centre, radius, colour| Shape { centre, radius, power: 2, softness: 0.2, colour };
    let long = random.random_range(0.6..1.8_f32);
    let mut shapes = vec![
        oval((x, y - size * 0.2 + size * long * 0.3), (size * 1.25, size * (0.9 + long * 0.5)), dark),
        Shape {
            centre: (x, tall + 0.05),
            radius: (random.random_range(0.35..0.55), tall - y - size),
            power: random.random_range(2..5),
            softness: 0.1,
            colour: colour(random, 10.0, 240.0),
        },
        oval((x, y + size * 1.2), (size * 0.45, size * 0.6), skin.map(|level| level * 0.85)),
        oval((x, y), (size, size * random.random_range(1.2..1.45)), skin),
        oval((x, y - size * random.random_range(0.8..1.2)), (size * 1.05, size * 0.55), dark),
    ];
    let apart = size * random.random_range(0.34..0.48);
    for eye in [x - apart, x + apart] {
        shapes.push(oval((eye, y - size * 0.05), (size * 0.16, size * 0.08), dark.map(|level| level * 0.5)));
        shapes.push(oval((eye, y - size * 0.28), (size * 0.24, size * 0.05), dark));
    }
    shapes.push(oval(
        (x, y + size * 0.62),
        (size * random.random_range(0.2..0.4), size * 0.09),
        [150.0, 70.0, 70.0],
    ));
    shapes
}

fn colour(random: &mut ChaCha8Rng, from: f32, to: f32) -> Colour {
    let level = random.random_range(from..to);
    [(); 3].map(|()| (level + random.random_range(-30.0..30.0_f32)).clamp(0.0, 255.0))
}

fn mix(one: Colour, other: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| one[channel] * (1.0 - share) + other[channel] * share)
}

/// Smooth noise from -1 to 1, whose points are 2^octave pixels apart.
fn noise(x: u32, y: u32, octave: u32, seed: u32) -> f32 {
    let (left, top, size) = (x >> octave, y >> octave, (1 << octave) as f32);
    let [across, down] = [(x, left), (y, top)].map(|(at, cell)| (at - (cell << octave)) as f32 / size);
    let point = |x: u32, y: u32| {
        let mut hash = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ (octave << 24 ^ seed);
        hash = (hash ^ hash >> 15).wrapping_mul(0xC2B2_AE3D);
        hash = (hash ^ hash >> 13).wrapping_mul(0x27D4_EB2F);
        (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let line = |y: u32| point(left, y) * (1.0 - across) + point(left + 1, y) * across;
    line(top) * (1.0 - down) + line(top + 1) * down
}
