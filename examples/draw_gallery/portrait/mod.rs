//! The portraits of the gallery: twelve invented people, so that it contains no real person. A table lists
//! the pieces of each portrait, and each piece is painted from signed distances to simple shapes.
//! Only integer maths and exactly rounded f32 operations are used: every machine draws the same bytes.

mod paint;

use image::RgbImage;

use paint::*;

/// Number of different people.
pub const PORTRAITS: usize = 12;
/// The width of every portrait, in pixels.
pub const WIDTH: u32 = 360;
/// The height of every portrait, in pixels.
pub const HEIGHT: u32 = 480;

/// Draws one person; the index wraps around.
pub fn draw(index: usize) -> RgbImage {
    let Person { scene, head, body, face, hair } = &PEOPLE[index % PORTRAITS];
    let mut canvas = backdrop(scene);
    canvas.light_from(head.light);
    assemble(&mut canvas, head, body);
    canvas.lean(head.tilt);
    bare_head(&mut canvas, head);
    assemble(&mut canvas, head, face);
    assemble(&mut canvas, head, hair);
    canvas.develop()
}

fn assemble(canvas: &mut Canvas, head: &Head, pieces: &[Piece]) {
    for (paint, colour) in pieces {
        paint(canvas, head, *colour);
    }
}

/// A part of a portrait: how to paint it, and in which colour.
type Piece = (fn(&mut Canvas, &Head, Colour), Colour);

struct Person {
    scene: Scene,
    head: Head,
    body: &'static [Piece],
    face: &'static [Piece],
    hair: &'static [Piece],
}

/// A gradient from dark to pale towards the sun, with a soft spot of each colour.
struct Scene {
    dark: Colour,
    pale: Colour,
    sun: Spot,
    shade: Spot,
    glow: Spot,
}

struct Head {
    skin: Colour,
    /// Half the width of the skull, and of the jaw.
    skull: i16,
    jaw: i16,
    /// How far the head leans to a side: a slope.
    tilt: f32,
    /// The side the light comes from.
    light: f32,
}

const LEFT: f32 = -1.0;
const RIGHT: f32 = 1.0;

const BLACK: Colour = 0x2A2023;
const BROWN: Colour = 0x5B3218;
const GOLD: Colour = 0xFFD23F;
const ROSE: Colour = 0xB4404A;
const WHITE: Colour = 0xFFFBF4;

