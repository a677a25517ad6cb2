//! A server that is tested.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::checks::{self, Stop};
use crate::control::{Control, Run};
use crate::wire::{Answer, Ask, Wire};

/// How much may be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads, and nothing else: safe at a server that sells.
    Observe,
    /// Holds and bookings, at screenings that are marked as tests.
    Sandbox,
    /// Everything, in worlds of its own.
    Controlled,
}

impl Mode {
    /// Whether something is done, or only looked at.
    pub(crate) fn of(sandbox: bool) -> Self {
        if sandbox { Self::Sandbox } else { Self::Observe }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Sandbox => "sandbox",
            Self::Controlled => "controlled",
        }
    }
}

/// A server to be looked at.
pub(crate) struct Target {
    pub(crate) wire: Wire,
    pub(crate) mode: Mode,
    /// The world that it is in, if that was made for it.
    pub(crate) run: Option<Run>,
    /// What the manifest says; nothing before it was read.
    pub(crate) manifest: Option<Value>,
    read: BTreeMap<String, Answer>,
    seed: u64,
    numbers: u64,
}

impl Target {
    pub(crate) fn new(origin: &str, mode: Mode, seed: u64) -> anyhow::Result<Self> {
        let local = origin.starts_with("http://127.0.0.1:");
        ensure!(local || origin.starts_with("https://"), "{origin} is neither https:// nor http://127.0.0.1:PORT");
        let wire = Wire::to(origin)?;
        Ok(Self { wire, mode, run: None, manifest: None, read: BTreeMap::new(), seed, numbers: 0 })
    }

    pub(crate) fn origin(&self) -> &str {
        self.wire.origin()
    }

    /// A path of the API, as the manifest places it.
    pub(crate) fn api(&self, path: &str) -> Result<String, String> {
        let base = self.member("api_base")?.as_str().ok_or("`api_base` is no text")?;
        Ok(format!("{base}{path}"))
    }

    /// A member of the manifest.
    pub(crate) fn member(&self, name: &str) -> Result<&Value, String> {
        let manifest = self.manifest.as_ref().ok_or("the manifest could not be read")?;
        manifest.get(name).ok_or_else(|| format!("the manifest has no `{name}`"))
    }

    pub(crate) fn has(&self, capability: &str) -> bool {
        let listed = self.member("capabilities").ok().and_then(|c| c.as_array().cloned()).unwrap_or_default();
        listed.iter().any(|c| c == capability)
    }

    /// Reads a path; asked again, the first answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        if let Some(answer) = self.read.get(path) {
            return Ok(answer.clone());
        }
        let answer = self.wire.send(&Ask::get(path)).await?;
        self.read.insert(path.to_owned(), answer.clone());
        Ok(answer)
    }

    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, String> {
        let ask = headers.iter().fold(Ask::new(method, path), |ask, (name, value)| ask.with(name, *value));
        self.wire.send(&ask).await
    }

    /// Its manifest as it is now.
    pub(crate) async fn meet_again(&mut self) -> Result<(), String> {
        self.read.clear();
        checks::read_manifest(self).await
    }

    /// The well-known document as it was read last.
    pub(crate) fn well_known(&self) -> Option<Vec<u8>> {
        self.read.get("/.well-known/admit").map(|answer| answer.bytes.to_vec())
    }

    /// The server's time: that of its answers, where a suite moves its clock.
    pub(crate) async fn now(&mut self) -> Result<Timestamp, String> {
        let answer = self.wire.send(&Ask::get("/.well-known/admit")).await?;
        answer.header("admit-now").parse().map_err(|_| format!("Admit-Now is {:?}", answer.header("admit-now")))
    }

    /// 32 bytes that nobody else in this run gets, and the same in every run with this seed.
    pub(crate) fn fresh(&mut self) -> [u8; 32] {
        self.numbers += 1;
        let mut hash = Sha256::new_with_prefix("admit-conformance");
        hash.update(self.origin());
        hash.update(self.seed.to_be_bytes());
        hash.update(self.numbers.to_be_bytes());
        hash.finalize().into()
    }

    /// A server in a world that was made for it, its manifest read.
    pub(crate) async fn in_a_world(control: &Control, seed: u64) -> anyhow::Result<Self> {
        let run = control.begin().await?;
        let mut target = Self::new(&run.origin, Mode::Controlled, seed)?;
        target.run = Some(run);
        // Without one, every check says so.
        let _ = checks::read_manifest(&mut target).await;
        Ok(target)
    }

    /// As [`Self::in_a_world`], with a few screenings to look at.
    pub(crate) async fn in_a_full_world(control: &Control, seed: u64) -> anyhow::Result<Self> {
        let mut target = Self::in_a_world(control, seed).await?;
        for hours in [30, 50, 5] {
            let wanted = json!({"starts_in_s": hours * 3600, "wheelchair": true, "price": 1000 + hours});
            let made = target.run.as_ref().context("no world")?.screening(&wanted).await;
            if let Err(Stop::Fails(why)) = made {
                anyhow::bail!("test control makes no screening: {why}");
            }
        }
        // What it says has changed.
        target.read.clear();
        let _ = checks::read_manifest(&mut target).await;
        Ok(target)
    }

    /// A server that calls itself something else than where it listens, and where that is.
    pub(crate) async fn calling_itself(control: &Control, seed: u64, origin: &str) -> anyhow::Result<(Self, String)> {
        let run = control.begin_as(&json!({"origin": origin})).await?;
        let address = run.address.clone().context("test control does not say where the server listens: `address`")?;
        let mut target = Self::new(&address, Mode::Controlled, seed)?;
        target.run = Some(run);
        let _ = checks::read_manifest(&mut target).await;
        Ok((target, address))
    }

    /// Gives back what was held and booked there.
    pub(crate) async fn give_back(&mut self) {
        for made in self.wire.take_made() {
            let by = |ask: Ask| ask.with("authorization", made.authorization.clone());
            if made.path.contains("/holds/") {
                let _ = self.wire.send(&by(Ask::delete(&made.path))).await;
                continue;
            }
            let quote = by(Ask::post(format!("{}/cancellation_quotes", made.path), &json!({})));
            let Ok(quoted) = self.wire.send(&quote).await else { continue };
            let quoted = quoted.json().unwrap_or_default();
            let cancel = by(Ask::post(format!("{}/cancellations", made.path), &json!({"quote": quoted["id"]})));
            let key = self.key();
            let _ = self.wire.send(&cancel.key(&key)).await;
        }
    }

    /// What was said to it and to its test control since it was last asked for.
    pub(crate) fn take_said(&self) -> Vec<String> {
        let control = self.run.iter().flat_map(Run::take_said);
        control.chain(self.wire.take_said()).collect()
    }

    /// The world that was made for it.
    pub(crate) fn run(&self) -> Result<&Run, Stop> {
        self.run.as_ref().ok_or_else(|| Stop::NotRun("it needs test control".into()))
    }
}
