//! `requirements`: which rows of the acceptance matrix the black-box tests show.
//!
//! A test says which rows it shows at the start of its documentation: `/// OTK-5, OTK-6: the same key again …`. The
//! rows and their levels are listed in `docs/requirements/levels.txt`, and what is left out on purpose, with the
//! reason, in `docs/requirements/left-out.txt`. What the specification leaves open is decided in `docs/decisions.md`.

mod coverage;
mod decisions;
mod page;
mod rows;
mod tags;

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::args::Args;
use crate::env::root;
use coverage::Coverage;

const LEVELS: &str = "docs/requirements/levels.txt";
const LEFT_OUT: &str = "docs/requirements/left-out.txt";
const PAGE: &str = "docs/requirements.md";
const DECISIONS: &str = "docs/decisions.md";
const TESTS: &str = "crates/server/tests/blackbox";

/// Prints what is shown area by area and writes the page; with `--check` the page must be right as it is.
///
/// # Errors
/// If a row that must be shown is not, if a tag or a reason is wrong, or if the page is out of date under `--check`.
pub(crate) fn run(mut args: Args) -> Result<(), Failure> {
    let check = match args.next().as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => return Err(format!("there is no option `{other}`; see `cargo xtask help`")),
    };
    args.finish()?;
    let root = root();
    let rows = rows::parse(&read(&root, LEVELS)?)?;
    let reasons = rows::reasons(&read(&root, LEFT_OUT)?)?;
    let mut tests = Vec::new();
    collect(&root, Path::new(TESTS), &mut tests)?;
    let coverage = Coverage::new(rows, reasons, tests);
    print!("{}", coverage.table());
    let mut problems = coverage.problems();
    problems.extend(decisions::problems(&root, DECISIONS, &read(&root, DECISIONS)?));
    for problem in &problems {
        println!("error: {problem}");
    }
    let page = page::write(&coverage);
    if check {
        if read(&root, PAGE).ok().as_ref() != Some(&page) {
            return Err(format!("{PAGE} is out of date; `cargo xtask requirements` writes it"));
        }
    } else {
        fs::write(root.join(PAGE), page).map_err(|e| format!("cannot write {PAGE}: {e}"))?;
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} problem(s) with the requirements")),
    }
}

fn read(root: &Path, path: &str) -> Result<String, Failure> {
    fs::read_to_string(root.join(path)).map_err(|e| format!("cannot read {path}: {e}"))
}

/// The tests in the sources below a directory, file by file in the order of their paths.
fn collect(root: &Path, directory: &Path, tests: &mut Vec<tags::Test>) -> Result<(), Failure> {
    let fail = |e: std::io::Error| format!("cannot read {}: {e}", directory.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(root.join(directory)).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        entries.push((directory.join(entry.file_name()), entry.file_type().map_err(fail)?.is_dir()));
    }
    entries.sort();
    for (path, is_directory) in entries {
        let name = path.to_string_lossy();
        if is_directory {
            collect(root, &path, tests)?;
        } else if name.ends_with(".rs") {
            tests.extend(tags::tests(&name, &read(root, &name)?));
        }
    }
    Ok(())
}
