//! Backups of a server that is a process.

use std::{path::Path, process::Stdio, sync::Arc};

use super::{
    Server,
    server::{Running, blocking},
};

/// How a command of the binary ended.
#[derive(Debug)]
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// `olmstead NAME DIRECTORY` with the settings of this server, and these over them.
    pub async fn run(&self, name: &str, directory: &Path, settings: &[(&str, &str)]) -> Ended {
        let mut command = self.running().binary(0).command(name);
        command.arg(directory).envs(settings.iter().copied()).stdin(Stdio::null());
        let output = blocking(move || command.output().expect("the binary can be run")).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Makes a backup.
    pub async fn backup(&self, directory: &Path) {
        let ended = self.run("backup", directory, &[]).await;
        assert!(ended.success, "{ended:?}");
    }

    /// Kills the server, restores a backup, and starts it.
    pub async fn go_back_to(&self, directory: &Path) {
        self.kill().await;
        let ended = self.run("restore", directory, &[]).await;
        assert!(ended.success, "{ended:?}");
        self.restart().await;
    }
}
