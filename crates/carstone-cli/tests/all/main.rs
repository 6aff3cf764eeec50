//! All tests of the crate in one program, which is linked once.

#[macro_use]
mod support;

mod bad_input;
mod car;
mod car_command;
mod car_faults;
mod car_packs;
mod car_text;
mod carve;
mod create_extract;
mod create_forms;
mod damage;
mod hppr;
mod hppr_input;
mod hppr_watch;
mod json_errors;
mod key_care;
mod keys;
mod keys_and_shell;
mod man;
mod memory;
mod mixed;
mod parity;
mod parity_limits;
mod read;
mod rekey;
mod repair;
mod repair_car;
mod scrub;
mod secrets;
mod sign;
mod splice;
mod store;
mod store_care;
mod store_odd;
mod store_others;
mod store_parity;
