//! A server whose store is a backup of before.

mod drill;
mod refusals;
mod rules;
