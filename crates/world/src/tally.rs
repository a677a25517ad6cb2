//! What was counted and timed, at the client.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use admit_client::ClientError;
use serde_json::{Value, json};

/// Counts and times of everything that buyers did.
#[derive(Default)]
pub(crate) struct Tally {
    /// Microseconds of every answer, good or bad, by what was asked.
    times: Mutex<BTreeMap<&'static str, Vec<u32>>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<String, u64>>,
    /// What must not happen, with a line for each.
    surprises: Mutex<Vec<String>>,
}

impl Tally {
    /// Waits for an answer, and notes how long that took and what a refusal was for.
    pub(crate) async fn time<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let asked = Instant::now();
        let answer = answer.await;
        self.took(what, asked.elapsed());
        if let Err(error) = &answer {
            let code = error.code().map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            *lock(&self.refusals).entry(code).or_default() += 1;
        }
        answer
    }

    fn took(&self, what: &'static str, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        lock(&self.times).entry(what).or_default().push(micros);
    }

    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    pub(crate) fn surprise(&self, what: String) {
        lock(&self.surprises).push(what);
    }

    pub(crate) fn surprises(&self) -> Vec<String> {
        lock(&self.surprises).clone()
    }

    pub(crate) fn counts(&self) -> Value {
        json!(*lock(&self.counts))
    }

    pub(crate) fn counted(&self, what: &str) -> u64 {
        lock(&self.counts).get(what).copied().unwrap_or(0)
    }

    pub(crate) fn refusals(&self) -> Value {
        json!(*lock(&self.refusals))
    }

    pub(crate) fn asked(&self, what: &str) -> usize {
        lock(&self.times).get(what).map_or(0, Vec::len)
    }

    /// The time in which `percent` of the answers came, in milliseconds.
    pub(crate) fn percentile_ms(&self, what: &str, percent: usize) -> f64 {
        let mut times = lock(&self.times).get(what).cloned().unwrap_or_default();
        times.sort_unstable();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        f64::from(times.get(at).copied().unwrap_or(0)) / 1000.0
    }

    pub(crate) fn latencies(&self) -> Value {
        let names: Vec<&'static str> = lock(&self.times).keys().copied().collect();
        let line = |name: &&'static str| {
            let at = |percent| self.percentile_ms(name, percent);
            ((*name).to_owned(), json!({"n": self.asked(name), "p50_ms": at(50), "p99_ms": at(99)}))
        };
        Value::Object(names.iter().map(line).collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
