//! Checks of a single file's text.

/// Directories of the machines this was written on, which mean nothing on others. In pieces, since this file is
/// checked too.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Generated files, and texts that are not ours.
const EXEMPT: [&str; 3] = ["Cargo.lock", "package-lock.json", "LICENSE"];

/// The problems of a file, each with its place.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let file = path.rsplit('/').next().unwrap_or(path);
    if !EXEMPT.contains(&file) {
        for machine_path in MACHINE_PATHS {
            for (line, content) in numbered(text) {
                if starts_path(content, machine_path) {
                    problems.push(format!("{path}:{line}: a path of one machine, {machine_path}"));
                }
            }
        }
    }
    if path.ends_with(".rs") {
        let code = code_only(text);
        for (needle, why) in [
            ("unsafe", "unsafe code"),
            ("todo!(", "unfinished code"),
            ("dbg!(", "left-over debugging"),
            ("#[ignore", "a test that does not run"),
        ] {
            report(&mut problems, path, &code, needle, why);
        }
        let tests = if is_test_file(path) { code } else { test_modules(&code) };
        report(&mut problems, path, &tests, "sleep(", "a test waits for an event, not for time");
    } else if is_test_file(path) && [".js", ".mjs"].iter().any(|end| path.ends_with(end)) {
        report(&mut problems, path, text, "sleep(", "a test waits for an event, not for time");
    }
    problems
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn report(problems: &mut Vec<String>, path: &str, code: &str, needle: &str, why: &str) {
    for (line, content) in numbered(code) {
        if has_word(content, needle) {
            problems.push(format!("{path}:{line}: `{needle}`: {why}"));
        }
    }
}

/// Whether `needle` stands in `line` and is not part of a longer identifier.
fn has_word(line: &str, needle: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(needle).any(|(at, found)| {
        let before = line[..at].chars().next_back().is_some_and(word);
        let after = line[at + found.len()..].chars().next().is_some_and(word);
        let (opens, closes) = (needle.starts_with(word), needle.ends_with(word));
        !(before && opens || after && closes)
    })
}

/// Whether an absolute path begins with `prefix` here (and not `https://example.org/…` or `a/…`).
fn starts_path(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "_-./}>)]*$".contains(c)))
    })
}

/// Tests and what only tests use.
fn is_test_file(path: &str) -> bool {
    let stem = path.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default();
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.starts_with("crates/conformance/")
        || stem == "tests"
        || stem.ends_with("_tests")
        || stem.ends_with("_test")
}

/// The bodies of items under `#[cfg(test)]`; everything else is blank.
fn test_modules(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&blank(&rest[..at]));
        let item = &rest[at..];
        let end = item_end(item);
        kept.push_str(&item[..end]);
        rest = &item[end..];
    }
    kept.push_str(&blank(rest));
    kept
}

fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// Where the item ends that this text begins with: at its `;`, or where its first brace closes.
fn item_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Rust with comments and the contents of literals blanked out, line for line.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match at(i) {
            '/' if at(i + 1) == '/' => find(&chars, i, |c| c == '\n'),
            '/' if at(i + 1) == '*' => block_comment_end(&chars, i),
            '"' => string_end(&chars, i),
            'r' if !(i > 0 && is_word(at(i - 1)) && !is_literal_prefix(&chars, i)) => {
                raw_string_end(&chars, i).unwrap_or(i)
            }
            '\'' if at(i + 1) == '\\' => find(&chars, i + 3, |c| c == '\'').saturating_add(1),
            '\'' if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            code.push(at(i));
            i += 1;
        } else {
            let end = end.min(chars.len());
            code.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the character before `i` is the `b` or `c` of `br"…"` or `cr"…"`.
fn is_literal_prefix(chars: &[char], i: usize) -> bool {
    matches!(chars.get(i - 1), Some('b' | 'c')) && !(i > 1 && is_word(chars[i - 2]))
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&i| wanted(chars[i])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0_usize, start);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => {
                depth += 1;
                i += 2;
            }
            ('*', '/') => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"` or `r#"…"#` if one begins here.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes =
        |i: usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    Some((open + 1..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let text = "a // unsafe\n\"un\\\"safe\" b /* x /* unsafe */ y */ r#\"unsafe \"\"# 'c' '\\'' 'life";
        let code = code_only(text);
        assert!(!code.contains("unsafe"), "{code}");
        assert_eq!(code.lines().count(), 2);
        assert!(code.contains('b') && code.contains("'life"));
        assert!(code_only("br\"unsafe\" for").ends_with(" for"));
        assert!(!code_only("br\"unsafe\"").contains("unsafe"));
        assert!(code_only("let r = for_r; unsafe {").contains("unsafe {"));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("    unsafe {", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(has_word("tokio::time::sleep(x)", "sleep("));
        assert!(!has_word("never_sleep(x)", "sleep("));
        assert!(has_word("#[ignore = \"why\"]", "#[ignore"));
    }

    #[test]
    fn forbidden_constructs_are_found_with_their_line() {
        let found = check("crates/a/src/b.rs", "fn a() {}\nfn b() { todo!() }\n#[ignore]\nfn c() {}");
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("crates/a/src/b.rs:2:"));
        assert!(found[1].starts_with("crates/a/src/b.rs:3:"));
    }

    #[test]
    fn tests_do_not_sleep_and_code_may() {
        let code = "fn a() { sleep(1); }\n";
        assert!(check("crates/a/src/b.rs", code).is_empty());
        assert_eq!(check("crates/a/tests/b.rs", code).len(), 1);
        let module = format!("{code}#[cfg(test)]\nmod tests {{\n {code} }}\n{code}");
        assert_eq!(check("crates/a/src/b.rs", &module).len(), 1);
        assert_eq!(check("tests/clients/js/a.mjs", "await sleep(5)").len(), 1);
    }

    #[test]
    fn machine_paths_are_found_and_web_addresses_are_not() {
        let path = MACHINE_PATHS[0];
        assert_eq!(check("a.md", &format!("see {path}x")).len(), 1);
        assert_eq!(check("a.md", &format!("`{path}x`")).len(), 1);
        assert!(check("a.md", &format!("https://example.org{path}x")).is_empty());
        assert!(check("Cargo.lock", &format!("see {path}x")).is_empty());
    }
}
