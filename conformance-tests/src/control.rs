//! Test control, as `spec/v1/control.md` has it.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::checks::Stop;
use crate::target::{Mode, Target};
use crate::wire::{Answer, Ask, Wire};

/// Where worlds are made.
#[derive(Clone)]
pub(crate) struct Control {
    wire: Wire,
    secret: String,
}

/// A world of one's own.
pub(crate) struct Run {
    control: Control,
    id: String,
    pub(crate) origin: String,
    /// Where it listens, if that is elsewhere.
    pub(crate) address: Option<String>,
    /// The token of a scanner, where there are doors.
    pub(crate) scanner: Option<String>,
}

impl Control {
    pub(crate) fn at(url: &str, secret: &str) -> anyhow::Result<Self> {
        ensure!(url.starts_with("http://127.0.0.1:"), "test control is on this machine: {url} is not");
        Ok(Self { wire: Wire::to(url)?, secret: secret.to_owned() })
    }

    pub(crate) async fn begin(&self) -> anyhow::Result<Run> {
        self.begin_as(&json!({})).await
    }

    /// A world whose server is as this says.
    pub(crate) async fn begin_as(&self, how: &Value) -> anyhow::Result<Run> {
        let answer = self.ask("/runs", how).await.map_err(anyhow::Error::msg)?;
        ensure!(answer.status == 201, "POST /runs: status {}, not 201", answer.status);
        let run = answer.json().map_err(anyhow::Error::msg)?;
        let text = |name: &str| run[name].as_str().map(str::to_owned);
        Ok(Run {
            control: self.clone(),
            id: text("run").context("the answer has no `run`")?,
            origin: text("origin").context("the answer has no `origin`")?,
            address: text("address"),
            scanner: text("scanner"),
        })
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.wire.send(&Ask::post(path, body).by(&self.secret)).await
    }
}

impl Run {
    /// Makes a screening.
    pub(crate) async fn screening(&self, wanted: &Value) -> Result<String, Stop> {
        let made = self.ask("screenings", wanted).await?;
        let id = made["screening"].as_str().ok_or("the screening that was made has no id")?;
        Ok(id.to_owned())
    }

    /// Moves the clock; what time it is then.
    pub(crate) async fn advance_ms(&self, ms: i64) -> Result<Timestamp, Stop> {
        let moved = self.ask("clock", &json!({"advance_ms": ms})).await?;
        let now = moved["now"].as_str().unwrap_or_default();
        Ok(now.parse().map_err(|_| format!("test control's clock says {now:?}"))?)
    }

    pub(crate) async fn act(&self, action: &Value) -> Result<(), Stop> {
        self.ask("actions", action).await.map(drop)
    }

    /// What who does not know the secret is answered.
    pub(crate) async fn without_secret(&self) -> Result<Answer, String> {
        self.control.wire.send(&Ask::post("/runs", &json!({}))).await
    }

    /// A server in another world of the same test control.
    pub(crate) async fn another(&self) -> Result<Target, Stop> {
        let run = self.control.begin().await.map_err(|e| Stop::Fails(format!("{e:#}")))?;
        let mut target = Target::new(&run.origin, Mode::Controlled, 2).map_err(|e| Stop::Fails(format!("{e:#}")))?;
        target.run = Some(run);
        Ok(target)
    }

    pub(crate) async fn end(&self) {
        let path = format!("/runs/{}", self.id);
        // Who does not let go of a world is found out by its own operator.
        let _ = self.control.wire.send(&Ask::delete(path).by(&self.control.secret)).await;
    }

    /// What went to test control: part of how to do the same again.
    pub(crate) fn take_said(&self) -> Vec<String> {
        self.control.wire.take_said()
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value, Stop> {
        let path = format!("/runs/{}/{what}", self.id);
        let answer = self.control.ask(&path, body).await?;
        match answer.status {
            200 | 201 => Ok(answer.json()?),
            204 => Ok(Value::Null),
            // CTRL-006
            422 => Err(Stop::NotRun(format!("test control cannot do that: {body}"))),
            status => Err(Stop::Fails(format!("test control answers {status} to {what} {body}"))),
        }
    }
}
