//! The content repository: uploads kept and given out byte for byte (MED-4 to MED-8).

pub mod download;
pub mod thumbnail;
pub mod upload;

use ruma::{OwnedMxcUri, ServerName};

use crate::{Context, Result, ServiceError};

/// The type of content that came without one.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";
/// The most characters of a media id that are worth a look.
const MAX_MEDIA_ID: usize = 255;
/// How long a reserved id waits for its content, milliseconds; the default the spec recommends.
pub const RESERVED_MS: u64 = 24 * 60 * 60 * 1000;

/// The `mxc://` URI of a media id of this server.
#[must_use]
pub fn uri(cx: &Context, media_id: &str) -> OwnedMxcUri {
    OwnedMxcUri::from(format!("mxc://{}/{media_id}", cx.config.server_name))
}

/// Refuses ids that cannot be, before anything is looked up (MED-8).
fn check_media_id(media_id: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if media_id.is_empty() || media_id.len() > MAX_MEDIA_ID || !media_id.bytes().all(allowed) {
        return Err(ServiceError::invalid_param("A media ID has only the characters A-Z, a-z, 0-9, _ and -."));
    }
    Ok(())
}

/// Refuses what is not an id of this server. Media of other servers cannot be had before federation.
fn check_local(cx: &Context, server: &str, media_id: &str) -> Result<()> {
    let server = ServerName::parse(server).map_err(|_| ServiceError::invalid_param("This is not a server name."))?;
    check_media_id(media_id)?;
    if server == cx.config.server_name { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> ServiceError {
    ServiceError::not_found("There is no such media.")
}

#[cfg(test)]
mod tests {
    use super::check_media_id;

    #[test]
    fn ids_have_the_safe_alphabet_only() {
        assert!(check_media_id("ascERGshawAWawugaAcauga_-9").is_ok());
        for bad in ["", "..", "a/b", "a.b", "a%2Fb", "\u{e9}", "a b", "a\0"] {
            assert!(check_media_id(bad).is_err(), "{bad}");
        }
        assert!(check_media_id(&"a".repeat(256)).is_err());
    }
}
