//! The program as a person or an operator runs it.
#![allow(clippy::print_stdout, reason = "tests say what they covered")]

mod data;
mod demo;
mod door;
mod examples;
mod exchange;
mod federation;
mod folder;
mod keys;
mod kill;
mod left;
mod live;
mod moving;
mod office;
mod plans;
mod queue;
mod replies;
mod robustness;
mod stores;
mod waitlist;
mod wallet;
