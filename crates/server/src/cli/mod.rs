//! The commands. Those that ask a running server do so by its admin API, so that they work with every engine.

mod api;
mod audit;
mod device;
mod e2ee;
mod progress;
mod registration_token;
mod room;
mod serve;
mod stats;
mod store;
mod table;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use self::api::{ApiError, Reach};

/// A Matrix homeserver whose heart is end-to-end encryption.
#[derive(Debug, Parser)]
#[command(name = "olmstead", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// Settings come from the file, and from environment variables over it: OLMSTEAD_SERVER_NAME,
    /// OLMSTEAD_STORAGE__PATH and so on; two underscores step into a section.
    Serve {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Copy the store of a server, which may be running, into a new directory.
    ///
    /// Settings are read as by `serve`. For PostgreSQL, pg_dump must be installed.
    Backup {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The directory, which must not be there yet.
        directory: PathBuf,
    },
    /// Put a backup in the place of the store of a server that is stopped.
    ///
    /// Settings are read as by `serve`. The store from before is kept under another name. For PostgreSQL, pg_restore must be
    /// installed, and the role needs CREATEDB.
    Restore {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The directory that `olmstead backup` wrote.
        directory: PathBuf,
    },
    /// Accounts.
    User {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: user::Command,
    },
    /// Devices that are logged in.
    Device {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: device::Command,
    },
    /// Tokens that let people register.
    RegistrationToken {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: registration_token::Command,
    },
    /// Rooms.
    Room {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: room::Command,
    },
    /// How much there is of everything, and how the store is.
    ///
    /// Nothing is counted for it: the numbers are those of the server's last census, and it says how old that is.
    Stats {
        #[command(flatten)]
        reach: Reach,
    },
    /// Print a script by which a shell completes the commands.
    ///
    /// Example: olmstead completions bash > /usr/share/bash-completion/completions/olmstead
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// See and mend encryption.
    E2ee {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: e2ee::Command,
    },
    /// What operators did, newest first.
    Audit {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        command: audit::Command,
    },
}

/// Runs the command of the arguments.
pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve { config } => serve::serve(config.as_deref()).map_err(ApiError::from),
        Command::Backup { config, directory } => store::backup(config.as_deref(), &directory).map_err(ApiError::from),
        Command::Restore { config, directory } => store::restore(config.as_deref(), &directory).map_err(ApiError::from),
        Command::User { reach, command } => reach.run(async |api| command.run(api).await),
        Command::Device { reach, command } => reach.run(async |api| command.run(api).await),
        Command::RegistrationToken { reach, command } => reach.run(async |api| command.run(api).await),
        Command::Room { reach, command } => reach.run(async |api| command.run(api).await),
        Command::Stats { reach } => reach.run(async |api| stats::run(api).await),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "olmstead", &mut std::io::stdout());
            Ok(())
        }
        Command::E2ee { reach, command } => reach.run(async |api| command.run(api).await),
        Command::Audit { reach, command } => reach.run(async |api| command.run(api).await),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // It was told on standard output.
        Err(ApiError::Found) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("olmstead: {error}");
            ExitCode::FAILURE
        }
    }
}
