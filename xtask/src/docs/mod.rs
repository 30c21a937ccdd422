//! The step `docs`: the shell blocks of the book, run as they stand.
//!
//! The blocks of a page are run one after the other in one shell, in an empty directory, with the built server in `PATH`
//! and `olmstead` there leading to the repository. Whatever a page leaves running is killed behind it.

mod page;
mod places;

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::clients;
use crate::engines::Engine;
use crate::env::root;
use crate::process::{POLL, Running, build_olmstead, check, command, describe, olmstead_binary};
use crate::server::Scratch;
use crate::setup;
use page::{Block, Page, Then, matches};
use places::Places;

/// For one block.
const BLOCK: Duration = Duration::from_secs(90);
/// Lines shown of what a block printed.
const LINES: usize = 40;
/// Where the directory of a page keeps the blocks and what they print.
const BLOCKS: &str = ".blocks";
/// Kills a group of processes at the end of its input, which comes when this process closes it or ends, however it ends.
const KEEPER: &str = r#"read -r ended; kill -s KILL -- "-$1" 2>/dev/null"#;
/// In the directory of a page, leads to the repository.
const CLONE: &str = "olmstead";

/// Builds the server, and gets what the blocks use.
///
/// # Errors
/// If something does not build.
pub(crate) fn prepare() -> Result<(), Failure> {
    let mut build = build_olmstead(false)?;
    println!("$ {}", describe(&build));
    check(&mut build)?;
    if clients::are_there() { Ok(()) } else { clients::fetch() }
}

/// Runs the blocks of all pages on an engine, or of those with the filter in their path; with the URL of PostgreSQL for that
/// engine. Goes on after a page that fails.
///
/// # Errors
/// If a block fails, or prints something else than its page says.
pub(crate) fn run(engine: Engine, cluster: Option<&str>, filter: Option<&str>) -> Result<(), Failure> {
    let (mut ran, mut passed_over, mut failed) = (0, Vec::new(), Vec::new());
    for path in pages()? {
        if filter.is_some_and(|filter| !path.contains(filter)) {
            continue;
        }
        let text = fs::read_to_string(root().join(&path)).map_err(|e| format!("cannot read {path}: {e}"))?;
        let page = Page::parse(&text).map_err(|failure| format!("{path}: {failure}"))?;
        if page.engine.is_some_and(|only| only != engine) {
            continue;
        }
        let started = Instant::now();
        let blocks = page.blocks.iter().filter(|block| matches!(block.then, Then::Run { .. })).count();
        match run_page(&path, &page, engine, cluster) {
            Ok(()) if blocks == 0 => {}
            Ok(()) => {
                println!("{path}: {blocks} blocks ran in {:.1} s", started.elapsed().as_secs_f64());
                ran += blocks;
            }
            Err(failure) => {
                println!("{path}: FAILED\n{failure}");
                failed.push(path.clone());
            }
        }
        for block in &page.blocks {
            if let Then::PassOver(reason) = &block.then {
                passed_over.push(format!("  {path}:{}: {reason}", block.line));
            }
        }
    }
    println!("{ran} blocks ran on {}; {} were passed over:", engine.name(), passed_over.len());
    println!("{}", passed_over.join("\n"));
    match (failed.is_empty(), ran + passed_over.len()) {
        (true, 0) => Err("there are no blocks".to_owned()),
        (true, _) => Ok(()),
        (false, _) => Err(format!("blocks failed in {}", failed.join(", "))),
    }
}

