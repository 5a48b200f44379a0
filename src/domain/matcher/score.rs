//! From distance to score, on the matcher's scale: 0 to 2 are different persons, from 5 on it is the same one.

/// Score of identical pictures: the top of the scale.
pub const TOP: f32 = 20.0;

/// From this score on, two pictures show the same person: the vendor's own bound, and the 5 in `FACE_T5`.
pub const SAME_PERSON: f32 = 5.0;

/// The distance that has the score [`SAME_PERSON`]: what changed copies stay below and different pictures above.
const SAME: u32 = 48;

/// The distance from which on the score is 0.
const FAR: u32 = 96;

/// The score of a distance in bits: straight from 20 at 0 to 5 at 48, and on to 0 at 96. Never rises with the distance.
#[must_use]
pub fn score(distance: u32) -> f32 {
    // Small whole numbers until the last division: exact on every machine.
    match distance {
        0..SAME => TOP - (15 * distance) as f32 / SAME as f32,
        SAME..FAR => (5 * (FAR - distance)) as f32 / (FAR - SAME) as f32,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_from_twenty_to_nothing_and_never_rise() {
        for (distance, expected) in
            [(0, TOP), (16, 15.0), (32, 10.0), (48, SAME_PERSON), (72, 2.5), (96, 0.0), (256, 0.0)]
        {
            assert_eq!(score(distance), expected, "{distance}");
        }
        assert!((0..256).all(|distance| score(distance) >= score(distance + 1)));
        assert!((0..96).all(|distance| score(distance) > score(distance + 1)));
    }
}
