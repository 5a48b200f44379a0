//! Draws photographs as people take them of themselves, of nobody: a room with things in it, light and shadow from any side, a head of any
//! size, place, tilt and turn, with one of many kinds of hair or head cover, clothes, texture of every size, and grain. A seed makes
//! another person in another room.

use std::f32::consts::PI;

use image::{Rgb, RgbImage};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

type Colour = [f32; 3];

/// A shape with soft edges, in fractions of the picture's width.
struct Shape {
    centre: (f32, f32),
    radius: (f32, f32),
    turn: Turn,
    /// 2 is an ellipse, more is nearly a rectangle.
    power: i32,
    softness: f32,
    colour: Colour,
}

impl Shape {
    /// How much of the shape is seen at a point: 0 to 1.
    fn cover(&self, x: f32, y: f32) -> f32 {
        let (x, y) = self.turn.undo((x - self.centre.0, y - self.centre.1));
        let inside =
            1.0 - ((x / self.radius.0).abs().powi(self.power) + (y / self.radius.1).abs().powi(self.power));
        (inside / self.softness + 0.5).clamp(0.0, 1.0)
    }
}

/// A rotation: sine and cosine of its angle.
#[derive(Clone, Copy)]
struct Turn(f32, f32);

impl Turn {
    fn random(random: &mut ChaCha8Rng, most: f32) -> Turn {
        let (sine, cosine) = random.random_range(-most..most).sin_cos();
        Turn(sine, cosine)
    }

    fn apply(self, (x, y): (f32, f32)) -> (f32, f32) {
        (x * self.1 - y * self.0, x * self.0 + y * self.1)
    }

    fn undo(self, point: (f32, f32)) -> (f32, f32) {
        Turn(-self.0, self.1).apply(point)
    }
}

/// Brightness that changes along a direction.
struct Slope {
    turn: Turn,
    levels: f32,
}

impl Slope {
    fn random(random: &mut ChaCha8Rng, levels: f32) -> Slope {
        Slope { turn: Turn::random(random, PI), levels: random.random_range(0.0..levels) }
    }

    /// Distance from the picture's middle along the direction.
    fn along(&self, x: f32, y: f32) -> f32 {
        self.turn.apply((x - 0.5, y - 0.5)).0
    }
}

/// Draws one photograph.
pub fn photograph(seed: u64, width: u32, height: u32) -> RgbImage {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let tall = height as f32 / width as f32;
    let (wall, floor) = (colour(random, 20.0, 240.0), colour(random, 20.0, 240.0));
    let background = Slope::random(random, 1.0);
    // Blinds, shelves, tiles.
    let stripes = Slope::random(random, 35.0);
    let period = random.random_range(0.03..0.25_f32);
    let room = room(random, tall);
    let person = person(random, tall);
    let light = Slope::random(random, 110.0);
    let shadow = Slope::random(random, 90.0);
    let (edge, softness) = (random.random_range(-0.5..0.5_f32), random.random_range(0.02..0.5_f32));
    let (texture, grain) = (random.random_range(3.0..14.0_f32), random.random_range(1.0..6.0_f32));
    let noise_seed = random.random::<u32>();
    RgbImage::from_fn(width, height, |column, row| {
        let (x, y) = (column as f32 / width as f32, row as f32 / width as f32);
        let mut pixel = mix(wall, floor, (background.along(x, y / tall) + 0.5).clamp(0.0, 1.0));
        let stripe = (stripes.along(x, y) / period * 2.0 * PI).sin().signum() * stripes.levels;
        pixel = pixel.map(|level| level + stripe);
        for shape in room.iter().chain(&person) {
            pixel = mix(pixel, shape.colour, shape.cover(x, y));
        }
        let relight = light.levels * light.along(x, y / tall);
        let shade = ((shadow.along(x, y / tall) - edge) / softness).clamp(0.0, 1.0) * shadow.levels;
        let detail: f32 =
            [2, 4, 6].iter().map(|octave| noise(column, row, *octave, noise_seed) * texture).sum();
        let grain = noise(column, row, 0, noise_seed) * grain;
        Rgb(pixel.map(|level| (level + relight - shade + detail + grain) as u8))
    })
}

/// Furniture, windows, pictures and what else is behind a person.
fn room(random: &mut ChaCha8Rng, tall: f32) -> Vec<Shape> {
    let count = random.random_range(3..12);
    let shape = |random: &mut ChaCha8Rng| Shape {
        centre: (random.random_range(0.0..1.0), random.random_range(0.0..tall)),
        radius: (random.random_range(0.04..0.5), random.random_range(0.04..0.5)),
        turn: Turn::random(random, 0.3),
        power: if random.random_bool(0.7) { 8 } else { 2 },
        softness: random.random_range(0.05..0.8),
        colour: colour(random, 10.0, 245.0),
    };
    (0..count).map(|_| shape(random)).collect()
}

