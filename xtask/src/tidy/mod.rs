//! `tidy`: checks of this project's own, over the files git tracks.

mod book;
mod layers;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::env::root;
use crate::process::{capture, command};

/// A file longer than this is mentioned, not refused.
const LONG: usize = 600;

/// Runs every check and prints what it finds.
pub(crate) fn run() -> Result<(), Failure> {
    let root = root();
    let files = tracked_files(&root)?;
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let (mut manifests, mut pages) = (Vec::new(), Vec::new());
    for path in &files {
        // Deleted but not yet committed, or not text: nothing to say about either.
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        if path.ends_with("Cargo.toml") {
            manifests.push((path.clone(), text.clone()));
        }
        if path.ends_with(".md") {
            pages.push((path.clone(), text.clone()));
        }
        problems.extend(source::check(path, &text));
        let lines = text.lines().count();
        if lines > LONG && [".rs", ".mjs", ".js"].iter().any(|end| path.ends_with(end)) {
            warnings.push(format!("{path}: {lines} lines, more than {LONG}"));
        }
    }
    problems.extend(layers::check(&manifests));
    problems.extend(book::check(&pages, |path| {
        let path = root.join(path);
        if path.is_dir() { Some(String::new()) } else { fs::read_to_string(path).ok() }
    }));
    for warning in &warnings {
        println!("warning: {warning}");
    }
    for problem in &problems {
        println!("error: {problem}");
    }
    println!("tidy: {} files, {} problems, {} warnings", files.len(), problems.len(), warnings.len());
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("tidy found {count} problem(s)")),
    }
}

/// The files git tracks, relative to the root, sorted; without git, all but the known litter.
fn tracked_files(root: &Path) -> Result<Vec<String>, Failure> {
    let mut git = command("git");
    // The checkout may belong to another user, as it does in many CI set-ups.
    git.arg("-c").arg(format!("safe.directory={}", root.display())).args(["ls-files", "-z"]);
    let mut files: Vec<String> = match capture(&mut git) {
        Ok((true, names, _)) => names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        _ => walk(root)?,
    };
    files.sort();
    if files.is_empty() { Err("there are no files to check".to_owned()) } else { Ok(files) }
}

fn walk(root: &Path) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let here = root.join(&directory);
        let entries = fs::read_dir(&here).map_err(|e| format!("cannot read {}: {e}", here.display()))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = directory.join(&name);
            let litter = [".git", "target", "node_modules", "olmstead-data", "olmstead-data-postgres"];
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !litter.iter().any(|known| name == *known) => {
                    directories.push(path);
                }
                Ok(kind) if kind.is_file() => files.push(path.to_string_lossy().into_owned()),
                _ => {}
            }
        }
    }
    Ok(files)
}
