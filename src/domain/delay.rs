//! Delays: a fixed time, a distribution, or times recorded in a file.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::base::duration::DurationText;
use crate::base::random::uniform;

/// `delay` as written.
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
                let drawn = RandomDelay::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(DelaySpec::Random(Box::new(drawn)))
            }
        }
        deserializer.deserialize_any(DelayVisitor)
    }
}

/// A delay by chance: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RandomDelay {
    /// The least and the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform: Option<(DurationText, DurationText)>,
    /// As measured latencies mostly are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lognormal: Option<Lognormal>,
    /// Never below zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<Normal>,
    /// As the time between independent events is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential: Option<Exponential>,
    /// A CSV file of the fixture directory; the last column of each line is a time, in milliseconds or with a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    pub median: DurationText,
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

/// A delay, ready to be drawn.
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
    /// Each recorded time equally likely.
    Recorded(Arc<[Duration]>),
}

/// The standard normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874_040_841;

/// Longest delay that is drawn: a distribution's tail has no end.
const LONGEST: Duration = Duration::from_secs(3600);

impl Delay {
    /// Reads a delay; `file` gives the text of a file of the fixture directory.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(spec: &DelaySpec, file: impl Fn(&str) -> Result<String, String>) -> Result<Delay, String> {
        let drawn = match spec {
            DelaySpec::Fixed(DurationText(time)) => return Ok(Delay::Fixed(*time)),
            DelaySpec::Random(drawn) => drawn.as_ref(),
        };
        let RandomDelay { uniform, lognormal, normal, exponential, from } = drawn;
        match (uniform, lognormal, normal, exponential, from) {
            (Some((DurationText(least), DurationText(most))), None, None, None, None) if least > most => {
                Err("uniform = [least, most]: the least is above the most".to_owned())
            }
            (Some((DurationText(least), DurationText(most))), None, None, None, None) => {
                Ok(Delay::Uniform(*least, *most))
            }
            (None, Some(given), None, None, None) => lognormal_of(given),
            (None, None, Some(given), None, None) => Ok(Delay::Normal { mean: given.mean.0, sd: given.sd.0 }),
            (None, None, None, Some(given), None) => Ok(Delay::Exponential { mean: given.mean.0 }),
            (None, None, None, None, Some(name)) => recorded(name, &file(name)?),
            _ => Err("a delay is exactly one of uniform, lognormal, normal, exponential and from".to_owned()),
        }
    }

    /// Draws a time, in whole microseconds, so that the last bit of a logarithm makes no difference between machines.
    #[must_use]
    pub fn draw(&self, random: &mut impl Rng) -> Duration {
        let seconds = match self {
            Delay::Fixed(time) => return *time,
            Delay::Uniform(least, most) => {
                let part = (*most - *least).as_secs_f64() * uniform(random);
                return *least + Duration::from_micros((part * 1e6).round() as u64);
            }
            Delay::Lognormal { median, sigma } => median.as_secs_f64() * (sigma * normal(random)).exp(),
            Delay::Normal { mean, sd } => mean.as_secs_f64() + sd.as_secs_f64() * normal(random),
            Delay::Exponential { mean } => -mean.as_secs_f64() * (1.0 - uniform(random)).ln(),
            Delay::Recorded(times) => {
                let index = (uniform(random) * times.len() as f64) as usize;
                return times.get(index).copied().unwrap_or_default();
            }
        };
        let micros = (seconds * 1e6).round().clamp(0.0, LONGEST.as_secs_f64() * 1e6);
        Duration::from_micros(micros as u64)
    }
}

fn lognormal_of(given: &Lognormal) -> Result<Delay, String> {
    let (DurationText(median), DurationText(p99)) = (given.median, given.p99);
    if median.is_zero() || p99 < median {
        return Err("lognormal: the median is above 0 and not above p99".to_owned());
    }
    Ok(Delay::Lognormal { median, sigma: (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99 })
}

/// Box and Muller's transform.
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
                    "{name}, line {}: {cell:?} is no time: milliseconds, or \"250ms\"",
                    index + 1
                ));
            }
        }
    }
    if times.is_empty() {
        return Err(format!("{name} holds no times"));
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

    /// Two thousand draws, in milliseconds, sorted.
    fn draws(toml: &str) -> Vec<f64> {
        let delay = delay(toml).unwrap();
        let source = RngKey { seed: 1, customer_id: "demo", rule: "slow" };
        let mut all: Vec<_> = (1..=2000)
            .map(|n| delay.draw(&mut source.random(Purpose::Delay, n)).as_secs_f64() * 1e3)
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn mean(all: &[f64]) -> f64 {
        all.iter().sum::<f64>() / all.len() as f64
    }

    #[test]
    fn a_fixed_delay_is_itself() {
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
    fn wrong_delays_say_what_is_right() {
        for (toml, expected) in [
            ("'-1s'", "it cannot be negative"),
            ("{ uniform = ['2s', '1s'] }", "the least is above the most"),
            ("{ lognormal = { median = '0s', p99 = '1s' } }", "the median is above 0"),
            ("{ normal = { mean = '1s', sd = '1s' }, exponential = { mean = '1s' } }", "exactly one of"),
            ("{}", "exactly one of"),
        ] {
            let error = delay(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        assert!(recorded("x.csv", "time\n10\nsoon").unwrap_err().contains("x.csv, line 3"));
        assert!(recorded("x.csv", "time\n").unwrap_err().contains("no times"));
    }
}
