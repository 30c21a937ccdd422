//! Running other programs.

use std::env;
use std::ffi::OsStr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::engines::FEATURES;
use crate::env::{root, target_dir};

/// How often a condition outside of this process is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Built next to the binary: it makes cargo unify features over the whole workspace and its dev-dependencies,
/// as `cargo test --workspace` does. Without it, `serve` could compile RocksDB a second time.
pub(crate) const UNIFY: [&str; 2] = ["--example", "unify-features"];

/// A command in the repository's root with no terminal input.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    // What `cargo run` says about xtask must not reach other builds: build scripts that watch these run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let leaks = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
        if leaks.iter().any(|prefix| text.starts_with(prefix)) || text == "CARGO_CRATE_NAME" {
            command.env_remove(&name);
        }
    }
    command
}

/// A cargo command that builds in the project's target directory.
///
/// # Errors
/// If the target directory cannot be made.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Command, Failure> {
    let target = target_dir();
    std::fs::create_dir_all(&target)
        .map_err(|e| format!("cannot make the target directory {}: {e}", target.display()))?;
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("CARGO_TARGET_DIR", target).args(args);
    Ok(command)
}

/// The command that builds the `olmstead` binary, with all engines.
///
/// # Errors
/// If the target directory cannot be made.
pub(crate) fn build_olmstead(release: bool) -> Result<Command, Failure> {
    let mut cargo = cargo(["build", "--workspace", "--bin", "olmstead"])?;
    cargo.args(UNIFY).args(FEATURES).args(release.then_some("--release"));
    if release {
        reuse_rocksdb(&mut cargo);
    }
    Ok(cargo)
}

/// The command that builds these binaries as they are used, with all engines.
///
/// # Errors
/// If the target directory cannot be made.
pub(crate) fn build_release(binaries: &[&str]) -> Result<Command, Failure> {
    let mut cargo = cargo(["build", "--workspace", "--release"])?;
    for binary in binaries {
        cargo.args(["--bin", binary]);
    }
    cargo.args(UNIFY).args(FEATURES);
    reuse_rocksdb(&mut cargo);
    Ok(cargo)
}

/// Builds the `olmstead` binary and a program that works on it, as they are used or as the tests build them; where the two are.
///
/// # Errors
/// If something does not build.
pub(crate) fn build_beside_olmstead(program: &str, release: bool) -> Result<[std::path::PathBuf; 2], Failure> {
    let mut build = if release {
        build_release(&["olmstead", program])?
    } else {
        let mut build = cargo(["build", "--workspace", "--bin", "olmstead", "--bin", program])?;
        build.args(UNIFY).args(FEATURES);
        build
    };
    println!("$ {}", describe(&build));
    check(&mut build)?;
    Ok([olmstead_binary(release), olmstead_binary(release).with_file_name(program)])
}

/// Where [`build_release`] puts a binary.
pub(crate) fn release_binary(name: &str) -> std::path::PathBuf {
    target_dir().join("release").join(name)
}

/// RocksDB is optimised in every profile, so a release takes the one that was compiled for tests.
fn reuse_rocksdb(cargo: &mut Command) {
    if let Some(built) = built_rocksdb(false).filter(|_| built_rocksdb(true).is_none()) {
        cargo.env("ROCKSDB_LIB_DIR", built).env("ROCKSDB_STATIC", "1");
    }
}

/// Where [`build_olmstead`] puts the binary.
pub(crate) fn olmstead_binary(release: bool) -> std::path::PathBuf {
    target_dir().join(if release { "release" } else { "debug" }).join("olmstead")
}

/// Whether RocksDB has been compiled in this target directory already.
pub(crate) fn rocksdb_is_built(release: bool) -> bool {
    built_rocksdb(release).is_some()
}

/// The directory of the compiled RocksDB.
fn built_rocksdb(release: bool) -> Option<std::path::PathBuf> {
    let build = target_dir().join(if release { "release" } else { "debug" }).join("build");
    let entries = std::fs::read_dir(build).ok()?.flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("librocksdb-sys-"));
    ours.map(|entry| entry.path().join("out")).find(|out| out.join("librocksdb.a").is_file())
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// Runs the command to its end, with its output on ours.
///
/// # Errors
/// If it cannot start or does not succeed.
pub(crate) fn check(command: &mut Command) -> Result<(), Failure> {
    let text = describe(command);
    let status = command.status().map_err(|e| format!("cannot run `{text}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{text}` failed ({status})")) }
}

/// Runs the command to its end and returns whether it succeeded, its standard output and its standard error.
///
/// # Errors
/// If it cannot start.
pub(crate) fn capture(command: &mut Command) -> Result<(bool, String, String), Failure> {
    let output = command.output().map_err(|e| format!("cannot run `{}`: {e}", describe(command)))?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

/// A child that does not outlive this value.
pub(crate) struct Running(Child);

impl Running {
    /// # Errors
    /// If it cannot start.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let child = command.spawn().map_err(|e| format!("cannot run `{}`: {e}", describe(command)))?;
        Ok(Self(child))
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.0.id()
    }

    /// Its exit status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it still runs at the deadline.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(format!("still running after {} s", limit.as_secs()));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it serves, which `serves` tells.
    ///
    /// # Errors
    /// If it ends before, or does not serve in time; `name` is said of it.
    pub(crate) fn wait_until(&mut self, name: &str, limit: Duration, serves: impl Fn() -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        while !serves() {
            if let Some(status) = self.ended() {
                return Err(format!("{name} ended before it served ({status})"));
            }
            if Instant::now() >= deadline {
                return Err(format!("{name} does not serve after {} s", limit.as_secs()));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Asks it to end with SIGTERM. Through the shell's own `kill`, which is there where procps is not.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub(crate) fn terminate(&self) -> Result<(), Failure> {
        let id = self.0.id().to_string();
        check(Command::new("sh").args(["-c", "kill -TERM \"$1\"", "kill", &id]))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // Nothing can be done about a child that cannot be killed.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
