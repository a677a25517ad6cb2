//! The program as a person or an operator runs it.

mod demo;
mod folder;
mod kill;
