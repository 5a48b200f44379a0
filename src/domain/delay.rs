//! Delays (latency): a fixed time, a random distribution, or latencies recorded in a file.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::base::duration::DurationText;
use crate::base::random::uniform;

/// `delay` as specified: a fixed time, or a table with a distribution.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DelaySpec {
    Fixed(DurationText),
    Random(Box<RandomDelay>),
}

impl<'de> Deserialize<'de> for DelaySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DelayVisitor;
        impl<'de> de::Visitor<'de> for DelayVisitor {
            type Value = DelaySpec;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a delay: \"250ms\", or a table with uniform, lognormal, normal, exponential or from",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DelaySpec, E> {
                text.parse().map(DelaySpec::Fixed).map_err(E::custom)
            }
            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<DelaySpec, M::Error> {
                let random = RandomDelay::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(DelaySpec::Random(Box::new(random)))
            }
        }
        deserializer.deserialize_any(DelayVisitor)
    }
}

/// A random delay: exactly one of these keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RandomDelay {
    /// Uniform distribution: `[min, max]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = ["100ms", "2s"])]
    pub uniform: Option<(DurationText, DurationText)>,
    /// Lognormal distribution, the typical shape of measured latencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lognormal: Option<Lognormal>,
    /// Normal distribution; negative values are set to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<Normal>,
    /// Exponential distribution, as of the time between independent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential: Option<Exponential>,
    /// CSV file of the fixture directory; the last column of each line is a duration, in milliseconds or with a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"latencies.csv")]
    pub from: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    #[schemars(example = &"800ms")]
    pub median: DurationText,
    #[schemars(example = &"4s")]
    pub p99: DurationText,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normal {
    pub mean: DurationText,
    pub sd: DurationText,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    pub mean: DurationText,
}

/// A validated delay.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    Fixed(Duration),
    Uniform(Duration, Duration),
    Lognormal {
        median: Duration,
        sigma: f64,
    },
    Normal {
        mean: Duration,
        sd: Duration,
    },
    Exponential {
        mean: Duration,
    },
    /// One of the recorded durations, each equally likely.
    Recorded(Arc<[Duration]>),
}

/// 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

/// Max delay drawn from a distribution, because its tail is unbounded.
const MAX_DELAY: Duration = Duration::from_secs(3600);

impl Delay {
    /// Validates a delay; `file` returns the text of a file of the fixture directory.
    ///
    /// # Errors
    /// When it is not exactly one distribution, a parameter is out of its range, or a file is missing or wrong.
    pub fn new(spec: &DelaySpec, file: impl Fn(&str) -> Result<String, String>) -> Result<Delay, String> {
        let random = match spec {
            DelaySpec::Fixed(DurationText(time)) => return Ok(Delay::Fixed(*time)),
            DelaySpec::Random(random) => random.as_ref(),
        };
        let RandomDelay { uniform, lognormal, normal, exponential, from } = random;
        match (uniform, lognormal, normal, exponential, from) {
            (Some((DurationText(min), DurationText(max))), None, None, None, None) if min > max => {
                Err("uniform = [min, max]: min is above max".to_owned())
            }
            (Some((DurationText(min), DurationText(max))), None, None, None, None) => {
                Ok(Delay::Uniform(*min, *max))
            }
            (None, Some(given), None, None, None) => lognormal_of(given),
            (None, None, Some(given), None, None) => Ok(Delay::Normal { mean: given.mean.0, sd: given.sd.0 }),
            (None, None, None, Some(given), None) => Ok(Delay::Exponential { mean: given.mean.0 }),
            (None, None, None, None, Some(name)) => recorded(name, &file(name)?),
            _ => {
                Err("a delay must be exactly one of uniform, lognormal, normal, exponential and from"
                    .to_owned())
            }
        }
    }

    /// Draws a delay, rounded to whole microseconds: the last bit of a logarithm may differ between machines.
    #[must_use]
    pub fn draw(&self, random: &mut impl Rng) -> Duration {
        let seconds = match self {
            Delay::Fixed(time) => return *time,
            Delay::Uniform(min, max) => {
                let part = (*max - *min).as_secs_f64() * uniform(random);
                return *min + Duration::from_micros((part * 1e6).round() as u64);
            }
            Delay::Lognormal { median, sigma } => median.as_secs_f64() * (sigma * normal(random)).exp(),
            Delay::Normal { mean, sd } => mean.as_secs_f64() + sd.as_secs_f64() * normal(random),
            Delay::Exponential { mean } => -mean.as_secs_f64() * (1.0 - uniform(random)).ln(),
            Delay::Recorded(times) => {
                let index = (uniform(random) * times.len() as f64) as usize;
                return times.get(index).copied().unwrap_or_default();
            }
        };
        let micros = (seconds * 1e6).round().clamp(0.0, MAX_DELAY.as_secs_f64() * 1e6);
        Duration::from_micros(micros as u64)
    }
}

