//! Being let in one after another where many come at once (capability `queue`).

use admit_protocol::endpoint as at;
use admit_protocol::id::ScreeningId;
use admit_protocol::queue::QueuePlace;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;

use crate::error::ClientError;
use crate::secret::Secret;
use crate::server::Server;
use crate::transport::{ANSWER_BYTES_MAX, Ask, bad_answer};

impl Server {
    /// Takes a place in a screening's queue, or finds the one that this secret has: asked again, it is one effect.
    ///
    /// # Errors
    /// `queue_not_open`, and then it says when; `queue_full`. A seed that is not the one that was committed to is a bad answer.
    pub async fn join_queue(&self, screening: ScreeningId, secret: &Secret) -> Result<QueuePlace, ClientError> {
        self.place(Method::POST, screening, secret).await
    }

    /// How a place of one's own stands.
    ///
    /// # Errors
    /// `not_found` when this secret has none.
    pub async fn queue_place(&self, screening: ScreeningId, secret: &Secret) -> Result<QueuePlace, ClientError> {
        self.place(Method::GET, screening, secret).await
    }

    /// Gives a place up. Done again, it is done.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn leave_queue(&self, screening: ScreeningId, secret: &Secret) -> Result<(), ClientError> {
        let url = self.url(at::LEAVE_QUEUE, &[screening.as_str()]);
        let ask = Ask { method: Method::DELETE, ..Ask::get(url, ANSWER_BYTES_MAX) };
        self.client.ask(self.origin(), &ask.by(secret)).await.map(drop)
    }

    async fn place(&self, method: Method, screening: ScreeningId, secret: &Secret) -> Result<QueuePlace, ClientError> {
        let url = self.url(at::GET_QUEUE_PLACE, &[screening.as_str()]);
        let ask = Ask { one_effect: method == Method::POST, method, ..Ask::get(url, ANSWER_BYTES_MAX) };
        let place: QueuePlace = self.json(ask.by(secret)).await?;
        // QUEUE-003: nobody looked for a seed by which friends come first.
        let kept = |seed: &String| URL_SAFE_NO_PAD.decode(seed).is_ok_and(|seed| place.commitment.fits(&seed));
        if place.seed.as_ref().is_some_and(|seed| !kept(seed)) {
            return Err(bad_answer(
                self.origin(),
                "the queue was drawn by another seed than it had committed to".into(),
            ));
        }
        Ok(place)
    }
}
