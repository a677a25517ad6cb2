//! Every address of the API, once: servers route by it, clients ask by it.

/// An address and what is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The verb and noun that names it everywhere.
    pub name: &'static str,
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path below the API base, with `{parameters}`.
    pub path: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
}

impl Endpoint {
    /// The path with its parameters filled in, in order. Ids and content names need no escaping.
    ///
    /// ```
    /// use admit_protocol::endpoint::GET_HOLD;
    /// assert_eq!(GET_HOLD.fill(&["scr_1", "hold_2"]), "/screenings/scr_1/holds/hold_2");
    /// ```
    #[must_use]
    pub fn fill(&self, parameters: &[&str]) -> String {
        let mut filled = String::with_capacity(self.path.len() + 64);
        let mut parameters = parameters.iter();
        for segment in self.path.split('/').skip(1) {
            filled.push('/');
            filled.push_str(if segment.starts_with('{') { parameters.next().copied().unwrap_or("-") } else { segment });
        }
        filled
    }
}

macro_rules! endpoints {
    ($list:ident, $(#[doc = $about:literal] $name:ident $method:literal $path:literal;)*) => {
        $(#[doc = $about] pub const $name: Endpoint =
            Endpoint { name: stringify!($name), method: $method, path: $path, about: $about };)*
        /// All of them.
        pub const $list: &[Endpoint] = &[$($name),*];
    };
}

endpoints! { SERVER,
    /// A page of cinemas, by its hash.
    GET_CINEMA_PAGE "GET" "/cinema_pages/{page}";
    /// A page of a cinema's programme.
    GET_PROGRAMME "GET" "/cinemas/{cinema}/programme";
    /// What changed (capability `feed`).
    GET_FEED "GET" "/feed";
    /// A layout, by its hash.
    GET_LAYOUT "GET" "/layouts/{layout}";
    /// A price table, by its hash.
    GET_PRICE_TABLE "GET" "/price_tables/{price_table}";
    /// One screening.
    GET_SCREENING "GET" "/screenings/{screening}";
    /// What is not free.
    GET_SEATS "GET" "/screenings/{screening}/seats";
    /// What is not free, as it changes: `text/event-stream` (capability `live`).
    GET_LIVE "GET" "/screenings/{screening}/live";
    /// Holds seats.
    PLACE_HOLD "POST" "/screenings/{screening}/holds";
    /// A hold.
    GET_HOLD "GET" "/screenings/{screening}/holds/{hold}";
    /// Gives a hold back.
    RELEASE_HOLD "DELETE" "/screenings/{screening}/holds/{hold}";
    /// More time (capability `extend`).
    EXTEND_HOLD "POST" "/screenings/{screening}/holds/{hold}/extensions";
    /// The cinema's signed word for a hold, or the booking that it became (capability `receipts`).
    GET_RECEIPT "GET" "/screenings/{screening}/holds/{hold}/receipt";
    /// Every change of who has which seat (capability `receipts`).
    GET_SEAT_LOG "GET" "/screenings/{screening}/seat_log";
    /// Turns a hold into a booking.
    BOOK "POST" "/screenings/{screening}/bookings";
    /// A booking.
    GET_BOOKING "GET" "/screenings/{screening}/bookings/{booking}";
    /// Has who bought forgotten: what they gave to be reached by.
    FORGET_BUYER "DELETE" "/screenings/{screening}/bookings/{booking}/buyer";
    /// Its tickets.
    GET_TICKETS "GET" "/screenings/{screening}/bookings/{booking}/tickets";
    /// What a cancellation would bring back.
    QUOTE_CANCELLATION "POST" "/screenings/{screening}/bookings/{booking}/cancellation_quotes";
    /// Cancels tickets.
    CANCEL "POST" "/screenings/{screening}/bookings/{booking}/cancellations";
    /// What an exchange would come to (capability `exchange`).
    QUOTE_EXCHANGE "POST" "/screenings/{screening}/bookings/{booking}/exchange_quotes";
    /// Exchanges tickets (capability `exchange`).
    EXCHANGE "POST" "/screenings/{screening}/bookings/{booking}/exchanges";
    /// Puts a party in line (capability `waitlist`).
    JOIN_WAITLIST "POST" "/screenings/{screening}/waitlist";
    /// How a party stands (capability `waitlist`).
    GET_WAITLIST_ENTRY "GET" "/screenings/{screening}/waitlist/{waitlist_entry}";
    /// Leaves the line, or declines (capability `waitlist`).
    LEAVE_WAITLIST "DELETE" "/screenings/{screening}/waitlist/{waitlist_entry}";
    /// Has who waits, or waited, forgotten (capability `waitlist`).
    FORGET_WAITING "DELETE" "/screenings/{screening}/waitlist/{waitlist_entry}/buyer";
    /// Takes a place, or shows it (capability `queue`).
    JOIN_QUEUE "POST" "/screenings/{screening}/queue";
    /// How a place stands (capability `queue`).
    GET_QUEUE_PLACE "GET" "/screenings/{screening}/queue";
    /// Gives a place up (capability `queue`).
    LEAVE_QUEUE "DELETE" "/screenings/{screening}/queue";
    /// All tickets of a screening, signed (capability `door`).
    GET_ALLOW_LIST "GET" "/screenings/{screening}/allow_list";
    /// Checks tickets in (capability `door`).
    UPLOAD_SCANS "POST" "/screenings/{screening}/scans";
}

endpoints! { INDEX,
    /// Tells the index of a server.
    ANNOUNCE "POST" "/announcements";
    /// Why a server is listed or not.
    GET_ANNOUNCEMENT "GET" "/announcements";
    /// Cinemas by name and place.
    FIND_CINEMAS "GET" "/cinemas";
    /// Films that are shown near a place.
    FIND_FILMS "GET" "/films";
    /// Screenings near a place.
    FIND_SCREENINGS "GET" "/screenings";
    /// A server's manifest, passed on unchanged.
    GET_MANIFEST "GET" "/manifests";
}
