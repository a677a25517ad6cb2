//! The door (capability `door`).

use admit_protocol::door::{AllowList, ScanResults, UploadScans};
use admit_protocol::endpoint as at;
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;

use crate::error::ClientError;
use crate::secret::Secret;
use crate::server::Server;
use crate::transport::{Ask, bad_answer};

/// A scanner at the door (capability `door`): has a token that staff gave it.
#[derive(Debug, Clone)]
pub struct Scanner {
    server: Server,
    token: Secret,
}

impl Server {
    /// The door of this server, for a scanner with this token.
    #[must_use]
    pub fn scanner(&self, token: Secret) -> Scanner {
        Scanner { server: self.clone(), token }
    }
}

impl Scanner {
    /// The server whose door it is.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Every ticket of a screening, so that the door works without a network.
    ///
    /// # Errors
    /// When it cannot be had, or is not signed by a ticket key of this server.
    pub async fn allow_list(&self, screening: ScreeningId) -> Result<AllowList, ClientError> {
        Ok(self.signed_allow_list(screening).await?.1)
    }

    /// As it came, and what it says.
    pub(crate) async fn signed_allow_list(&self, screening: ScreeningId) -> Result<(Vec<u8>, AllowList), ClientError> {
        let url = self.server.url(at::GET_ALLOW_LIST, &[screening.as_str()]);
        let ask = Ask::get(url, admit_protocol::door::ALLOW_LIST_BYTES_MAX);
        let bytes = self.server.client.ask(self.server.origin(), &ask.by(&self.token)).await?;
        let keys = |short| self.server.ticket_keys(short, Timestamp::now());
        let list = AllowList::verify(&bytes, keys).map_err(|e| bad_answer(self.server.origin(), e.to_string()))?;
        if list.screening != screening {
            return Err(bad_answer(self.server.origin(), format!("a list of {} for {screening}", list.screening)));
        }
        Ok((bytes.to_vec(), list))
    }

    /// Checks tickets in. Scans have names of their own, so sending them again changes nothing.
    ///
    /// # Errors
    /// When the server cannot be reached; keep the scans and send them again.
    pub async fn upload(&self, screening: ScreeningId, scans: &UploadScans) -> Result<ScanResults, ClientError> {
        let url = self.server.url(at::UPLOAD_SCANS, &[screening.as_str()]);
        self.server.json(Ask::post(url, scans).by(&self.token)).await
    }
}