/// A head's place in the picture. Its parts are placed in heads: half of the face's width is 1.
struct Head {
    centre: (f32, f32),
    size: f32,
    tilt: Turn,
}

impl Head {
    fn part(&self, (x, y): (f32, f32), radius: (f32, f32), colour: Colour) -> Shape {
        let (x, y) = self.tilt.apply((x * self.size, y * self.size));
        Shape {
            centre: (self.centre.0 + x, self.centre.1 + y),
            radius: (radius.0 * self.size, radius.1 * self.size),
            turn: self.tilt,
            power: 2,
            softness: 0.2,
            colour,
        }
    }
}

fn person(random: &mut ChaCha8Rng, tall: f32) -> Vec<Shape> {
    let head = Head {
        centre: (random.random_range(0.3..0.7), tall * random.random_range(0.3..0.55)),
        size: random.random_range(0.12..0.32),
        tilt: Turn::random(random, 0.4),
    };
    let shade = random.random_range(0.4..1.05_f32);
    let skin = [235.0, 190.0, 160.0].map(|level| level * shade);
    let (hair, cloth, cover) =
        (colour(random, 5.0, 110.0), colour(random, 10.0, 240.0), colour(random, 10.0, 240.0));
    let long = random.random_range(1.15..1.5_f32);
    let kind = random.random_range(0..6);
    let mut shapes = Vec::new();
    let mut add = |centre, radius, colour| shapes.push(head.part(centre, radius, colour));
    match kind {
        // Long hair, wide hair, a veil.
        0 => add(
            (random.random_range(-0.3..0.3), 0.5),
            (random.random_range(1.15..1.5), random.random_range(1.6..2.8)),
            hair,
        ),
        1 => add((0.0, -0.3), (random.random_range(1.2..1.7), random.random_range(1.3..1.7)), hair),
        2 => add((0.0, 0.3), (1.35, random.random_range(1.7..2.3)), cover),
        _ => {}
    }
    let wide = random.random_range(1.5..2.8);
    add(
        (random.random_range(-0.5..0.5), 1.4 + wide),
        (wide, random.random_range(1.3..1.7) + wide / 2.0),
        cloth,
    );
    add((0.0, 1.2), (0.5, 0.7), if kind == 2 { cover } else { skin.map(|level| level * 0.85) });
    add((0.0, 0.0), (1.0, long), skin);
    // The face looks to a side, and up or down.
    let (side, up) = (random.random_range(-0.35..0.35_f32), random.random_range(-0.2..0.2_f32));
    match kind {
        // Nearly none, a cap, or any hair above the forehead.
        3 => add((0.0, -long * 0.8), (0.8, 0.3), hair),
        4 => add((side, -long * 0.85), (1.15, random.random_range(0.3..0.6)), cover),
        2 => {}
        _ => add(
            (random.random_range(-0.5..0.5), -long * random.random_range(0.65..0.95)),
            (1.0, random.random_range(0.3..0.7)),
            hair,
        ),
    }
    if random.random_bool(0.25) {
        add((side, long * 0.75), (0.7, random.random_range(0.2..0.5)), hair);
    }
    let (apart, lid) = (random.random_range(0.34..0.48), random.random_range(0.04..0.11));
    let has_glasses = random.random_bool(0.3);
    for eye in [side - apart, side + apart] {
        if has_glasses {
            add((eye, up - 0.05), (0.34, 0.28), hair);
            add((eye, up - 0.05), (0.28, 0.22), skin.map(|level| level * 0.9));
        }
        add((eye, up - 0.05), (0.16, lid), hair.map(|level| level * 0.5));
        add((eye, up - 0.35), (0.24, 0.06), hair);
    }
    add((side, up + 0.3), (random.random_range(0.1..0.2), 0.12), skin.map(|level| level * 0.8));
    add(
        (side, up + 0.68),
        (random.random_range(0.2..0.45), random.random_range(0.06..0.2)),
        [150.0, 70.0, 70.0],
    );
    if random.random_bool(0.3) {
        // A hand or a phone.
        let place = (random.random_range(-2.5..2.5), random.random_range(0.5..3.0));
        add(
            place,
            (random.random_range(0.3..0.8), random.random_range(0.4..1.0)),
            if random.random_bool(0.5) { skin } else { hair },
        );
    }
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
