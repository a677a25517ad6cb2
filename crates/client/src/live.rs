//! Following the seats of a screening: server-sent events, taken up again where they broke off.

use std::time::Duration;

use admit_protocol::endpoint as at;
use admit_protocol::id::ScreeningId;
use admit_protocol::json::{self, DOCUMENT_BYTES_MAX, Numbers};
use admit_protocol::seats::{Seats, SeatsChange};
use reqwest::Response;

use crate::error::ClientError;
use crate::server::Server;
use crate::transport::{backoff, bad_answer};

/// A server sends something every 15 seconds: who hears nothing for three times as long is alone.
const SILENCE: Duration = Duration::from_secs(45);
/// How often in a row it is tried to come back.
const TRIES: u32 = 8;

/// The seats of a screening, as they are and as they change (capability `live`).
#[derive(Debug)]
pub struct Live {
    server: Server,
    screening: ScreeningId,
    stream: Option<Response>,
    events: Events,
    seats: Option<Seats>,
    /// Tries that came to nothing since the last event.
    failed: u32,
}

impl Server {
    /// Watches the seats of a screening. Nothing is asked before [`Live::next`] is.
    #[must_use]
    pub fn live(&self, screening: ScreeningId) -> Live {
        let (server, events) = (self.clone(), Events::default());
        Live { server, screening, stream: None, events, seats: None, failed: 0 }
    }
}

impl Live {
    /// Waits for the next change, and gives the seats as they are then; the first time, as they are now. What breaks off is taken up
    /// again. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// When the server refuses, or cannot be reached for about a quarter of a minute. Asked again, it goes on trying.
    pub async fn next(&mut self) -> Result<&Seats, ClientError> {
        loop {
            while let Some(event) = self.events.next() {
                if self.take(&event)? {
                    self.failed = 0;
                    return Ok(self.seats.as_ref().expect("an event was taken"));
                }
            }
            let more = match &mut self.stream {
                Some(stream) => tokio::time::timeout(SILENCE, stream.chunk()).await.ok().and_then(Result::ok).flatten(),
                None => None,
            };
            match more {
                Some(bytes) if self.events.add(&bytes) => {}
                Some(_) => {
                    self.stream = None;
                    return Err(bad_answer(self.server.origin(), "an event without an end".into()));
                }
                None => self.come_back().await?,
            }
        }
    }

    /// Begins, or goes on after the last event that came.
    async fn come_back(&mut self) -> Result<(), ClientError> {
        self.stream = None;
        self.events = Events::default();
        if self.failed > 0 || self.seats.is_some() {
            tokio::time::sleep(backoff(self.failed)).await;
        }
        let last = self.seats.as_ref().map(|seats| format!("{}:{}", seats.epoch, seats.seq));
        match self.server.stream(at::GET_LIVE, &[self.screening.as_str()], last).await {
            Ok(stream) => self.stream = Some(stream),
            Err(error @ ClientError::Unreachable { .. }) if self.failed + 1 >= TRIES => {
                self.failed = 0;
                return Err(error);
            }
            Err(ClientError::Unreachable { .. }) => self.failed += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes an event true; whether it was one that changes what is known.
    fn take(&mut self, event: &Event) -> Result<bool, ClientError> {
        let garbled = |e: json::JsonError| bad_answer(self.server.origin(), e.to_string());
        let data = event.data.as_bytes();
        match event.name.as_str() {
            "seats" => {
                self.seats = Some(json::read(data, DOCUMENT_BYTES_MAX, Numbers::Any).map_err(garbled)?);
                Ok(true)
            }
            "change" => {
                let change: SeatsChange = json::read(data, DOCUMENT_BYTES_MAX, Numbers::Any).map_err(garbled)?;
                let applied = self.seats.as_mut().is_some_and(|seats| seats.apply(&change).is_ok());
                if !applied {
                    // Something is missing: all of it is asked for anew.
                    self.seats = None;
                    self.stream = None;
                }
                Ok(applied)
            }
            // Of a later version.
            _ => Ok(false),
        }
    }
}

/// An event as it came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

/// Bytes that become events (WHATWG HTML, server-sent events).
#[derive(Debug, Default)]
struct Events {
    bytes: Vec<u8>,
}

impl Events {
    /// Takes bytes; not, if an event would be larger than a document may be.
    fn add(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        self.bytes.len() <= 2 * DOCUMENT_BYTES_MAX
    }

    /// The next whole event that says something.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let mut event = Event::default();
            for line in block.lines() {
                // A line that begins with a colon is a comment.
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match name {
                    "event" => value.clone_into(&mut event.name),
                    "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                    "data" => event.data += &format!("\n{value}"),
                    _ => {}
                }
            }
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": a comment\n\nretry: 2000\n\nid: e1:1\nevent: seats\ndata: {\"a\":\ndata: 1}\n\nevent:change\ndata:2\n\nevent: half";
        let whole = |cut: usize| {
            let mut events = Events::default();
            let mut read = Vec::new();
            for bytes in text.as_bytes().chunks(cut) {
                assert!(events.add(bytes));
                read.extend(std::iter::from_fn(|| events.next()));
            }
            read
        };
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        for cut in 1..text.len() {
            assert_eq!(whole(cut), [event("seats", "{\"a\":\n1}"), event("change", "2")], "{cut}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut events = Events::default();
        assert!(events.add(&vec![b'x'; 2 * DOCUMENT_BYTES_MAX]));
        assert!(!events.add(b"x"));
    }
}