static PEOPLE: [Person; PORTRAITS] = [
    Person {
        scene: Scene { dark: 0x2F6F73, pale: 0xBFE3D0, sun: (3, -1), shade: (-160, 170), glow: (0, 90) },
        head: Head { skin: 0xEFC096, skull: 68, jaw: 54, tilt: 0.03, light: RIGHT },
        body: &[(torso, 0xD9647A), (dots, 0xF0A9A8)],
        face: &[(eyebrows, BLACK), (lashes, BLACK), (eyes, BROWN), (grin, ROSE)],
        hair: &[(hijab, 0xF3D9B8)],
    },
    Person {
        scene: Scene { dark: 0xA8482A, pale: 0xF9DD98, sun: (-1, -1), shade: (-160, -90), glow: (40, 90) },
        head: Head { skin: 0xC98B5C, skull: 73, jaw: 62, tilt: 0.0, light: LEFT },
        body: &[(torso, 0x6B3A1E), (parang, 0xC9964A), (collar, 0x7E4A28)],
        face: &[(eyebrows, BLACK), (eyes, BROWN), (smile, ROSE), (moustache, BLACK)],
        hair: &[(short, BLACK), (peci, 0x1E2030)],
    },
    Person {
        scene: Scene { dark: 0x33408A, pale: 0xB4CCF6, sun: (1, -1), shade: (120, -130), glow: (-120, 150) },
        head: Head { skin: 0xDDA273, skull: 74, jaw: 64, tilt: -0.04, light: LEFT },
        body: &[(torso, 0xF0B429), (crew, 0xC98A12)],
        face: &[(eyebrows, BLACK), (laughing_eyes, BLACK), (beard, 0x3A2A26), (grin, ROSE)],
        hair: &[],
    },
    Person {
        scene: Scene { dark: 0xE8784A, pale: 0xFFF0BC, sun: (1, -3), shade: (40, -70), glow: (-20, 150) },
        head: Head { skin: 0x8C5A3E, skull: 69, jaw: 56, tilt: 0.05, light: RIGHT },
        body: &[(torso, 0x1FA39A), (stripes, 0xC9E8D8), (crew, 0xF6F1DC)],
        face: &[(eyebrows, BLACK), (lashes, BLACK), (eyes, 0x3A1F10), (freckles, 0x52301F), (grin, ROSE)],
        hair: &[(afro, 0x2B1B17), (earrings, GOLD)],
    },
    Person {
        scene: Scene { dark: 0x67428F, pale: 0xEFD3F4, sun: (-3, 1), shade: (-80, -130), glow: (-160, 150) },
        head: Head { skin: 0xE6B488, skull: 71, jaw: 58, tilt: 0.0, light: LEFT },
        body: &[(torso, 0x7A3E9D), (dots, 0xB98ACB), (kebaya, 0xE7B9F0)],
        face: &[(eyebrows, 0xA7A2AD), (laughing_eyes, BLACK), (smile, ROSE)],
        hair: &[(bun, 0xB5B0BC), (short, 0xCFCBD4), (earrings, GOLD), (glasses, 0x8C2F39)],
    },
    Person {
        scene: Scene { dark: 0x257A4B, pale: 0xDCF8B8, sun: (1, 0), shade: (-140, 150), glow: (-120, -130) },
        head: Head { skin: 0xECB98C, skull: 70, jaw: 58, tilt: -0.03, light: LEFT },
        body: &[(torso, 0xE4572E), (hood, 0xB53B19)],
        face: &[(eyebrows, BLACK), (eyes, BROWN), (grin, ROSE)],
        hair: &[(short, 0x2C2430), (quiff, 0x2C2430)],
    },
    Person {
        scene: Scene { dark: 0x1C7FA8, pale: 0xFCE8B2, sun: (3, 1), shade: (20, -50), glow: (-160, 50) },
        head: Head { skin: 0xC98B5C, skull: 67, jaw: 53, tilt: 0.04, light: RIGHT },
        body: &[(torso, 0xB3174F), (kawung, 0xE89A5A), (kebaya, 0xFFC86B)],
        face: &[(eyebrows, BLACK), (lashes, BLACK), (eyes, BROWN), (smile, ROSE)],
        hair: &[(long, 0x35221C), (earrings, GOLD), (flower, WHITE)],
    },
    Person {
        scene: Scene { dark: 0x3F70AA, pale: 0xC4E6FF, sun: (-1, 1), shade: (-20, 150), glow: (120, -190) },
        head: Head { skin: 0xD8A072, skull: 69, jaw: 57, tilt: 0.02, light: LEFT },
        body: &[(torso, 0xE6E7EC), (collar, 0xF2F2F4), (tie, 0xC62839)],
        face: &[(eyebrows, BLACK), (eyes, BROWN), (smile, ROSE)],
        hair: &[(parted, 0x211A1D), (glasses, 0x22262E)],
    },
    Person {
        scene: Scene { dark: 0xDB4566, pale: 0xFFE3D3, sun: (-3, 1), shade: (-120, 110), glow: (-60, -130) },
        head: Head { skin: 0xF4CAA4, skull: 70, jaw: 55, tilt: -0.05, light: RIGHT },
        body: &[(torso, 0xEFE6D6), (stripes, 0x6D83B3), (crew, 0x2C4C8F)],
        face: &[(eyebrows, BLACK), (lashes, BLACK), (eyes, BROWN), (freckles, 0xB8794F), (grin, ROSE)],
        hair: &[(bob, 0x4A2822)],
    },
    Person {
        scene: Scene { dark: 0x8C5A2B, pale: 0xFFE59A, sun: (1, 0), shade: (160, -90), glow: (-100, -30) },
        head: Head { skin: 0x7E523C, skull: 73, jaw: 62, tilt: 0.03, light: RIGHT },
        body: &[(torso, 0x1B7F5C), (kawung, 0xC9C25A), (collar, 0x2A9A70)],
        face: &[(eyebrows, BLACK), (eyes, 0x2A150C), (beard, 0x1D1416), (grin, ROSE)],
        hair: &[(short, 0x1D1416), (curls, 0x1D1416)],
    },
    Person {
        scene: Scene { dark: 0x6E7F45, pale: 0xF6F0DD, sun: (-3, -1), shade: (-160, 90), glow: (120, -150) },
        head: Head { skin: 0xBC8156, skull: 70, jaw: 56, tilt: 0.0, light: RIGHT },
        body: &[(torso, 0x2E3A59), (stripes, 0x46557E), (lapels, 0x3B4970)],
        face: &[(eyebrows, WHITE), (laughing_eyes, BLACK), (smile, ROSE), (moustache, WHITE)],
        hair: &[(blangkon, 0x5A3217)],
    },
    Person {
        scene: Scene { dark: 0xE08A3C, pale: 0xFFF6D8, sun: (-3, 1), shade: (-80, -50), glow: (160, 50) },
        head: Head { skin: 0xD8A072, skull: 69, jaw: 55, tilt: -0.03, light: LEFT },
        body: &[(torso, 0x7C2D4F), (lapels, 0x5A1C38)],
        face: &[(eyebrows, BLACK), (lashes, BLACK), (eyes, BROWN), (grin, ROSE)],
        hair: &[(glasses, GOLD), (hijab, 0x2D5FA6)],
    },
];

