//! The test executables, built once and run as often as there are engines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::engines::{Engine, FEATURES};
use crate::postgres::TEST_URL;
use crate::process::{capture, cargo, check, command, describe};

/// The variable in which the black-box tests find their engine.
const TEST_ENGINE: &str = "OLMSTEAD_TEST_ENGINE";
/// The test executable that runs on every engine.
const BLACKBOX: &str = "blackbox";
/// The test executable of a backend with the suite for all of them.
const CONFORMANCE: &str = "conformance";

/// What [`build`] built.
pub(crate) struct Suite(Vec<Executable>);

#[derive(Debug, PartialEq)]
struct Executable {
    path: PathBuf,
    /// The directory of its package.
    package: PathBuf,
    /// The name of its target.
    name: String,
    of: Of,
}

/// Which engines an executable is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    None,
    One(Engine),
    Every,
}

/// Builds all tests of the workspace.
///
/// # Errors
/// If they do not compile.
pub(crate) fn build() -> Result<Suite, Failure> {
    let mut build = cargo(["test", "--workspace"])?;
    build.args(FEATURES).args(["--no-run", "--message-format=json-render-diagnostics"]);
    println!("$ {}", describe(&build));
    let output = build.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|e| format!("cannot run `{}`: {e}", describe(&build)))?;
    if !output.status.success() {
        return Err("the tests do not compile".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let executables: Vec<Executable> = text.lines().filter_map(executable).collect();
    if executables.is_empty() { Err("cargo built no tests".to_owned()) } else { Ok(Suite(executables)) }
}

impl Suite {
    /// Runs what no engine makes a difference to, and the examples in the documentation.
    pub(crate) fn run_common(&self, filter: Option<&str>) -> Result<(), Failure> {
        let mut failed = self.run(Of::None, "", filter, &[])?;
        let mut doc = cargo(["test", "--workspace", "--quiet"])?;
        doc.args(FEATURES).arg("--doc").args(filter);
        println!("\n$ {}", describe(&doc));
        if check(&mut doc).is_err() {
            failed.push("documentation".to_owned());
        }
        verdict(failed)
    }

    /// Runs an engine's own tests, and those that run on every engine on this one. `cluster` is the URL of PostgreSQL,
    /// for the engine that needs it; `set` are more variables.
    pub(crate) fn run_on(
        &self,
        engine: Engine,
        cluster: Option<&str>,
        filter: Option<&str>,
        set: &[(&'static str, String)],
    ) -> Result<(), Failure> {
        self.same_conformance()?;
        let mut environment = vec![(TEST_ENGINE, engine.name())];
        environment.extend(cluster.map(|url| (TEST_URL, url)));
        environment.extend(set.iter().map(|(name, value)| (*name, value.as_str())));
        let on = format!(" on {}", engine.name());
        let mut failed = self.run(Of::One(engine), &on, filter, &environment)?;
        failed.extend(self.run(Of::Every, &on, filter, &environment)?);
        verdict(failed)
    }

    /// Runs one black-box test on an engine, and shows what it prints.
    pub(crate) fn run_drill(
        &self,
        engine: Engine,
        cluster: Option<&str>,
        name: &str,
        set: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let executable =
            self.0.iter().find(|executable| executable.of == Of::Every).ok_or("there is no black-box test")?;
        let mut test = command(&executable.path);
        test.current_dir(&executable.package).env("CARGO_MANIFEST_DIR", &executable.package);
        test.env(TEST_ENGINE, engine.name()).envs(cluster.map(|url| (TEST_URL, url))).envs(set.iter().copied());
        println!("\n--- {name} on {} ---", engine.name());
        check(test.args([name, "--nocapture"]))
    }

    /// Runs executables, all of them even when one fails; the names of those that did.
    fn run(&self, of: Of, on: &str, filter: Option<&str>, set: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        let mut failed = Vec::new();
        for executable in self.0.iter().filter(|executable| executable.of == of) {
            let mut test = command(&executable.path);
            test.current_dir(&executable.package).env("CARGO_MANIFEST_DIR", &executable.package);
            test.env_remove(TEST_ENGINE).env_remove(TEST_URL).envs(set.iter().copied()).args(filter);
            let title = format!("{}{on}", executable.title());
            println!("\n--- {title} ---");
            if check(&mut test).is_err() {
                println!("--- {title} FAILED ---");
                failed.push(title);
            }
        }
        Ok(failed)
    }

    /// Every backend runs the same conformance suite, test by test.
    fn same_conformance(&self) -> Result<(), Failure> {
        let mut lists = Vec::new();
        for executable in self.0.iter().filter(|executable| executable.name == CONFORMANCE) {
            if let Of::One(engine) = executable.of {
                let (_, text, _) = capture(command(&executable.path).args(["--list", "--format", "terse"]))?;
                lists.push((engine, text.lines().map(str::to_owned).collect::<BTreeSet<String>>()));
            }
        }
        let Some((first, tests)) = lists.first() else {
            return Err(format!("no backend has tests named {CONFORMANCE}"));
        };
        for (engine, others) in &lists {
            if let Some(test) = tests.symmetric_difference(others).next() {
                let (here, there) = if tests.contains(test) { (first, engine) } else { (engine, first) };
                return Err(format!("{test} is run on {}, and not on {}", here.name(), there.name()));
            }
        }
        if lists.len() == Engine::ALL.len() {
            println!("{} conformance tests, the same on every engine", tests.len());
            return Ok(());
        }
        Err(format!("some backend has no tests named {CONFORMANCE}"))
    }
}

impl Executable {
    /// The package's directory, and the name where that says more.
    fn title(&self) -> String {
        let package = self.package.file_name().unwrap_or_default().to_string_lossy();
        format!("{package}: {}", self.name)
    }
}

fn verdict(failed: Vec<String>) -> Result<(), Failure> {
    if failed.is_empty() { Ok(()) } else { Err(format!("tests failed in {}", failed.join(", "))) }
}

/// The test executable that a line of cargo's messages tells of.
fn executable(line: &str) -> Option<Executable> {
    if !line.contains("\"reason\":\"compiler-artifact\"") {
        return None;
    }
    let path = PathBuf::from(text(line, "\"executable\":\"")?);
    // Binaries that tests run are built along, but are no tests.
    line.split_once("\"profile\":{")?.1.split_once('}')?.0.contains("\"test\":true").then_some(())?;
    let target = line.split_once("\"target\":{")?.1;
    let name = text(target, "\"name\":\"")?.to_owned();
    let package = Path::new(text(line, "\"manifest_path\":\"")?).parent()?.to_owned();
    let backend = package.parent().and_then(Path::file_name).is_some_and(|directory| directory == "backends");
    let engine = package.file_name()?.to_str().and_then(|name| Engine::parse(name).ok());
    let of = match engine {
        Some(engine) if backend => Of::One(engine),
        _ if name == BLACKBOX => Of::Every,
        _ => Of::None,
    };
    Some(Executable { path, package, name, of })
}

/// The text between `start` and the next quotation mark.
fn text<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.split_once(start)?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(package: &str, kind: &str, name: &str, test: bool) -> String {
        format!(
            "{{\"reason\":\"compiler-artifact\",\"package_id\":\"x\",\"manifest_path\":\"/p/{package}/Cargo.toml\",\
             \"target\":{{\"kind\":[\"{kind}\"],\"crate_types\":[\"bin\"],\"name\":\"{name}\"}},\
             \"profile\":{{\"opt_level\":\"0\",\"test\":{test}}},\"executable\":\"/t/{name}-1\",\"fresh\":true}}"
        )
    }

    #[test]
    fn executables_are_for_one_engine_or_every_or_none() {
        let of = |package, name| executable(&message(package, "test", name, true)).map(|found| found.of);
        assert_eq!(of("crates/domain", "olmstead_domain"), Some(Of::None));
        assert_eq!(of("crates/server", "blackbox"), Some(Of::Every));
        assert_eq!(of("backends/rocksdb", "conformance"), Some(Of::One(Engine::RocksDb)));
        assert_eq!(of("backends/postgres", "olmstead_postgres"), Some(Of::One(Engine::Postgres)));
        assert_eq!(of("crates/postgres", "x"), Some(Of::None));
    }

    #[test]
    fn only_tests_are_run() {
        assert_eq!(executable(&message("crates/server", "bin", "olmstead", false)), None);
        let library =
            message("crates/domain", "lib", "x", true).replace("\"executable\":\"/t/x-1\"", "\"executable\":null");
        assert_eq!(executable(&library), None);
        assert_eq!(executable("{\"reason\":\"build-finished\",\"success\":true}"), None);
        let found = executable(&message("crates/domain", "lib", "olmstead_domain", true));
        assert_eq!(found.map(|found| found.title()).as_deref(), Some("domain: olmstead_domain"));
    }
}