/// The pages of the book, and the README.
fn pages() -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(root().join("docs")).map_err(|e| format!("cannot read docs: {e}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut pages: Vec<_> = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    Ok(pages)
}

/// Runs the blocks of a page, and compares what they print.
fn run_page(path: &str, page: &Page, engine: Engine, cluster: Option<&str>) -> Result<(), Failure> {
    let scratch = Scratch::new("docs")?;
    let mut places = Places::new(cluster);
    let here = scratch.path();
    lay_out(path, page, here, &mut places)?;
    if !page.blocks.iter().any(|block| matches!(block.then, Then::Run { .. })) {
        return Ok(());
    }
    let mut shell = shell(here)?;
    if engine == Engine::Postgres && page.engine.is_none() {
        // Over the configuration of the page, which names no database.
        shell.env("OLMSTEAD_STORAGE__ENGINE", "postgres").env("OLMSTEAD_STORAGE__URL", places.database("")?);
    }
    let ended = follow(&mut shell, here);
    let said = |number: usize| places.take_back(&fs::read_to_string(file(here, number, "out")).unwrap_or_default());
    let told = |number: usize, block: &Block, what: &str| {
        format!("{path}:{}: {what}\n{}{}", block.line, quoted(block, &said(number)), logs(here))
    };
    if let Err(failure) = ended {
        let at = fs::read_to_string(here.join(BLOCKS).join("at")).unwrap_or_default();
        let number = at.trim().parse().unwrap_or_default();
        let block = page.blocks.get(number).ok_or_else(|| failure.clone())?;
        return Err(told(number, block, &format!("the block {failure}")));
    }
    for (number, block) in page.blocks.iter().enumerate() {
        match &block.then {
            Then::Run { prints: Some(prints) } if !matches(prints, &said(number)) => {
                return Err(told(number, block, &format!("the block prints something else than\n\n{prints}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes the blocks of a page into its directory, each with the places it gets, and the script that runs one after another.
fn lay_out(path: &str, page: &Page, here: &Path, places: &mut Places) -> Result<(), Failure> {
    let write =
        |name: PathBuf, text: &str| fs::write(&name, text).map_err(|e| format!("cannot write {}: {e}", name.display()));
    fs::create_dir(here.join(BLOCKS)).map_err(|e| format!("cannot make a directory: {e}"))?;
    symlink(root(), here.join(CLONE)).map_err(|e| format!("cannot make a link: {e}"))?;
    let mut script = String::from("set -eu\n");
    for (number, block) in page.blocks.iter().enumerate() {
        let name = file(here, number, "sh");
        if matches!(block.then, Then::PassOver(_)) {
            // It is at least written in the shell's language.
            write(name.clone(), &block.commands)?;
            let mut read = Command::new("sh");
            read.arg("-n").arg(name);
            check(&mut read).map_err(|failure| format!("{path}:{}: {failure}", block.line))?;
            if let Some(unknown) = unknown_command(&block.commands) {
                return Err(format!("{path}:{}: there is no `cargo xtask {unknown}`", block.line));
            }
        } else {
            write(name, &places.give(&block.commands)?)?;
            let (block, out) = (format!("{BLOCKS}/{number}.sh"), format!("{BLOCKS}/{number}.out"));
            script.push_str(&format!("echo {number} >{BLOCKS}/at\n. ./{block} >{out} 2>&1\n"));
        }
    }
    script.push_str(&format!("echo end >{BLOCKS}/at\n"));
    write(here.join(BLOCKS).join("all"), &script)
}

/// A command of xtask that commands name and that is not there: most of what is passed over is of xtask.
fn unknown_command(commands: &str) -> Option<&str> {
    let mut named = commands.split("cargo xtask ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    named.find(|name| !crate::COMMANDS.contains(name))
}

/// A file of a block.
fn file(here: &Path, number: usize, kind: &str) -> PathBuf {
    here.join(BLOCKS).join(format!("{number}.{kind}"))
}

/// The ends of the logs that programs in the background wrote.
fn logs(here: &Path) -> String {
    let files = fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let shown = logs.map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        format!("--- {} ---\n{}", path.file_name().unwrap_or_default().to_string_lossy(), tail(&text))
    });
    shown.collect()
}

/// The commands of a block, and what it printed.
fn quoted(block: &Block, said: &str) -> String {
    let commands: String = block.commands.lines().map(|line| format!("$ {line}\n")).collect();
    format!("{commands}{}", tail(said))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("{line}\n")).collect()
}

/// The shell for the blocks of a page, without settings of who runs the test.
fn shell(here: &Path) -> Result<Command, Failure> {
    let mut shell = command("sh");
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OLMSTEAD_") {
            shell.env_remove(&name);
        }
    }
    let node = setup::node();
    let programs = [Some(olmstead_binary(false)), node].into_iter().flatten();
    let directories = programs.filter_map(|program| program.parent().map(Path::to_path_buf));
    let path = env::var_os("PATH").unwrap_or_default();
    // HAProxy is in the last, which users do not have.
    let others = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let path = env::join_paths(directories.filter(|directory| directory.is_absolute()).chain(others))
        .map_err(|e| format!("cannot set PATH: {e}"))?;
    let log = here.join(BLOCKS).join("shell");
    let log = File::create(&log).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    shell.arg(format!("{BLOCKS}/all")).current_dir(here).env("PATH", path).env("HOME", here);
    // Everything is on this machine.
    shell.env("NO_PROXY", "*").env("no_proxy", "*");
    shell.stdout(Stdio::null()).stderr(log).process_group(0);
    Ok(shell)
}

/// Runs the shell to its end, each block in its time, and kills what it leaves behind.
fn follow(shell: &mut Command, here: &Path) -> Result<(), Failure> {
    let mut running = Running::start(shell)?;
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper", &running.process().to_string()]).stdin(Stdio::piped()).process_group(0);
    let mut keeper = keeper.spawn().map_err(|e| format!("cannot run sh: {e}"))?;
    let (mut at, mut since) = (String::new(), Instant::now());
    let result = loop {
        if let Some(status) = running.ended() {
            break if status.success() { Ok(()) } else { Err(format!("failed ({status})")) };
        }
        let now = fs::read_to_string(here.join(BLOCKS).join("at")).unwrap_or_default();
        if now != at {
            (at, since) = (now, Instant::now());
        }
        if since.elapsed() > BLOCK {
            break Err(format!("still runs after {} s", BLOCK.as_secs()));
        }
        thread::sleep(POLL);
    };
    // This closes its input, too.
    keeper.wait().map_err(|e| format!("cannot wait for sh: {e}"))?;
    result
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn commands_of_xtask_are_there() {
        assert_eq!(unknown_command("cargo xtask drill crash # cargo\nX=1 cargo xtask test a\n"), None);
        assert_eq!(unknown_command("cargo xtask test a\ncargo xtask docs b\n"), Some("docs"));
    }

    #[test]
    fn what_a_page_leaves_running_is_killed() -> Result<(), Failure> {
        let scratch = Scratch::new("docs-test")?;
        // As long as anything of the page runs, this has not come to its end.
        let (mut reader, writer) = std::io::pipe().map_err(|e| e.to_string())?;
        let mut shell = Command::new("sh");
        shell.args(["-c", "tail -f /dev/null & exit 3"]).process_group(0).stdin(Stdio::null()).stdout(writer);
        let failed = follow(&mut shell, scratch.path());
        assert!(failed.is_err_and(|failure| failure.contains('3')));
        drop(shell);
        let (ended, wait) = mpsc::channel();
        thread::spawn(move || ended.send(reader.read_to_end(&mut Vec::new()).is_ok()));
        assert_eq!(wait.recv_timeout(Duration::from_secs(60)), Ok(true));
        Ok(())
    }
}
