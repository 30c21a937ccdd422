//! As much TOML as the checks need: the dependencies of a Cargo.toml, the keys of a configuration file.

use std::collections::BTreeSet;

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the product (or its build script).
    Normal,
    /// Only in tests, examples and benches.
    Dev,
}

/// The package's name and its dependencies, by their package names.
pub(crate) fn package(text: &str) -> (Option<String>, Vec<(Kind, String)>) {
    let mut name = None;
    let mut dependencies: Vec<(Kind, String)> = Vec::new();
    let mut section = Vec::new();
    for line in lines(text) {
        if let Some(header) = header(line) {
            section = segments(header);
            if let Some((kind, Some(dependency))) = dependency_table(&section) {
                dependencies.push((kind, dependency));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = segments(key.trim());
        let (Some(first), value) = (key.first(), value.trim()) else {
            continue;
        };
        match dependency_table(&section) {
            Some((kind, None)) => {
                let renamed = value.split_once("package").and_then(|(_, rest)| quoted(rest));
                dependencies.push((kind, renamed.unwrap_or_else(|| first.clone())));
            }
            Some((_, Some(_))) if first == "package" => {
                if let (Some(last), Some(renamed)) = (dependencies.last_mut(), quoted(value)) {
                    last.1 = renamed;
                }
            }
            None if section == ["package"] && key == ["name"] => name = quoted(value),
            _ => {}
        }
    }
    (name, dependencies)
}

/// The keys a TOML file sets, dotted. A key set to an inline table stands for all below it.
pub(crate) fn keys(text: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in lines(text) {
        if let Some(header) = header(line) {
            section = segments(header).join(".");
        } else if let Some((key, _)) = line.split_once('=') {
            let key = segments(key.trim()).join(".");
            keys.insert(if section.is_empty() { key } else { format!("{section}.{key}") });
        }
    }
    keys
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn header(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('[')?;
    let (inside, _) = rest.rsplit_once(']')?;
    Some(inside.trim_start_matches('[').trim_end_matches(']'))
}

/// `dependencies` → the kind; `dependencies.name` → the kind and the name.
fn dependency_table(section: &[String]) -> Option<(Kind, Option<String>)> {
    let kind = |segment: &String| match segment.as_str() {
        "dependencies" | "build-dependencies" => Some(Kind::Normal),
        "dev-dependencies" => Some(Kind::Dev),
        _ => None,
    };
    // The root's [workspace.dependencies] is a price list, not a purchase.
    if section.first().is_some_and(|first| first == "workspace") {
        return None;
    }
    match section {
        [.., last] if kind(last).is_some() => Some((kind(last)?, None)),
        [.., table, name] => Some((kind(table)?, Some(name.clone()))),
        _ => None,
    }
}

/// Splits a dotted key; dots within quotes do not count.
fn segments(key: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quote = None;
    for c in key.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('.', None) => all.push(String::new()),
            (c, None) if c.is_whitespace() => {}
            _ => {
                if let Some(last) = all.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    all
}

/// The first string in quotes.
fn quoted(text: &str) -> Option<String> {
    text.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_dependency() {
        let (name, dependencies) = package(
            r#"
            [package]
            name = "it"
            version.workspace = true
            [dependencies]
            a.workspace = true
            b = "1" # a comment
            c = { package = "real-c", version = "1" }
            [target.'cfg(not(unix))'.dependencies]
            d = { version = "1" }
            [dependencies.e]
            version = "1"
            [dev-dependencies]
            f = "1"
            [dev-dependencies.g]
            package = "real-g"
            [features]
            rocksdb = ["dep:h"]
            "#,
        );
        assert_eq!(name.as_deref(), Some("it"));
        let expected = [
            (Kind::Normal, "a"),
            (Kind::Normal, "b"),
            (Kind::Normal, "real-c"),
            (Kind::Normal, "d"),
            (Kind::Normal, "e"),
            (Kind::Dev, "f"),
            (Kind::Dev, "real-g"),
        ];
        assert_eq!(dependencies, expected.map(|(kind, name)| (kind, name.to_owned())));
    }

    #[test]
    fn the_workspace_table_is_no_dependency() {
        assert_eq!(package("[workspace.dependencies]\na = \"1\"").1, []);
    }

    #[test]
    fn reads_the_keys_of_a_configuration() {
        let found = keys("listen = [\n \"a\",\n]\n[storage]\npath = 'x'\n# no = 1\n[a.b]\nc.d = 1");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a.b.c.d", "listen", "storage.path"]);
    }
}
