//! Real cryptography: devices that are driven by the state machine the Matrix Rust SDK is built on.

mod crypto_client;
mod requests;
mod rooms;
mod sliding;

pub use self::{
    crypto_client::{CryptoClient, Device, Sent},
    rooms::Message,
};
