//! Faces: the vectors that a user's engine makes of them, and the score of two vectors.
//!
//! The matcher's score is -log10 of its false accept rate, see [`score`](super::score). The cosines of different people are distributed
//! about normally, with a mean and a deviation that belong to the engine's model. So the score of a cosine is -log10 of the upper tail of
//! that distribution: how rarely a stranger reaches the cosine.

use std::f64::consts::{LOG10_E, TAU};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::score::TOP;
use crate::base::from_text::{deserialize_from_text, serialize_as_text};
use crate::protocol::Code;

/// Max numbers of a vector; the longest of known models has 4096.
pub const MAX_NUMBERS: usize = 8192;

/// Vector of a face, of length 1. Biometric data: it is in memory only, unless the user wants it kept, and is never shown.
#[derive(Clone, PartialEq)]
pub struct FaceVector(Arc<[f32]>);

// A derived Debug would print it.
impl fmt::Debug for FaceVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaceVector({} numbers)", self.numbers())
    }
}

impl FaceVector {
    /// Returns the vector in this direction.
    ///
    /// # Errors
    /// When it has no direction, or is too long, with the reason; its subject is "the vector".
    pub fn new(values: &[f64]) -> Result<FaceVector, String> {
        if values.len() > MAX_NUMBERS {
            return Err(format!("the vector has {} numbers, the maximum is {MAX_NUMBERS}", values.len()));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err("the vector has something that is not a finite number".to_owned());
        }
        // Scaled first, so that no square overflows.
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if largest == 0.0 {
            return Err("the vector is nothing but zeros".to_owned());
        }
        let length = values.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
        Ok(FaceVector(values.iter().map(|value| (value / largest / length) as f32).collect()))
    }

    /// Reads a vector from an engine's answer: a list of numbers. `None`: an empty list.
    ///
    /// # Errors
    /// What else it is, with the reason; its subject is "the vector".
    pub fn read(value: &Value) -> Result<Option<FaceVector>, String> {
        let kind = match value {
            Value::Array(list) if list.is_empty() => return Ok(None),
            Value::Array(list) => {
                let wrong = list.iter().position(|number| number.as_f64().is_none());
                if let Some(at) = wrong {
                    return Err(format!(
                        "element {at} of the vector is {}, not a number",
                        kind_of(&list[at])
                    ));
                }
                let values: Vec<_> = list.iter().filter_map(Value::as_f64).collect();
                return FaceVector::new(&values).map(Some);
            }
            other => kind_of(other),
        };
        Err(format!("the vector is {kind}, not a list of numbers"))
    }

