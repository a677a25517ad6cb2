//! What it costs to check a ticket, beside its signature alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use admit_protocol::key::SecretKey;
use admit_protocol::ticket::{Ticket, TicketId, screening_digest};
use admit_protocol::time::after;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::load::{median, round3};
use crate::report;

/// A ticket checked and signed, against Ed25519 alone.
#[derive(Args)]
pub(crate) struct Tickets {
    /// Milliseconds for each part of a round.
    #[arg(long, default_value_t = 500)]
    milliseconds: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Tickets {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let key = SecretKey::from_seed(&[7; 32]);
        let ticket = Ticket {
            id: TicketId([7; 16]),
            not_before: now,
            not_after: after(now, 7200),
            screening: screening_digest(&"scr_0192f0c4a1b27c3e9d5e6f7a8b9c0d1e".parse()?),
            hall: "Grande Salle".into(),
            row: "Balcon F".into(),
            seat: "12".into(),
            ticket_type: "adult".into(),
            admits: 1,
            generation: 1,
            holder: None,
        };
        let code = ticket.sign(&key)?;
        let public = key.public();
        let message = [7_u8; 150];
        let signature = key.sign(&message);
        let time = Duration::from_millis(self.milliseconds);
        let mut found: [Vec<f64>; 4] = Default::default();
        for _ in 0..self.rounds {
            let rates = [
                per_second(time, || public.verify(black_box(&message), &signature).is_ok()),
                per_second(time, || Ticket::verify(black_box(&code), |_| [public]).is_ok()),
                per_second(time, || key.sign(black_box(&message))[0] != 0),
                per_second(time, || ticket.sign(black_box(&key)).is_ok()),
            ];
            found.iter_mut().zip(rates).for_each(|(all, rate)| all.push(rate));
        }
        let [verify, checked, sign, signed] = found.map(median);
        let line = json!({
            "ratio_to_verify": round3(checked / verify),
            "checked_per_s": checked.round(),
            "verify_per_s": verify.round(),
            "ratio_to_sign": round3(signed / sign),
            "signed_per_s": signed.round(),
            "sign_per_s": sign.round(),
            "code_chars": code.len(),
        });
        report::say("ticket", line, as_json);
        Ok(())
    }
}

fn per_second(time: Duration, mut work: impl FnMut() -> bool) -> f64 {
    let (began, mut done) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        for _ in 0..64 {
            black_box(work());
        }
        done += 64;
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}
