//! What operators see and do: the admin API and its commands.

mod access;
mod doctor;
mod inspect;
mod support;
