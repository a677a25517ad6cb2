//! A cinema's own server, as a library.
