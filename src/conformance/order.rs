//! Which check is answered first: the defects of a call, and what its code says about them. The search for the whole order strikes out one
//! answer after another: n checks need n - 1 calls, and no strategy needs fewer.

use super::call_spec::{Alteration, CallField, CallSpec};
use super::pictures::TestImage;
use crate::domain::policy::Check;

/// The checks that a defect of a request can fail. Quota and capacity are states.
pub const DEFECTS: [Check; 6] =
    [Check::Parameters, Check::Decryption, Check::Account, Check::Ip, Check::Threshold, Check::Image];

/// An address that is reserved for documentation, so in no allow list (RFC 5737).
const FOREIGN_IP: &str = "192.0.2.1";

/// A request with these defects.
#[must_use]
pub fn with_defects(set: &[Check]) -> CallSpec {
    CallSpec::but(DEFECTS.iter().filter(|check| set.contains(check)).map(|check| match check {
        Check::Parameters => Alteration::Without(CallField::TransactionSource),
        Check::Decryption => Alteration::Undecryptable(CallField::UserId),
        // With an unreadable user_id only the password is left to be wrong.
        Check::Account if set.contains(&Check::Decryption) => Alteration::MadeUpPassword,
        Check::Account => Alteration::MadeUpAccount,
        Check::Ip => Alteration::Text(CallField::Ip, FOREIGN_IP.to_owned()),
        Check::Threshold => Alteration::Text(CallField::Threshold, "21".to_owned()),
        Check::Image | Check::Quota | Check::Capacity => Alteration::Image(TestImage::NotAnImage),
    }))
}

/// What a code says about which of the defects came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Check(Check),
    /// parameters or image: both are answered 5004.
    ParametersOrImage,
    /// None of the defects has this code.
    None,
}

/// Reads a code.
#[must_use]
pub fn first_of(set: &[Check], code: &str) -> First {
    let has = |check| set.contains(&check);
    let check = match code {
        "5004" if has(Check::Parameters) && has(Check::Image) => return First::ParametersOrImage,
        "5004" if has(Check::Parameters) => Check::Parameters,
        "5004" => Check::Image,
        "5006" => Check::Decryption,
        "5001" => Check::Account,
        "5003" => Check::Ip,
        "5005" => Check::Threshold,
        "6014" | "6018" | "6019" => return First::None,
        other if other.starts_with('6') => Check::Image,
        _ => return First::None,
    };
    if has(check) { First::Check(check) } else { First::None }
}

/// Finds the order of the defects' checks with calls that `ask` makes; it returns the code, or `None` for an answer that was lost.
/// Returns `None` when an answer was lost or is not that of any defect.
///
/// # Errors
/// Those of `ask`.
pub fn eliminate<E>(
    mut ask: impl FnMut(&[Check]) -> Result<Option<String>, E>,
) -> Result<Option<Vec<Check>>, E> {
    let (mut left, mut order) = (DEFECTS.to_vec(), Vec::new());
    let mut strike = |left: &mut Vec<Check>, check: Check| {
        left.retain(|other| *other != check);
        order.push(check);
    };
    while left.len() > 1 {
        let Some(code) = ask(&left)? else { return Ok(None) };
        match first_of(&left, &code) {
            First::None => return Ok(None),
            First::Check(check) => strike(&mut left, check),
            // Nothing tells these two apart, and no answer depends on it.
            First::ParametersOrImage if left.len() == 2 => strike(&mut left, Check::Parameters),
            First::ParametersOrImage => {
                let others: Vec<_> =
                    left.iter().copied().filter(|check| *check != Check::Parameters).collect();
                let Some(code) = ask(&others)? else { return Ok(None) };
                match first_of(&others, &code) {
                    // The same code again: the image was first, or nothing tells the two apart.
                    First::Check(Check::Image) if code == "5004" => strike(&mut left, Check::Image),
                    First::Check(check) => {
                        strike(&mut left, Check::Parameters);
                        strike(&mut left, check);
                    }
                    First::ParametersOrImage | First::None => return Ok(None),
                }
            }
        }
    }
    order.extend(left);
    Ok(Some(order))
}

