//! The book: every page is in its table of contents, every link leads somewhere, and code that is shown is what it says.

use std::collections::BTreeMap;

use crate::markdown::Page;

/// Where the pages are.
const BOOK: &str = "docs/";
/// The table of contents.
const SUMMARY: &str = "docs/SUMMARY.md";
/// A comment before a block that shows a file of the repository, whose path follows.
const FILE: &str = "file:";

/// What is wrong with the pages, given as path and text. `read` has the text of a file of the repository, and `None` of
/// what is not there; directories are there.
pub(super) fn check(pages: &[(String, String)], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut parsed = BTreeMap::new();
    for (path, text) in pages {
        match Page::parse(text) {
            Ok(page) => drop(parsed.insert(path.as_str(), page)),
            Err(failure) => problems.push(format!("{path}: {failure}")),
        }
    }
    for (path, page) in &parsed {
        let links = page.links();
        if *path == SUMMARY {
            problems.extend(contents(&links, &parsed));
        }
        for (line, link) in links {
            problems.extend(leads_nowhere(path, &link, &parsed, &read).map(|why| format!("{path}:{line}: {why}")));
        }
        for block in &page.blocks {
            for file in block.comments.iter().filter_map(|comment| comment.strip_prefix(FILE)) {
                if read(file.trim()).as_ref() != Some(&block.text) {
                    problems.push(format!("{path}:{}: the block is not what is in {}", block.line, file.trim()));
                }
            }
        }
    }
    problems
}

/// What is wrong with the table of contents that has these links.
fn contents(links: &[(usize, String)], pages: &BTreeMap<&str, Page>) -> Vec<String> {
    let mut problems = Vec::new();
    for page in pages.keys().filter(|page| page.starts_with(BOOK) && **page != SUMMARY) {
        let times = links.iter().filter(|(_, link)| resolve(SUMMARY, link).as_deref() == Some(*page)).count();
        if times != 1 {
            problems.push(format!("{SUMMARY}: {page} is in it {times} times"));
        }
    }
    problems
}

/// Why a link on a page leads nowhere, if it does.
fn leads_nowhere(
    page: &str,
    link: &str,
    pages: &BTreeMap<&str, Page>,
    read: &impl Fn(&str) -> Option<String>,
) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { Some(page.to_owned()) } else { resolve(page, path) };
    let Some(target) = target.filter(|target| !link.is_empty() && read(target).is_some()) else {
        return Some(format!("the link `{link}` leads nowhere"));
    };
    // Lines of source are addressed too; only headings can be looked up.
    let anchor = anchor?;
    let headings = pages.get(target.as_str())?.anchors();
    (!headings.iter().any(|heading| heading == anchor))
        .then(|| format!("the link `{link}` names no heading of {target}"))
}

/// The path, from the root, of a link on a page; `None` if it leads out of the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: Vec<_> = pages.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        check(&pages, |path| {
            let page = pages.iter().find(|(known, _)| known == path).map(|(_, text)| text.clone());
            page.or_else(|| (path == "src/a.rs").then(|| "fn a() {}\n".to_owned()))
        })
    }

    #[test]
    fn every_page_is_in_the_table_of_contents_once() {
        let summary = "# Summary\n- [One](one.md)\n- [Two](two.md)\n- [Two](two.md)\n";
        let found = problems(&[(SUMMARY, summary), ("docs/one.md", ""), ("docs/two.md", ""), ("docs/three.md", "")]);
        assert_eq!(
            found,
            ["docs/SUMMARY.md: docs/three.md is in it 0 times", "docs/SUMMARY.md: docs/two.md is in it 2 times"]
        );
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let page = "# A b\n[up](../README.md#top) [here](#a-b) [code](../src/a.rs) [web](https://example.org/x)\n";
        assert_eq!(problems(&[("docs/a.md", page), ("README.md", "# Top\n[a](docs/a.md)\n")]), [] as [String; 0]);
        let found = problems(&[
            ("docs/a.md", "[x](b.md)\n[y](../README.md#nothing)\n[z](../../out.md)\n[e]()\n"),
            ("README.md", ""),
        ]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].starts_with("docs/a.md:2: ") && found[1].contains("names no heading"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_shown_is_shown_as_it_is() {
        let shown =
            |code: &str| problems(&[("docs/a.md", &format!("<!-- file: src/a.rs -->\n\n```rust\n{code}```\n"))]);
        assert!(shown("fn a() {}\n").is_empty());
        assert_eq!(shown("fn b() {}\n").len(), 1);
    }
}