    /// Returns the number of its numbers.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.0.len()
    }

    /// Returns the cosine of the angle with a known vector of the same engine, -1 to 1.
    ///
    /// # Errors
    /// When they are of different lengths: one of the two is not of this engine. The subject is the engine.
    pub fn cosine(&self, known: &FaceVector) -> Result<f64, String> {
        if self.numbers() != known.numbers() {
            return Err(format!(
                "it gives a vector of {} numbers, but one of an enrolled picture has {}; if another model answers there now, DELETE /gallery, start the simulator again, and enrol the people again",
                self.numbers(),
                known.numbers()
            ));
        }
        // In one order, so that the sum is the same on every machine.
        Ok(self.0.iter().zip(&*known.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
    }

    /// Returns the numbers as bytes, to be stored.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Returns the vector of stored bytes; `None` when they are not those of a vector.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<FaceVector> {
        let (values, rest) = bytes.as_chunks::<4>();
        let values: Vec<_> = values.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect();
        FaceVector::new(&values).ok().filter(|_| rest.is_empty())
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Which engine, asked how, made a vector: vectors of different engines are not compared.
pub type FaceEngineId = [u8; 16];

/// What an engine found in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFace {
    pub engine: FaceEngineId,
    /// `None`: no face.
    pub vector: Option<FaceVector>,
}

/// Distribution of the cosines between different people, for one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StrangersTable")]
pub struct Strangers {
    /// -1 to 1.
    pub mean: f64,
    /// Above 0, at most 1.
    pub deviation: f64,
}

/// [`Strangers`] as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Strangers")]
struct StrangersTable {
    /// Mean of the cosines.
    #[schemars(range(min = -1, max = 1), example = 0.09)]
    mean: f64,
    /// Standard deviation of the cosines.
    #[schemars(range(min = 0, max = 1), example = 0.088)]
    deviation: f64,
}

impl TryFrom<StrangersTable> for Strangers {
    type Error = String;

    fn try_from(StrangersTable { mean, deviation }: StrangersTable) -> Result<Strangers, String> {
        if !(-1.0..=1.0).contains(&mean) {
            return Err(format!("mean is -1 to 1, as a cosine is, not {mean}"));
        }
        if deviation <= 0.0 || deviation > 1.0 {
            return Err(format!("deviation is above 0 and at most 1, not {deviation}"));
        }
        Ok(Strangers { mean, deviation })
    }
}

impl Strangers {
    /// Returns the score of a cosine, 0 to 20: -log10 of the share of strangers that reach it.
    #[must_use]
    pub fn score(self, cosine: f64) -> f32 {
        let score = -log10_of_upper_tail((cosine - self.mean) / self.deviation);
        score.clamp(0.0, f64::from(TOP)) as f32
    }
}

/// Deviations beyond which the tail is computed by its continued fraction: before it the series is as exact, behind it subtracting from
/// one half would lose digits.
const FRACTION_FROM: f64 = 3.0;

/// Terms of the continued fraction: at [`FRACTION_FROM`], where it needs most, they give all digits of an f64.
const FRACTION_TERMS: u32 = 120;

/// Returns log10 of the share of a standard normal distribution above `z`, accurate however far in the tail.
fn log10_of_upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        let share_below = 10_f64.powf(log10_of_upper_tail(-z));
        return (-share_below).ln_1p() * LOG10_E;
    }
    let log10_of_density = -(z * z / 2.0) * LOG10_E - TAU.log10() / 2.0;
    if z < FRACTION_FROM {
        // 1/2 - density * (z + z^3/3 + z^5/15 + ...)
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term > sum * f64::EPSILON {
            odd += 2.0;
            term *= z * z / odd;
            sum += term;
        }
        return (0.5 - 10_f64.powf(log10_of_density) * sum).log10();
    }
    // density / (z + 1/(z + 2/(z + 3/(z + ...))))
    let fraction = (1..=FRACTION_TERMS).rev().fold(z, |rest, term| z + f64::from(term) / rest);
    log10_of_density - fraction.log10()
}

/// What is answered to a photo without a face that nobody is found for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NoFace {
    /// The same as when nobody reaches the threshold.
    #[default]
    Nobody,
    Code(Code),
}

impl FromStr for NoFace {
    type Err = String;

    fn from_str(text: &str) -> Result<NoFace, String> {
        match text {
            "nobody" => Ok(NoFace::Nobody),
            code => Code::new(code).map(NoFace::Code).map_err(|_| {
                format!("{code:?} is neither \"nobody\" nor a code: write one such as \"6015\"")
            }),
        }
    }
}

impl fmt::Display for NoFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFace::Nobody => f.write_str("nobody"),
            NoFace::Code(code) => code.fmt(f),
        }
    }
}

deserialize_from_text!(NoFace);
serialize_as_text!(NoFace);

/// The face of a photo to search for.
#[derive(Clone, Debug)]
pub struct ProbeFace {
    pub vector: FaceVector,
    pub engine: FaceEngineId,
    pub strangers: Strangers,
}

/// What the face engine says of a photo to search for.
#[derive(Clone, Debug, Default)]
pub enum FaceLook {
    /// No engine is configured, or the photo is a drawing of the built-in gallery.
    #[default]
    NotAsked,
    Face(ProbeFace),
    /// It finds no face.
    NoFace(NoFace),
    /// It could not be asked, or its answer cannot be used: a sentence that names it.
    Failed(Arc<str>),
}

