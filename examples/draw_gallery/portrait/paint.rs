//! Drawing primitives of the portraits: shapes as signed distances, and a canvas to fill them on.

use image::{Rgb, RgbImage};

use super::{HEIGHT, WIDTH};

/// A colour written as 0xRRGGBB.
pub type Colour = u32;
/// A position relative to the middle of the face, or a size, in whole pixels.
pub type Spot = (i16, i16);

/// The signed distance to an outline, in pixels: negative inside.
pub trait Shape: Fn(f32, f32) -> f32 + Copy {}
impl<F: Fn(f32, f32) -> f32 + Copy> Shape for F {}

fn real((x, y): Spot) -> (f32, f32) {
    (f32::from(x), f32::from(y))
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

pub fn ellipse(centre: Spot, radii: Spot) -> impl Shape {
    let ((cx, cy), (rx, ry)) = (real(centre), real(radii));
    move |x, y| {
        let (u, v) = ((x - cx) / rx, (y - cy) / ry);
        let reach = length(u, v);
        let slope = length(u / rx, v / ry).max(f32::MIN_POSITIVE);
        (reach - 1.0) * (reach / slope).max(rx.min(ry))
    }
}

/// A rectangle with round corners, by its centre and half its size.
pub fn slab(centre: Spot, half: Spot, corner: i16) -> impl Shape {
    let ((cx, cy), (hx, hy), corner) = (real(centre), real(half), f32::from(corner));
    move |x, y| {
        let (dx, dy) = ((x - cx).abs() - hx + corner, (y - cy).abs() - hy + corner);
        length(dx.max(0.0), dy.max(0.0)) + dx.max(dy).min(0.0) - corner
    }
}

/// A convex polygon, by its corners in clockwise order.
pub fn polygon<const N: usize>(corners: [Spot; N]) -> impl Shape {
    let sides: [_; N] = std::array::from_fn(|i| (real(corners[i]), real(corners[(i + 1) % N])));
    move |x, y| {
        let beyond = sides.map(|((ax, ay), (bx, by))| {
            ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length(bx - ax, by - ay)
        });
        beyond.into_iter().fold(f32::MIN, f32::max)
    }
}

/// Round dabs of paint (x, y, radius).
fn dabs<const N: usize>(dabs: [(f32, f32, f32); N]) -> impl Shape {
    move |x, y| dabs.iter().fold(f32::MAX, |near, (cx, cy, radius)| near.min(length(x - cx, y - cy) - radius))
}

/// A brush stroke along a curve bent towards a point, thinner at its ends.
pub fn stroke(from: Spot, bend: Spot, to: Spot, thick: i16) -> impl Shape {
    const DABS: usize = 64;
    let (from, bend, to) = (real(from), real(bend), real(to));
    dabs::<DABS>(std::array::from_fn(|i| {
        let t = i as f32 / (DABS - 1) as f32;
        let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
        let (x, y) = (a * from.0 + b * bend.0 + c * to.0, a * from.1 + b * bend.1 + c * to.1);
        (x, y, f32::from(thick) * (0.2 + 0.6 * b))
    }))
}

/// Twelve discs around an ellipse.
pub fn ring(centre: Spot, radii: Spot, disc: i16) -> impl Shape {
    let ((cx, cy), (rx, ry)) = (real(centre), real(radii));
    let directions = [(1.0, 0.0), (0.866, 0.5), (0.5, 0.866), (0.0, 1.0)];
    let quarter = dabs(directions.map(|(u, v)| (u * rx, v * ry, f32::from(disc))));
    move |x, y| quarter((x - cx).abs(), (y - cy).abs())
}

/// Half-plane in a direction from the middle of the picture.
pub fn slope(towards: Spot) -> impl Shape {
    let ((dx, dy), middle) = (real(towards), HEIGHT as f32 / 2.0 - MIDDLE.1);
    move |x, y| -(x * dx + (y - middle) * dy) / length(dx, dy)
}

/// Half-plane above a level.
pub fn above(level: i16) -> impl Shape {
    move |_, y| y - f32::from(level)
}

pub fn either(a: impl Shape, b: impl Shape) -> impl Shape {
    move |x, y| a(x, y).min(b(x, y))
}

pub fn both(a: impl Shape, b: impl Shape) -> impl Shape {
    move |x, y| a(x, y).max(b(x, y))
}

pub fn without(a: impl Shape, b: impl Shape) -> impl Shape {
    move |x, y| a(x, y).max(-b(x, y))
}

/// Smooth union: two shapes that merge where their outlines are within `reach`.
pub fn blend(a: impl Shape, b: impl Shape, reach: f32) -> impl Shape {
    move |x, y| {
        let (a, b) = (a(x, y), b(x, y));
        let close = (reach - (a - b).abs()).max(0.0);
        a.min(b) - close * close / (4.0 * reach)
    }
}

pub fn grow(shape: impl Shape, by: f32) -> impl Shape {
    move |x, y| shape(x, y) - by
}

/// A shape whose edge fades over several pixels.
pub fn soft(fade: f32, shape: impl Shape) -> impl Shape {
    move |x, y| {
        let distance = shape(x, y);
        // Past the fading edge this is a distance again, so that the tiles there are skipped.
        (distance / fade).max(distance - fade)
    }
}

/// A shape made for light from the right, mirrored if the light is on the left.
pub fn facing(light: f32, shape: impl Shape) -> impl Shape {
    move |x, y| shape(x * light, y)
}

/// A shape on the right half of the face, and its mirror image.
pub fn twin(shape: impl Shape) -> impl Shape {
    move |x, y| shape(x.abs(), y)
}

/// A shape turned by an eighth of a turn.
pub fn slanted(shape: impl Shape) -> impl Shape {
    let k = std::f32::consts::FRAC_1_SQRT_2;
    move |x, y| shape((x - y) * k, (x + y) * k)
}

/// A motif repeated all over the plane.
pub fn tiled(period: f32, motif: impl Shape) -> impl Shape {
    // Casts round towards zero: the 64 periods keep that the same direction all over the picture.
    let fold = move |v: f32| v - ((v / period + 64.5) as i32 - 64) as f32 * period;
    move |x, y| motif(fold(x), fold(y))
}

pub struct Canvas {
    pixels: Vec<[f32; 3]>,
    /// The direction that points to the right of the face.
    right: (f32, f32),
    light: f32,
}

/// Position of the middle of the face.
const MIDDLE: (f32, f32) = (WIDTH as f32 / 2.0, 205.0);
/// The side of the squares that are skipped or painted as a whole: it divides the width and the height.
const TILE: usize = 8;

impl Canvas {
    /// Returns a canvas of one colour, without light.
    pub fn new(ground: Colour) -> Self {
        let pixels = vec![channels(ground); (WIDTH * HEIGHT) as usize];
        Canvas { pixels, right: (1.0, 0.0), light: 0.0 }
    }

    /// Lights what is painted from now on, brighter towards the right when `side` is positive.
    pub fn light_from(&mut self, side: f32) {
        self.light = side;
    }

    /// Tilts what is painted from now on.
    pub fn lean(&mut self, slope: f32) {
        let hypotenuse = length(1.0, slope);
        self.right = (1.0 / hypotenuse, slope / hypotenuse);
    }

    pub fn fill(&mut self, shape: impl Shape, colour: Colour) {
        self.glaze(shape, colour, 1.0);
    }

    /// Paints a shape in a colour with some opacity, skipping the tiles that are far from it.
    pub fn glaze(&mut self, shape: impl Shape, colour: Colour, opacity: f32) {
        // Far from an outline its distance is only an estimate: hence more than the diagonal of a tile.
        const FAR: f32 = 3.0 * TILE as f32;
        let colour = channels(colour);
        for top in (0..HEIGHT).step_by(TILE) {
            for left in (0..WIDTH).step_by(TILE) {
                let (x, y) = self.place(left, top);
                if shape(x, y) < FAR {
                    self.glaze_tile((left, top), shape, colour, opacity);
                }
            }
        }
    }

    fn glaze_tile(&mut self, (left, top): (u32, u32), shape: impl Shape, colour: [f32; 3], opacity: f32) {
        for (row, column) in (0..TILE * TILE).map(|i| (top + (i / TILE) as u32, left + (i % TILE) as u32)) {
            let (x, y) = self.place(column, row);
            let inside = (0.5 - shape(x, y)).clamp(0.0, 1.0);
            let cover = opacity * inside * inside * (3.0 - 2.0 * inside);
            let lit = 0.96 + 0.22 * self.light * x / MIDDLE.0;
            for (old, new) in self.pixels[(row * WIDTH + column) as usize].iter_mut().zip(colour) {
                *old += (new * lit - *old) * cover;
            }
        }
    }

    /// Returns the position of a pixel relative to the middle of the tilted face.
    fn place(&self, column: u32, row: u32) -> (f32, f32) {
        let (x, y) = (column as f32 + 0.5 - MIDDLE.0, row as f32 + 0.5 - MIDDLE.1);
        let (cos, sin) = self.right;
        (x * cos + y * sin, y * cos - x * sin)
    }

    pub fn develop(self) -> RgbImage {
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let pixel = self.pixels[(y * WIDTH + x) as usize];
            Rgb(pixel.map(|v| (v + grain(x, y)).clamp(0.0, 255.0) as u8))
        })
    }
}

fn channels(colour: Colour) -> [f32; 3] {
    [16, 8, 0].map(|shift| (colour >> shift & 0xFF) as f32)
}

/// Deterministic noise, for the texture of a photograph.
fn grain(x: u32, y: u32) -> f32 {
    let mut hash = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
    hash = (hash ^ hash >> 15).wrapping_mul(0xC2B2_AE3D);
    (hash >> 28) as f32 / 4.0 - 1.875
}
