//! Rooms as clients see them.

mod outside;
mod related;
