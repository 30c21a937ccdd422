//! What operators see and do: the admin API and its commands.

mod access;
mod doctor;
mod inspect;
mod openapi;
mod processes;
mod registration_tokens;
mod rooms;
mod schema;
mod support;
mod users;