fn backdrop(scene: &Scene) -> Canvas {
    let mut canvas = Canvas::new(scene.dark);
    canvas.fill(soft(460.0, slope(scene.sun)), scene.pale);
    for (spot, colour) in [(scene.shade, scene.dark), (scene.glow, scene.pale)] {
        canvas.glaze(soft(150.0, ellipse(spot, (95, 95))), colour, 0.9);
    }
    canvas
}

fn skull(head: &Head) -> impl Shape {
    blend(ellipse((0, -14), (head.skull, 82)), ellipse((0, 28), (head.jaw, 66)), 28.0)
}

fn bare_head(canvas: &mut Canvas, head: &Head) {
    let (skin, skull, ear) = (head.skin, skull(head), head.skull + 3);
    canvas.fill(twin(ellipse((ear, 10), (12, 19))), skin);
    canvas.glaze(soft(5.0, twin(ellipse((ear + 1, 10), (6, 12)))), BROWN, 0.4);
    canvas.fill(skull, skin);
    let lit = facing(head.light, ellipse((24, -16), (72, 104)));
    canvas.glaze(without(skull, soft(18.0, lit)), BROWN, 0.3);
    canvas.glaze(soft(16.0, twin(ellipse((43, 34), (18, 13)))), 0xF0625A, 0.4);
    canvas.glaze(soft(34.0, ellipse((0, -44), (34, 20))), WHITE, 0.15);
    canvas.glaze(stroke((-11, 24), (0, 36), (11, 24), 5), BROWN, 0.6);
    canvas.glaze(soft(10.0, ellipse((0, 16), (6, 9))), WHITE, 0.15);
}

fn eyebrows(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(twin(stroke((14, -27), (30, -40), (49, -25), 8)), colour);
}

fn eyes(canvas: &mut Canvas, _: &Head, iris: Colour) {
    let white = twin(ellipse((30, 0), (16, 13)));
    canvas.fill(white, WHITE);
    canvas.fill(both(white, twin(ellipse((29, 0), (11, 12)))), iris);
    canvas.fill(twin(ellipse((29, 0), (6, 6))), BLACK);
    canvas.fill(either(ellipse((33, -5), (3, 3)), ellipse((-25, -5), (3, 3))), WHITE);
    canvas.fill(twin(stroke((12, 1), (29, -26), (49, -3), 7)), BLACK);
}

