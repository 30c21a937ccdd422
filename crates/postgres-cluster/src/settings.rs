//! The server's settings.

use std::path::Path;

use crate::Options;

/// The whole `postgresql.conf`. What is not named has PostgreSQL's own default, as in production.
pub(crate) fn postgresql_conf(options: &Options, sockets: &Path, port: u16) -> String {
    let address = if options.tcp { "127.0.0.1" } else { "" };
    // Without fsync, committed data outlives a crash of the server all the same, only not one of the machine.
    let durable = if options.durable { "on" } else { "off" };
    let sockets = sockets.display().to_string().replace('\'', "''");
    format!(
        "listen_addresses = '{address}'\n\
         port = {port}\n\
         unix_socket_directories = '{sockets}'\n\
         max_connections = {}\n\
         shared_buffers = 32MB\n\
         fsync = {durable}\n\
         full_page_writes = {durable}\n\
         log_line_prefix = '%m [%p] %d '\n",
        options.max_connections
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_always_waits_for_the_log() {
        let text = postgresql_conf(&Options::default(), Path::new("/tmp/it's"), 5432);
        assert!(text.contains("fsync = off") && text.contains("'/tmp/it''s'") && text.contains("= ''\n"), "{text}");
        // A commit that a crash of the server may take back would make tests of crashes pointless.
        assert!(!text.contains("synchronous_commit"));
    }
}
