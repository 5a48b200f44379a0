//! Maps hash distance to score, on the matcher's scale: 0 to 2 means different persons, 5 or more the same person.

/// Score of identical pictures: the top of the scale.
pub const TOP: f32 = 20.0;

/// Min score at which two pictures show the same person: the vendor's own bound, and the 5 in `FACE_T5`.
pub const SAME_PERSON: f32 = 5.0;

/// Distance in bits that scores [`SAME_PERSON`]: modified copies stay below it, different pictures above.
const SAME_PERSON_DISTANCE: u32 = 32;

/// Min distance in bits that scores 0.
const ZERO_SCORE_DISTANCE: u32 = 64;

/// Returns the score of a distance in bits: linear from 20 at 0 to 5 at 32, then linear to 0 at 64. Never rises with the distance.
#[must_use]
pub fn score(distance: u32) -> f32 {
    // Small integers until the last division, so the result is the same on every machine.
    match distance {
        0..SAME_PERSON_DISTANCE => TOP - (15 * distance) as f32 / SAME_PERSON_DISTANCE as f32,
        SAME_PERSON_DISTANCE..ZERO_SCORE_DISTANCE => {
            (5 * (ZERO_SCORE_DISTANCE - distance)) as f32
                / (ZERO_SCORE_DISTANCE - SAME_PERSON_DISTANCE) as f32
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_from_twenty_to_zero_and_never_rise() {
        for (distance, expected) in
            [(0, TOP), (16, 12.5), (24, 8.75), (32, SAME_PERSON), (48, 2.5), (64, 0.0), (224, 0.0)]
        {
            assert_eq!(score(distance), expected, "{distance}");
        }
        assert!((0..224).all(|distance| score(distance) >= score(distance + 1)));
        assert!((0..64).all(|distance| score(distance) > score(distance + 1)));
    }
}