fn laughing_eyes(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(twin(stroke((14, 7), (30, -16), (46, 7), 8)), colour);
}

fn lashes(canvas: &mut Canvas, _: &Head, colour: Colour) {
    let outer = stroke((40, -6), (50, -6), (54, -13), 5);
    canvas.fill(twin(either(outer, stroke((36, -9), (44, -12), (46, -18), 4))), colour);
}

fn freckles(canvas: &mut Canvas, _: &Head, colour: Colour) {
    for spot in [(34, 22), (43, 27), (51, 21), (38, 32), (12, 17)] {
        canvas.fill(twin(ellipse(spot, (2, 2))), colour);
    }
}

fn smile(canvas: &mut Canvas, _: &Head, lips: Colour) {
    canvas.fill(stroke((-26, 52), (0, 76), (26, 52), 8), lips);
    canvas.fill(twin(stroke((22, 49), (28, 49), (29, 55), 4)), lips);
}

fn grin(canvas: &mut Canvas, _: &Head, lips: Colour) {
    let open = stroke((-25, 51), (0, 75), (25, 51), 23);
    canvas.fill(grow(open, 3.0), lips);
    canvas.fill(open, 0x6E1420);
    canvas.fill(both(open, ellipse((0, 79), (16, 10))), 0xE8696B);
    canvas.fill(both(open, stroke((-25, 40), (0, 64), (25, 40), 23)), WHITE);
}

fn moustache(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(twin(stroke((-2, 41), (20, 34), (37, 51), 13)), colour);
}

fn beard(canvas: &mut Canvas, head: &Head, colour: Colour) {
    let jaw = without(grow(skull(head), 7.0), above(5));
    canvas.fill(without(jaw, ellipse((0, 0), (58, 42))), colour);
    canvas.fill(twin(stroke((-2, 44), (22, 36), (42, 56), 15)), colour);
}

/// Hair close to the skull, from the crown down to a hairline, shining where the light falls.
fn combed(canvas: &mut Canvas, head: &Head, colour: Colour, hairline: impl Shape) {
    let cap = both(without(grow(skull(head), 9.0), hairline), above(6));
    canvas.fill(cap, colour);
    shine(canvas, head, cap);
}

fn shine(canvas: &mut Canvas, head: &Head, hair: impl Shape) {
    let gloss = facing(head.light, stroke((64, -40), (46, -92), (-8, -94), 15));
    canvas.glaze(both(hair, soft(12.0, gloss)), WHITE, 0.25);
}

/// The face and the neck, which loose hair leaves free.
fn oval(head: &Head) -> impl Shape {
    // The neck does not lean with the head: a little less of it is sure to be there.
    either(both(skull(head), ellipse((0, 24), (head.jaw + 3, 84))), grow(neck(), -6.0))
}

fn short(canvas: &mut Canvas, head: &Head, colour: Colour) {
    combed(canvas, head, colour, ellipse((0, 34), (61, 96)));
}

fn parted(canvas: &mut Canvas, head: &Head, colour: Colour) {
    let hairline = either(ellipse((-40, 20), (26, 82)), ellipse((16, 42), (60, 92)));
    canvas.fill(without(ellipse((6, -76), (66, 34)), hairline), colour);
    combed(canvas, head, colour, hairline);
}

fn quiff(canvas: &mut Canvas, _: &Head, colour: Colour) {
    let wave = stroke((-46, -58), (-40, -128), (58, -100), 62);
    canvas.fill(either(wave, stroke((10, -60), (50, -84), (68, -50), 44)), colour);
    canvas.glaze(soft(6.0, stroke((-30, -72), (-26, -116), (44, -104), 7)), WHITE, 0.2);
}

