//! A directory of cinemas, as a library.
