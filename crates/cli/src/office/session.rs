//! Sessions at servers, kept from one command to the next: nobody types a password for every seat.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Context;

/// What a server gave when somebody signed in. It ends there by itself.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) cookie: String,
    pub(super) csrf: String,
    /// Until when it is used here without a password, though the server would let it go on.
    #[serde(default)]
    pub(super) until: Option<Timestamp>,
}

impl Session {
    /// Whether it is used without a password still.
    pub(super) fn is_good(&self) -> bool {
        self.until.is_none_or(|at| at > Timestamp::now())
    }
}

/// A file in the user's data folder that only they can read.
pub(super) struct Sessions(PathBuf);

impl Sessions {
    pub(super) fn of(context: &Context) -> Self {
        Self(context.data("sessions.json"))
    }

    fn all(&self) -> BTreeMap<String, Session> {
        // One that cannot be read is as good as none: the password is asked for.
        fs::read(&self.0).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(super) fn get(&self, origin: &str, login: &str) -> Option<Session> {
        self.all().remove(&name(origin, login))
    }

    /// Keeps a session, or forgets it.
    pub(super) fn keep(&self, origin: &str, login: &str, session: Option<&Session>) -> anyhow::Result<()> {
        let mut all = self.all();
        match session {
            Some(session) => drop(all.insert(name(origin, login), session.clone())),
            None => drop(all.remove(&name(origin, login))),
        }
        let keep = || -> anyhow::Result<()> {
            self.0.parent().map(fs::create_dir_all).transpose()?;
            let mut private = fs::OpenOptions::new();
            private.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut private, 0o600);
            Ok(private.open(&self.0)?.write_all(&serde_json::to_vec(&all)?)?)
        };
        keep().with_context(|| format!("keeping the session in {}", self.0.display()))
    }
}

fn name(origin: &str, login: &str) -> String {
    format!("{login} at {origin}")
}
