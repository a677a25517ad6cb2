//! What a server can do beyond the core, and who may ask for it how.

use crate::open_enum::open_enum;

open_enum! {
    /// What a server offers beyond the core. What is not declared answers 404 `capability_not_offered`.
    Capability {
        /// Changes of the programme, one after another.
        Feed = "feed",
        /// Seats as they change, pushed.
        Live = "live",
        /// The server picks seats.
        BestAvailable = "best_available",
        /// A hold can be made longer.
        Extend = "extend",
        /// Hosted checkout.
        Payments = "payments",
        /// Waiting for seats that come free.
        Waitlist = "waitlist",
        /// A fair queue for on-sales.
        Queue = "queue",
        /// Other seats or another screening for a booking.
        Exchange = "exchange",
        /// Areas without numbered seats.
        GeneralAdmission = "general_admission",
        /// Accounts at this server.
        Accounts = "accounts",
        /// The buyer's own key, the same everywhere.
        BuyerKeys = "buyer_keys",
        /// Signed receipts and a hash-chained seat log.
        Receipts = "receipts",
        /// Apps are told by a webhook what becomes of a booking or a waitlist entry.
        Notifications = "notifications",
        /// Scanners: allow lists, scans, undo.
        Door = "door",
        /// Tokens for verified visits.
        Visits = "visits",
        /// A virtual clock and fixtures, for tests only. Clients refuse to pay here.
        TestControl = "test_control",
        /// At an index: films and screenings by place and time.
        Screenings = "screenings",
        /// At an index: the same film recognised across cinemas.
        FilmIdentity = "film_identity",
    }

    /// How a buyer proves to be the one who holds.
    AuthMethod {
        /// A fresh secret per purchase, sent as bearer token.
        Secret = "secret",
        /// An Ed25519 key of the buyer's own.
        BuyerKey = "buyer_key",
    }

    /// How a booking is paid.
    PaymentMethod {
        /// Nothing is due.
        None = "none",
        /// At the box office, before entry.
        AtCinema = "at_cinema",
    }

    /// What kind of server an origin is.
    Role {
        /// A cinema's own.
        Server = "server",
        /// A directory.
        Index = "index",
    }
}