/// What faces contributed to a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FaceResult {
    #[default]
    NotAsked,
    /// Faces were compared, but for so many pictures of enrolled people that have no vector of this engine.
    Compared {
        unknown: usize,
    },
    NoFace(NoFace),
    Failed(Arc<str>),
}

impl FaceResult {
    /// Returns the result before any gallery was searched.
    #[must_use]
    pub fn before_search(look: &FaceLook) -> FaceResult {
        match look {
            FaceLook::NotAsked => FaceResult::NotAsked,
            FaceLook::Face(_) => FaceResult::Compared { unknown: 0 },
            FaceLook::NoFace(no_face) => FaceResult::NoFace(no_face.clone()),
            FaceLook::Failed(reason) => FaceResult::Failed(Arc::clone(reason)),
        }
    }

    /// Returns the result of two galleries, searched for one face.
    #[must_use]
    pub fn and(self, other: FaceResult) -> FaceResult {
        match (self, other) {
            (FaceResult::Compared { unknown }, FaceResult::Compared { unknown: more }) => {
                FaceResult::Compared { unknown: unknown + more }
            }
            (failed @ FaceResult::Failed(_), _) | (_, failed) => failed,
        }
    }

    /// Whether the engine could not be asked, or its answer could not be used.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self, FaceResult::Failed(_))
    }

    /// Returns what is answered to the photo where nobody is found for it, if it has no face.
    #[must_use]
    pub fn no_face(&self) -> Option<&NoFace> {
        match self {
            FaceResult::NoFace(no_face) => Some(no_face),
            _ => None,
        }
    }

    /// Returns the code of that, if it is one.
    #[must_use]
    pub fn no_face_code(&self) -> Option<&Code> {
        match self.no_face()? {
            NoFace::Code(code) => Some(code),
            NoFace::Nobody => None,
        }
    }

    /// Returns the warning about a request, a sentence, if there is one.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match self {
            FaceResult::NotAsked | FaceResult::Compared { unknown: 0 } => None,
            FaceResult::Compared { unknown } => Some(without_vector(*unknown)),
            FaceResult::NoFace(_) => Some(NO_FACE_FOUND.to_owned()),
            FaceResult::Failed(reason) => Some(reason.to_string()),
        }
    }
}

/// What the engine says of a photo without a face, as a sentence.
pub const NO_FACE_FOUND: &str = "the face engine finds no face in the photo";

