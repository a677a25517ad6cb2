//! What a server promises, asked through its front door.

mod buyer_keys;
mod buying;
mod catalogue;
mod commit;
mod contract;
mod door;
mod exchange;
mod fight;
mod hostile;
mod idempotency;
mod live;
mod management;
mod manifest;
mod moving;
mod notifications;
mod on;
mod postgres;
mod processes;
mod queue;
mod races;
mod receipts;
mod slips;
mod stage;
mod waitlist;
