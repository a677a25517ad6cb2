//! What can go wrong between an app and a server.

use admit_protocol::digest::ContentName;
use admit_protocol::manifest::ManifestError;
use admit_protocol::origin::OriginError;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::receipt::ReceiptError;
use admit_protocol::ticket::TicketError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said no. The problem says why, and what to do next.
    #[error("{}", once(&.0.title, &.0.detail))]
    Refused(Box<Problem>),
    /// The request may have been done or not, and all tries are used up. Ask again with the same key.
    #[error("it is not known whether this was done: ask again with the same key ({last})")]
    OutcomeUnknown {
        /// What the last try met.
        last: String,
    },
    /// The server could not be reached, or did not answer in time.
    #[error("{origin} cannot be reached: {}", why(source))]
    Unreachable {
        /// Which server.
        origin: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server's description of itself is not to be believed.
    #[error("the manifest of {origin} was refused: {source}")]
    Manifest {
        /// Which server.
        origin: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// The server's description of itself does not fit the time here, and the server has another time: one of the clocks is wrong.
    #[error("the clocks of this device and of {origin} differ by {} minutes: set yours, then try again", seconds / 60)]
    ClocksDiffer {
        /// Which server.
        origin: String,
        /// By how much, in seconds.
        seconds: u64,
    },
    /// A ticket cannot be read with the keys of this server that are known. Meet it again, and try once more.
    #[error("a ticket of {origin}: {source}")]
    Ticket {
        /// Which server.
        origin: String,
        /// Why.
        #[source]
        source: TicketError,
    },
    /// The answer is not what the protocol says.
    #[error("{origin} gave an answer that cannot be used: {why}")]
    BadAnswer {
        /// Which server.
        origin: String,
        /// What is wrong with it.
        why: String,
    },
    /// What the server signed, or publishes of its seats, cannot be true.
    #[error("{origin} contradicts itself: {source}")]
    Broken {
        /// Which server.
        origin: String,
        /// How.
        #[source]
        source: ReceiptError,
    },
    /// The bytes are not the document that was asked for.
    #[error("{origin} gave other bytes than document {name}")]
    WrongDocument {
        /// Which server.
        origin: String,
        /// Which document.
        name: ContentName,
    },
    /// The address is not one of a server.
    #[error("{text:?}: {source}")]
    Origin {
        /// What was given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: OriginError,
    },
    /// Nothing was named that should be done something with.
    #[error("name at least one seat, or say that all are meant")]
    Empty,
    /// The app could not be set up: no randomness, no TLS.
    #[error("{0}")]
    Setup(String),
}

/// A title and a detail that say the same are said once.
fn once(title: &str, detail: &str) -> String {
    if title.to_lowercase() == detail.to_lowercase() { title.to_owned() } else { format!("{title}: {detail}") }
}

/// Why nobody was reached, in words.
fn why(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return "nothing listens there".into();
        }
        cause = error.source();
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it did not answer in time".into(),
        (false, true) => "no connection: is the name right, and is there a network?".into(),
        (false, false) => "the connection broke".into(),
    }
}

impl ClientError {
    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// The problem of a refusal.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<getrandom::Error> for ClientError {
    fn from(error: getrandom::Error) -> Self {
        Self::Setup(format!("the system has no randomness to give: {error}"))
    }
}