fn lognormal_of(given: &Lognormal) -> Result<Delay, String> {
    let (DurationText(median), DurationText(p99)) = (given.median, given.p99);
    if median.is_zero() || p99 < median {
        return Err("lognormal: the median must be above 0 and not above p99".to_owned());
    }
    Ok(Delay::Lognormal { median, sigma: (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99 })
}

/// Draws from the standard normal distribution (Box-Muller transform).
fn normal(random: &mut impl Rng) -> f64 {
    let (first, second) = (1.0 - uniform(random), uniform(random));
    (-2.0 * first.ln()).sqrt() * (TAU * second).cos()
}

fn recorded(name: &str, text: &str) -> Result<Delay, String> {
    let mut times = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cell = line.rsplit([',', ';', '\t']).next().unwrap_or_default().trim().trim_matches('"');
        let millis = cell.parse::<f64>().ok().filter(|millis| (0.0..=3.6e6).contains(millis));
        match millis
            .map(|millis| Duration::from_secs_f64(millis / 1e3))
            .or_else(|| humantime::parse_duration(cell).ok())
        {
            Some(time) => times.push(time),
            None if cell.is_empty() || index == 0 => {}
            None => {
                return Err(format!(
                    "{name}, line {}: {cell:?} is not a duration: write milliseconds, or \"250ms\"",
                    index + 1
                ));
            }
        }
    }
    if times.is_empty() {
        return Err(format!("{name} contains no durations"));
    }
    Ok(Delay::Recorded(times.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{Purpose, RngKey};

    fn delay(toml: &str) -> Result<Delay, String> {
        #[derive(Deserialize)]
        struct Holder {
            delay: DelaySpec,
        }
        let holder: Holder =
            toml::from_str(&format!("delay = {toml}")).map_err(|error| error.message().to_owned())?;
        Delay::new(&holder.delay, |_| Ok("time\n10\n20ms\n\n".to_owned()))
    }

    /// Returns 2000 draws in milliseconds, sorted.
    fn draws(toml: &str) -> Vec<f64> {
        let delay = delay(toml).unwrap();
        let key = RngKey { seed: 1, customer_id: "demo", rule: "slow" };
        let mut all: Vec<_> =
            (1..=2000).map(|n| delay.draw(&mut key.random(Purpose::Delay, n)).as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn mean(all: &[f64]) -> f64 {
        all.iter().sum::<f64>() / all.len() as f64
    }

    #[test]
    fn a_fixed_delay_is_constant() {
        assert_eq!(delay("'250ms'"), Ok(Delay::Fixed(Duration::from_millis(250))));
        assert_eq!(delay("'0'"), Ok(Delay::Fixed(Duration::ZERO)));
    }

    #[test]
    fn distributions_have_their_parameters() {
        let all = draws("{ uniform = ['100ms', '2s'] }");
        assert!(all[0] >= 100.0 && all[1999] <= 2000.0 && (mean(&all) - 1050.0).abs() < 40.0);
        let all = draws("{ lognormal = { median = '800ms', p99 = '4s' } }");
        assert!(
            (all[1000] - 800.0).abs() < 60.0 && (3000.0..5500.0).contains(&all[1980]),
            "{} {}",
            all[1000],
            all[1980]
        );
        let all = draws("{ normal = { mean = '1s', sd = '100ms' } }");
        assert!((mean(&all) - 1000.0).abs() < 10.0 && (all[1682] - all[317] - 200.0).abs() < 20.0);
        let all = draws("{ exponential = { mean = '500ms' } }");
        assert!((mean(&all) - 500.0).abs() < 40.0 && all[0] < 5.0);
        let all = draws("{ from = 'latencies.csv' }");
        assert_eq!((all[0], all[1999]), (10.0, 20.0));
        assert!((mean(&all) - 15.0).abs() < 0.6);
    }

    #[test]
    fn a_normal_delay_is_never_negative() {
        assert_eq!(draws("{ normal = { mean = '0ms', sd = '100ms' } }")[0], 0.0);
    }

    #[test]
    fn wrong_delays_are_rejected_with_the_reason() {
        for (toml, expected) in [
            ("'-1s'", "it cannot be negative"),
            ("{ uniform = ['2s', '1s'] }", "min is above max"),
            ("{ lognormal = { median = '0s', p99 = '1s' } }", "the median must be above 0"),
            (
                "{ normal = { mean = '1s', sd = '1s' }, exponential = { mean = '1s' } }",
                "must be exactly one of",
            ),
            ("{}", "must be exactly one of"),
        ] {
            let error = delay(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        assert!(recorded("x.csv", "time\n10\nsoon").unwrap_err().contains("x.csv, line 3"));
        assert!(recorded("x.csv", "time\n").unwrap_err().contains("no durations"));
    }
}
