//! The program as a person or an operator runs it.

mod data;
mod demo;
mod folder;
mod kill;
mod robustness;
