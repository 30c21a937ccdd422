//! Rooms as clients see them.

mod outside;
