//! The suite, tried on servers that are in order and on such that are not.

mod common;
mod index;
mod observe;
