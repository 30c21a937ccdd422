//! The tags of tests: the ids that a test's documentation begins with.

use super::rows::Id;

/// A test and the rows it says it shows.
#[derive(Debug, PartialEq)]
pub(super) struct Test {
    /// The source file, from the root of the repository.
    pub(super) file: String,
    pub(super) name: String,
    pub(super) rows: Vec<Id>,
    /// What its documentation says behind the ids; the words of its name if that is nothing.
    pub(super) says: String,
}

/// The tests of a source file that have tags.
pub(super) fn tests(file: &str, source: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    let (mut documentation, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            documentation.push(text.trim());
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
        } else {
            if let Some(name) = function(line).filter(|_| is_test) {
                tests.extend(tagged(file, name, &documentation));
            }
            documentation.clear();
            is_test = false;
        }
    }
    tests
}

/// The name of the function that a line declares.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

fn tagged(file: &str, name: &str, documentation: &[&str]) -> Option<Test> {
    // The first paragraph.
    let text = documentation.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let end = text.find([':', '.']).unwrap_or(text.len());
    let rows: Vec<Id> = text[..end].split(',').map(|id| Id::parse(id.trim())).collect::<Option<_>>()?;
    let says = text[end..].trim_start_matches([':', '.']).trim();
    let says = if says.is_empty() { format!("{}.", name.replace('_', " ")) } else { says.to_owned() };
    Some(Test { file: file.to_owned(), name: name.to_owned(), rows, says })
}

#[cfg(test)]
mod unit {
    use super::*;

    fn rows(source: &str) -> Vec<(String, String, String)> {
        let text = |test: Test| {
            let rows: Vec<String> = test.rows.iter().map(Id::to_string).collect();
            (test.name, rows.join(" "), test.says)
        };
        tests("a.rs", source).into_iter().map(text).collect()
    }

    #[test]
    fn ids_at_the_start_of_the_documentation_are_tags() {
        let source = "
            /// OTK-5, OTK-6: the same key again
            /// is no news.
            ///
            /// More about DK-1.
            #[tokio::test(flavor = \"multi_thread\")]
            async fn a_key() {

            /// KQ-1.
            #[tokio::test]
            async fn what_is_needed() {
        ";
        let says = "the same key again is no news.".to_owned();
        let expected = [
            ("a_key".to_owned(), "OTK-5 OTK-6".to_owned(), says),
            ("what_is_needed".to_owned(), "KQ-1".to_owned(), "what is needed.".to_owned()),
        ];
        assert_eq!(rows(source), expected);
    }

    #[test]
    fn what_is_no_test_or_has_no_ids_is_passed_over() {
        let source = "
            /// DK-1: a helper.
            async fn helper() {

            /// As DK-1 says.
            #[tokio::test]
            async fn untagged() {

            /// DK-1: documentation of something else.
            const X: u8 = 1;

            #[tokio::test]
            async fn bare() {
        ";
        assert_eq!(rows(source), []);
    }
}
