//! What a house promises.

mod bookings;
mod door;
mod exchange;
mod holds;
mod model;
mod payments;
mod queue;
mod seating;
mod staff;
mod stage;
mod waitlist;
