//! Find a cinema, choose seats, book them: the client library.
