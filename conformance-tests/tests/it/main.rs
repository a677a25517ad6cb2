//! The suite, tried on servers that are in order and on such that are not.

mod index;
mod liars;
mod observe;
