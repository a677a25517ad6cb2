//! The box office: a staff member's session at a server of ours.

use admit_protocol::id::{BookingId, ScreeningId};
use admit_protocol::money::Money;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// Somebody who is signed in.
pub(crate) struct Office {
    http: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Office {
    pub(crate) async fn sign_in(origin: &str, login: &str, password: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let base = format!("{origin}/manage/v1");
        let body = json!({"login": login, "password": password});
        let said = http.post(format!("{base}/sessions")).json(&body).send().await?;
        if !said.status().is_success() {
            bail!("{login} could not sign in at {origin}: {}", said.status());
        }
        let cookie = said.headers().get("set-cookie").and_then(|c| c.to_str().ok()).context("no session cookie")?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let session: Value = said.json().await?;
        let csrf = session["csrf"].as_str().context("no csrf token")?.to_owned();
        Ok(Self { http, base, cookie, csrf })
    }

    /// Takes the balance of a booking at the counter.
    pub(crate) async fn settle(&self, screening: ScreeningId, booking: BookingId, amount: Money) -> anyhow::Result<()> {
        let url = format!("{}/screenings/{screening}/bookings/{booking}/settlements", self.base);
        let request = self.http.post(url).header("cookie", &self.cookie).header("csrf-token", &self.csrf);
        // One settlement of a booking is one effect, whoever asks again.
        let request = request.header("idempotency-key", format!("settle-{booking}"));
        let said = request.json(&json!({"amount": amount})).send().await?;
        if !said.status().is_success() {
            bail!("the counter could not take the money: {}", said.text().await?);
        }
        Ok(())
    }
}
