//! What can go wrong between an app and a server.

use admit_protocol::digest::ContentName;
use admit_protocol::manifest::ManifestError;
use admit_protocol::origin::OriginError;
use admit_protocol::problem::{Problem, ProblemCode};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said no. The problem says why, and what to do next.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// The request may have been done or not, and all tries are used up. Ask again with the same key.
    #[error("it is not known whether this was done: ask again with the same key ({last})")]
    OutcomeUnknown {
        /// What the last try met.
        last: String,
    },
    /// The server could not be reached, or did not answer in time.
    #[error("{origin} cannot be reached: {source}")]
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
    /// The answer is not what the protocol says.
    #[error("{origin} gave an answer that cannot be used: {why}")]
    BadAnswer {
        /// Which server.
        origin: String,
        /// What is wrong with it.
        why: String,
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