fn curls(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(both(ring((0, -50), (62, 46), 20), above(-26)), colour);
}

fn afro(canvas: &mut Canvas, head: &Head, colour: Colour) {
    let cloud = either(ring((0, -34), (92, 80), 34), ellipse((0, -34), (98, 92)));
    canvas.fill(without(cloud, oval(head)), colour);
}

fn bun(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(ellipse((0, -118), (44, 38)), colour);
}

fn bob(canvas: &mut Canvas, head: &Head, colour: Colour) {
    let hair = without(slab((0, 0), (94, 106), 72), without(oval(head), above(-40)));
    canvas.fill(hair, colour);
    shine(canvas, head, hair);
}

fn long(canvas: &mut Canvas, head: &Head, colour: Colour) {
    let parting = without(oval(head), ellipse((-10, -70), (26, 44)));
    let hair = without(slab((0, 56), (98, 160), 80), either(parting, ellipse((0, 200), (40, 90))));
    canvas.fill(hair, colour);
    shine(canvas, head, hair);
}

fn peci(canvas: &mut Canvas, _: &Head, felt: Colour) {
    let crown = grow(polygon([(-58, -120), (58, -120), (72, -62), (-72, -62)]), 6.0);
    canvas.fill(crown, felt);
    canvas.glaze(without(crown, soft(6.0, above(-72))), WHITE, 0.2);
}

fn blangkon(canvas: &mut Canvas, _: &Head, cloth: Colour) {
    let hat = without(ellipse((0, -40), (79, 88)), ellipse((0, 30), (112, 84)));
    canvas.fill(hat, cloth);
    canvas.fill(both(hat, petals()), 0xE2B15B);
    canvas.fill(stroke((-78, -30), (0, -78), (78, -30), 17), cloth);
}

fn hijab(canvas: &mut Canvas, head: &Head, cloth: Colour) {
    let face = ellipse((0, 8), (head.skull - 5, 82));
    let drape = blend(ellipse((0, -14), (94, 108)), ellipse((0, 170), (132, 76)), 70.0);
    canvas.fill(without(drape, face), cloth);
    canvas.glaze(without(grow(face, 10.0), face), BROWN, 0.2);
    for (top, bottom) in [(-80, 30), (-30, 66), (10, 98)] {
        let fold = stroke((top, 96), (top + 40, 170), (bottom, 226), 8);
        canvas.glaze(both(drape, soft(7.0, facing(head.light, fold))), BLACK, 0.25);
    }
}

fn earrings(canvas: &mut Canvas, head: &Head, colour: Colour) {
    canvas.fill(twin(ellipse((head.skull + 7, 40), (8, 10))), colour);
}

fn flower(canvas: &mut Canvas, _: &Head, colour: Colour) {
    canvas.fill(ring((72, -44), (13, 13), 9), colour);
    canvas.fill(ellipse((72, -44), (10, 10)), GOLD);
}

fn glasses(canvas: &mut Canvas, head: &Head, frame: Colour) {
    let lens = twin(slab((31, 2), (25, 22), 19));
    canvas.glaze(lens, WHITE, 0.1);
    canvas.fill(without(grow(lens, 4.0), lens), frame);
    canvas.fill(stroke((-8, 0), (0, -7), (8, 0), 6), frame);
    canvas.fill(twin(stroke((57, -4), (62, -6), (head.skull + 4, -2), 5)), frame);
}

fn neck() -> impl Shape {
    slab((0, 110), (31, 60), 16)
}

fn shoulders() -> impl Shape {
    blend(slab((0, 292), (146, 132), 84), ellipse((0, 158), (62, 26)), 44.0)
}

/// Bares the skin inside an opening of the clothes, with the shadow of the chin on it.
fn bare(canvas: &mut Canvas, head: &Head, opening: impl Shape) {
    let skin = both(opening, either(neck(), shoulders()));
    canvas.fill(skin, head.skin);
    canvas.glaze(skin, BROWN, 0.08);
    canvas.glaze(both(skin, ellipse((0, 60), (head.jaw - 2, 60))), BROWN, 0.3);
}

