//! Whom the server runs as.

use std::{
    fs::{self, Metadata},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    process::{Command, Stdio},
};

use crate::ClusterError;

/// A user and its group, to run programs as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Who owns a file that this process has just made is whom it runs as; for root, somebody whom PostgreSQL accepts.
    pub(crate) fn for_owner_of(file: &Metadata) -> Result<Option<Self>, ClusterError> {
        if file.uid() != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(|e| ClusterError::File("/etc/passwd".into(), e))?;
        ["postgres", "nobody"].iter().find_map(|name| named(&passwd, name)).map(Some).ok_or(ClusterError::NoUser)
    }

    /// The owner of a file, if this process is root and may run programs as them.
    pub(crate) fn owner(file: &Metadata) -> Self {
        Self { uid: file.uid(), gid: file.gid() }
    }

    pub(crate) fn ids(self) -> (u32, u32) {
        (self.uid, self.gid)
    }
}

/// The user of this name in a passwd file: name, password, uid, gid, and more.
fn named(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields.as_slice() {
        [user, _, uid, gid, ..] if *user == name => Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? }),
        _ => None,
    })
}

/// A program without terminal and without the settings of some other PostgreSQL.
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>, user: Option<User>) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_user_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/:/bin/sh\npostgresql:x:1:2::/:\npostgres:x:108:117:,,,:/var:/bin/bash\n";
        assert_eq!(named(passwd, "postgres").map(User::ids), Some((108, 117)));
        assert_eq!(named(passwd, "nobody").map(User::ids), None);
    }
}
