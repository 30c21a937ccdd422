//! Who may do what, and what nobody is to learn.

mod callers;
mod media_headers;
pub mod routes;
mod secrets;