fn torso(canvas: &mut Canvas, head: &Head, cloth: Colour) {
    bare(canvas, head, neck());
    canvas.fill(shoulders(), cloth);
    canvas.glaze(soft(12.0, twin(stroke((98, 220), (104, 250), (100, 290), 5))), BLACK, 0.25);
}

fn dots(canvas: &mut Canvas, _: &Head, ink: Colour) {
    canvas.fill(both(shoulders(), tiled(26.0, ellipse((0, 0), (4, 4)))), ink);
}

fn stripes(canvas: &mut Canvas, _: &Head, ink: Colour) {
    canvas.fill(both(shoulders(), tiled(30.0, slab((0, 0), (40, 7), 0))), ink);
}

/// Batik of four petals around a heart.
fn kawung(canvas: &mut Canvas, _: &Head, ink: Colour) {
    canvas.fill(both(shoulders(), petals()), ink);
}

fn petals() -> impl Shape {
    let across = either(twin(ellipse((11, 0), (8, 4))), ellipse((0, 0), (3, 3)));
    tiled(36.0, slanted(either(across, either(ellipse((0, 11), (4, 8)), ellipse((0, -11), (4, 8))))))
}

/// Batik of slanted blades.
fn parang(canvas: &mut Canvas, _: &Head, ink: Colour) {
    let blades = tiled(34.0, either(ellipse((0, 0), (16, 5)), slab((0, 17), (40, 2), 0)));
    canvas.fill(both(shoulders(), slanted(blades)), ink);
}

/// An opening from the shoulders down to a point.
fn slit(half_width: i16, depth: i16) -> impl Shape {
    polygon([(-half_width, 118), (half_width, 118), (0, depth)])
}

fn crew(canvas: &mut Canvas, head: &Head, trim: Colour) {
    let opening = ellipse((0, 134), (44, 30));
    canvas.fill(both(shoulders(), grow(opening, 9.0)), trim);
    bare(canvas, head, opening);
}

fn kebaya(canvas: &mut Canvas, head: &Head, trim: Colour) {
    let opening = slit(48, 206);
    canvas.fill(both(shoulders(), grow(opening, 9.0)), trim);
    bare(canvas, head, opening);
}

fn collar(canvas: &mut Canvas, head: &Head, colour: Colour) {
    bare(canvas, head, slit(36, 172));
    canvas.glaze(soft(3.0, slab((0, 240), (2, 70), 1)), BLACK, 0.4);
    let flaps = twin(polygon([(26, 118), (48, 130), (40, 192), (1, 172)]));
    canvas.glaze(grow(flaps, 2.0), BLACK, 0.3);
    canvas.fill(flaps, colour);
}

fn lapels(canvas: &mut Canvas, head: &Head, colour: Colour) {
    canvas.fill(slit(54, 262), WHITE);
    bare(canvas, head, slit(34, 168));
    canvas.fill(twin(polygon([(50, 122), (72, 160), (58, 196), (2, 272), (26, 190)])), colour);
}

fn hood(canvas: &mut Canvas, head: &Head, lining: Colour) {
    let rim = ellipse((0, 146), (86, 44));
    canvas.fill(rim, lining);
    canvas.glaze(without(rim, ellipse((0, 140), (66, 36))), WHITE, 0.2);
    bare(canvas, head, ellipse((0, 124), (31, 40)));
    canvas.fill(twin(stroke((30, 164), (36, 190), (30, 222), 6)), WHITE);
}

fn tie(canvas: &mut Canvas, _: &Head, colour: Colour) {
    let knot = polygon([(-11, 168), (11, 168), (7, 189), (-7, 189)]);
    canvas.fill(either(knot, polygon([(-7, 192), (7, 192), (18, 290), (-18, 290)])), colour);
}