/// Says that enrolled pictures have no vector of the present engine.
#[must_use]
pub fn without_vector(pictures: usize) -> String {
    let (have, they_match) = if pictures == 1 { ("has", "it matches") } else { ("have", "they match") };
    format!(
        "{pictures} of the enrolled pictures {have} no vector of this face engine, so {they_match} by content only until enrolled again"
    )
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LOG10_2;

    use serde_json::json;

    use super::*;

    /// The values are -log10(erfc(z / sqrt 2) / 2), computed by the C library of Python 3.11.
    #[test]
    fn the_score_is_exact_far_in_the_tail() {
        for (z, expected) in [
            (-40.0, 0.0),
            (-5.0, 1.244_912_137_580_863_7e-7),
            (-1.0, 0.075_026_012_957_818_02),
            (0.0, LOG10_2),
            (0.5, 0.510_691_989_265_240_8),
            (1.0, 0.799_545_541_491_970_4),
            (2.0, 1.643_016_080_140_936_8),
            (2.9, 2.729_131_815_396_352_4),
            (2.999_999, 2.869_697_610_097_941_4),
            (3.0, 2.869_699_035_929_368_6),
            (3.000_001, 2.869_700_461_761_2),
            (4.0, 4.499_334_907_556_478),
            (5.0, 6.542_645_672_390_654),
            (6.0, 9.005_864_327_476_703),
            (7.0, 11.892_853_637_475_49),
            (8.0, 15.206_142_551_017_152),
            (9.0, 18.947_464_415_572_387),
            (9.4, 20.564_131_186_320_918),
        ] {
            let found = -log10_of_upper_tail(z);
            assert!((found - expected).abs() <= 1e-12 * expected.max(1.0), "{z}: {found}, not {expected}");
        }
        let tail = |tenth: i32| -log10_of_upper_tail(f64::from(tenth) / 10.0);
        assert!((-400..4000).all(|tenth| tail(tenth) <= tail(tenth + 1)), "it never falls");
        assert!(tail(20_000).is_finite());
    }

    #[test]
    fn a_score_is_0_to_20_and_never_falls_with_the_cosine() {
        let sface = Strangers { mean: 0.09, deviation: 0.088 };
        for (cosine, expected) in
            [(-1.0, 0.0), (0.09, LOG10_2 as f32), (0.53, 6.542_646), (0.706, 11.892_854), (1.0, 20.0)]
        {
            let found = sface.score(cosine);
            assert!((found - expected).abs() < 1e-5, "{cosine}: {found}");
        }
        for strangers in
            [sface, Strangers { mean: 1.0, deviation: 1.0 }, Strangers { mean: -1.0, deviation: 1e-6 }]
        {
            let scores: Vec<_> = (-100..=100).map(|part| strangers.score(f64::from(part) / 100.0)).collect();
            assert!(
                scores.is_sorted() && scores.iter().all(|score| (0.0..=TOP).contains(score)),
                "{strangers:?}"
            );
        }
    }

    #[test]
    fn a_cosine_is_that_of_the_directions() {
        let vector = |values: &[f64]| FaceVector::new(values).unwrap();
        for (a, b, expected) in [
            (&[2.0, 0.0][..], &[5.0, 0.0][..], 1.0),
            (&[2.0, 0.0], &[0.0, 0.1], 0.0),
            (&[2.0, 0.0], &[-3.0, 0.0], -1.0),
            (&[1.0, 1.0], &[1.0, 0.0], std::f64::consts::FRAC_1_SQRT_2),
            (&[1e300, 1e300], &[1e-300, 1e-300], 1.0),
        ] {
            let found = vector(a).cosine(&vector(b)).unwrap();
            assert!((found - expected).abs() < 1e-6, "{a:?} {b:?}: {found}");
        }
        assert!(vector(&[1.0]).cosine(&vector(&[1.0, 0.0])).is_err());
    }

    #[test]
    fn only_lists_of_numbers_with_a_direction_are_vectors() {
        assert_eq!(FaceVector::read(&json!([3, 4.0])), FaceVector::new(&[0.6, 0.8]).map(Some));
        assert_eq!(FaceVector::read(&json!([])), Ok(None));
        for (value, reason) in [
            (json!(null), "the vector is null, not a list of numbers"),
            (json!("[1]"), "the vector is a text, not a list of numbers"),
            (json!({}), "the vector is an object, not a list of numbers"),
            (json!(1.5), "the vector is a number, not a list of numbers"),
            (json!([1, null]), "element 1 of the vector is null, not a number"),
            (json!([[1]]), "element 0 of the vector is a list, not a number"),
            (json!([0, 0.0]), "the vector is nothing but zeros"),
            (json!(vec![1; MAX_NUMBERS + 1]), "the vector has 8193 numbers, the maximum is 8192"),
        ] {
            assert_eq!(FaceVector::read(&value), Err(reason.to_owned()));
        }
        for odd in [f64::NAN, f64::INFINITY] {
            assert!(FaceVector::new(&[1.0, odd]).unwrap_err().contains("not a finite number"));
        }
    }

    #[test]
    fn a_vector_is_stored_and_not_shown() {
        let vector = FaceVector::new(&[0.25, -0.5, 0.125]).unwrap();
        let again = FaceVector::of_bytes(&vector.bytes()).unwrap();
        assert!((vector.cosine(&again).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(format!("{vector:?}"), "FaceVector(3 numbers)");
        for wrong in [&[][..], &[0; 4], &[1, 2, 3], &[0, 0, 0, 63, 1]] {
            assert_eq!(FaceVector::of_bytes(wrong), None, "{wrong:?}");
        }
    }
}