/// Finds the place of the quota in a known order of the others, in the exhausted state: the expected place first, then by halves.
/// `is_before` asks whether a check is answered before the quota; `None`: not told. Returns how many of the others stand before it.
///
/// # Errors
/// Those of `is_before`.
pub fn place_of_quota<E>(
    others: &[Check],
    expected: usize,
    mut is_before: impl FnMut(Check) -> Result<Option<bool>, E>,
) -> Result<Option<usize>, E> {
    let (mut low, mut high) = (0, others.len());
    let mut guesses = vec![expected.wrapping_sub(1), expected];
    while low < high {
        let guess = guesses.pop().filter(|index| (low..high).contains(index));
        // The account costs a failed login, so it is asked only where nothing else is left.
        let index = guess.unwrap_or_else(|| {
            let middle = low + (high - low) / 2;
            let near = [middle, middle.wrapping_sub(1), middle + 1];
            let free = |index: &usize| (low..high).contains(index) && others[*index] != Check::Account;
            near.into_iter().find(free).unwrap_or(middle)
        });
        match is_before(others[index])? {
            Some(true) => low = index + 1,
            Some(false) => high = index,
            None => return Ok(None),
        }
    }
    Ok(Some(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All orders of these checks.
    fn orders(checks: &[Check]) -> Vec<Vec<Check>> {
        if checks.is_empty() {
            return vec![Vec::new()];
        }
        let behind = |first: &Check| {
            let others: Vec<_> = checks.iter().copied().filter(|check| check != first).collect();
            orders(&others)
                .into_iter()
                .map(|mut order| {
                    order.insert(0, *first);
                    order
                })
                .collect::<Vec<_>>()
        };
        checks.iter().flat_map(behind).collect()
    }

    fn code(check: Check, bad_image: &str) -> &str {
        match check {
            Check::Parameters => "5004",
            Check::Decryption => "5006",
            Check::Account => "5001",
            Check::Ip => "5003",
            Check::Threshold => "5005",
            _ => bad_image,
        }
    }

    #[test]
    fn every_order_is_found_with_one_account_failure_and_at_most_eight_calls() {
        for bad_image in ["5004", "6015"] {
            let mut total = 0;
            for hidden in orders(&DEFECTS) {
                let (mut calls, mut failures) = (0, 0);
                let found = eliminate(|set: &[Check]| -> Result<_, ()> {
                    calls += 1;
                    let first = hidden.iter().find(|check| set.contains(check)).unwrap();
                    failures += u32::from(*first == Check::Account);
                    Ok(Some(code(*first, bad_image).to_owned()))
                });
                let found = found.unwrap().unwrap();
                assert!(answers_alike(&found, &hidden, bad_image), "{hidden:?} was taken for {found:?}");
                assert!(
                    (5..=8).contains(&calls) && failures <= 1,
                    "{hidden:?}: {calls} calls, {failures} failures"
                );
                total += calls;
            }
            assert!(total < 720 * 7, "mean {}", f64::from(total) / 720.0);
        }
    }

    /// Whether two orders give the same code for every set of defects.
    fn answers_alike(a: &[Check], b: &[Check], bad_image: &str) -> bool {
        (1..1u32 << DEFECTS.len()).all(|set| {
            let has = |check: &&Check| set >> DEFECTS.iter().position(|one| one == *check).unwrap() & 1 == 1;
            let first =
                |order: &[Check]| order.iter().find(has).map(|check| code(*check, bad_image).to_owned());
            first(a) == first(b)
        })
    }

    #[test]
    fn the_default_order_takes_five_calls() {
        let mut calls = 0;
        let found = eliminate(|set: &[Check]| -> Result<_, ()> {
            calls += 1;
            Ok(DEFECTS.iter().find(|check| set.contains(check)).map(|check| code(*check, "5004").to_owned()))
        });
        assert_eq!((found.unwrap().unwrap(), calls), (DEFECTS.to_vec(), 5));
    }

    #[test]
    fn a_lost_or_foreign_answer_ends_the_search() {
        for code in [None, Some("6018"), Some("9002"), Some("")] {
            let found = eliminate(|_: &[Check]| -> Result<_, ()> { Ok(code.map(str::to_owned)) });
            assert_eq!(found, Ok(None), "{code:?}");
        }
        assert_eq!(eliminate(|_| Err(7)), Err(7));
    }

    #[test]
    fn the_quota_is_placed_with_two_calls_if_right_and_four_at_most() {
        for expected in 0..=6 {
            for place in 0..=6 {
                let mut calls = 0;
                let found = place_of_quota(&DEFECTS, expected, |check| -> Result<_, ()> {
                    calls += 1;
                    Ok(Some(DEFECTS.iter().position(|one| *one == check).unwrap() < place))
                });
                assert_eq!(found, Ok(Some(place)));
                assert!(calls <= if expected == place { 2 } else { 5 }, "{expected} {place}: {calls}");
            }
        }
        assert_eq!(place_of_quota(&DEFECTS, 2, |_| Ok::<_, ()>(None)), Ok(None));
    }
}
