//! The decisions on what the specification leaves open: each has a test that is there.

use std::path::Path;

use super::read;

/// What is wrong with the page: a decision without a test, or a test that is not where the page says.
pub(super) fn problems(root: &Path, name: &str, page: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let tests = tests(section);
        if tests.is_empty() {
            problems.push(format!("{name}: \"{title}\" has no test"));
        }
        for (test, file) in tests {
            let there = read(root, &file).is_ok_and(|source| source.contains(&format!("fn {test}(")));
            if !there {
                problems.push(format!("{name}: \"{title}\" names {test}, which is not in {file}"));
            }
        }
    }
    problems
}

/// The tests that a section links: their names and files.
fn tests(section: &str) -> Vec<(String, String)> {
    let links = section.split("[`").skip(1).filter_map(|rest| rest.split_once("`](../"));
    links.filter_map(|(test, rest)| Some((test.to_owned(), rest.split_once(')')?.0.to_owned()))).collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn links_are_read() {
        let section = "Title\nText [page](x.md). Test: [`a_b`](../crates/x.rs), [`c`](../y.rs).";
        let pair = |test: &str, file: &str| (test.to_owned(), file.to_owned());
        assert_eq!(tests(section), [pair("a_b", "crates/x.rs"), pair("c", "y.rs")]);
    }

    #[test]
    fn a_decision_needs_a_test_that_is_there() {
        let page = "# All\n\n## One\nText.\n\n## Two\n[`links_are_read`](../xtask/src/requirements/decisions.rs)\n\n## Three\n\
                    [`gone`](../xtask/src/requirements/decisions.rs)";
        let found = problems(&crate::env::root(), "p", page);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|problem| !problem.contains("Two")), "{found:?}");
    }
}
