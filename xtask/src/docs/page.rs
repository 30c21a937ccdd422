//! What a page of the book asks to be run.
//!
//! A block that opens with `sh` is run, and what it prints is compared with the block that opens with `output` behind it,
//! if there is one. Comments in the page say the rest: `not run: REASON` before a block passes over it, and `run on:
//! ENGINE` makes a page one of that engine alone.

use crate::Failure;
use crate::engines::Engine;
use crate::markdown;

/// Opens a block to run.
const SHELL: &str = "sh";
/// Opens a block with what the last block to run prints.
const OUTPUT: &str = "output";
/// A comment before a block that cannot be run in a test, with the reason.
const NOT_RUN: &str = "not run:";
/// A comment in a page that is about one engine.
const RUN_ON: &str = "run on:";

/// The blocks of a page.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    /// The engine that it is about, if it is about one; its configuration then names that engine's store.
    pub(super) engine: Option<Engine>,
    pub(super) blocks: Vec<Block>,
}

/// A shell block.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    /// Where it is in the page.
    pub(super) line: usize,
    pub(super) commands: String,
    pub(super) then: Then,
}

/// What becomes of a block.
#[derive(Debug, PartialEq)]
pub(super) enum Then {
    /// It is run, and prints this if something is said.
    Run { prints: Option<String> },
    /// It is not, for this reason.
    PassOver(String),
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// If a comment or an output belongs to no block, or a reason is missing.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let read = markdown::Page::parse(text)?;
        let mut engine = None;
        let before_blocks = read.blocks.iter().flat_map(|block| &block.comments);
        for comment in read.comments.iter().chain(before_blocks) {
            if let Some(name) = comment.strip_prefix(RUN_ON) {
                engine = Some(Engine::parse(name.trim())?);
            }
        }
        if let Some(comment) = read.comments.iter().find(|comment| comment.starts_with(NOT_RUN)) {
            return Err(format!("no shell block follows the comment `{comment}`"));
        }
        let mut blocks: Vec<Block> = Vec::new();
        for block in read.blocks {
            let reason = block.comments.iter().find_map(|comment| comment.strip_prefix(NOT_RUN)).map(str::trim);
            match (block.info.as_str(), reason) {
                (SHELL, Some("")) => return Err(format!("line {}: why is the block not run?", block.line)),
                (SHELL, reason) => {
                    let then = match reason {
                        Some(reason) => Then::PassOver(reason.to_owned()),
                        None => Then::Run { prints: None },
                    };
                    blocks.push(Block { line: block.line, commands: block.text, then });
                }
                (OUTPUT, None) => match blocks.last_mut().map(|block| &mut block.then) {
                    Some(Then::Run { prints: prints @ None }) => *prints = Some(block.text),
                    _ => return Err(format!("line {}: no block that is run prints this", block.line)),
                },
                (_, Some(_)) => return Err(format!("line {}: only a shell block can be passed over", block.line)),
                _ => {}
            }
        }
        Ok(Self { engine, blocks })
    }
}

/// Whether a text is as a page says: line for line, where `…` stands for anything in a line and, alone in its line, for any
/// number of lines.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<&str> = pattern.lines().collect();
    let text: Vec<&str> = text.lines().collect();
    lines_match(&pattern, &text)
}

fn lines_match(pattern: &[&str], text: &[&str]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((&"…", rest)) => (0..=text.len()).any(|skipped| lines_match(rest, &text[skipped..])),
        Some((first, rest)) => {
            text.split_first().is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others))
        }
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_blocks_are_run_in_order_and_others_are_not() {
        let text = "<!-- run on: postgres -->\n\n```sh\none\n```\nprints\n```output\n1\n```\n\n<!-- not run: needs root -->\n\
                    ```sh\ntwo\n```\n```toml\na = 1\n```\n```sh\nthree\n```\n";
        let block = |line, commands: &str, then| Block { line, commands: commands.to_owned(), then };
        let blocks = vec![
            block(3, "one\n", Then::Run { prints: Some("1\n".to_owned()) }),
            block(12, "two\n", Then::PassOver("needs root".to_owned())),
            block(18, "three\n", Then::Run { prints: None }),
        ];
        assert_eq!(Page::parse(text), Ok(Page { engine: Some(Engine::Postgres), blocks }));
    }

    #[test]
    fn a_block_is_not_passed_over_by_mistake() {
        let refused = |text: &str| Page::parse(text).is_err();
        assert!(refused("<!-- not run: -->\n```sh\none\n```\n"));
        assert!(refused("<!-- not run: it stands before text -->\n\nText.\n\n```sh\none\n```\n"));
        assert!(refused("<!-- not run: it is no shell -->\n```toml\none = 1\n```\n"));
        assert!(refused("<!-- run on: sled -->\n```sh\none\n```\n"));
    }

    #[test]
    fn an_output_is_of_a_block_that_is_run() {
        let refused = |text: &str| Page::parse(text).is_err();
        assert!(refused("```output\n1\n```\n"));
        assert!(refused("<!-- not run: why -->\n```sh\none\n```\n```output\n1\n```\n"));
        assert!(refused("```sh\none\n```\n```output\n1\n```\n```output\n1\n```\n"));
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(matches("a\nb\n", "a\nb\n"));
        assert!(!matches("a\nb\n", "a\nb\nc\n"));
        assert!(!matches("a\nb\n", "a\n"));
        assert!(matches("{\"id\":\"…\",\"n\":…}\n", "{\"id\":\"x\",\"n\":7}\n"));
        assert!(!matches("{\"id\":\"…\"}\n", "{\"di\":\"x\"}\n"));
        assert!(!matches("…a", "ab"));
        assert!(matches("…\nend", "one\ntwo\nend"));
        assert!(matches("one\n…\n", "one\n"));
        assert!(!matches("one\n…\nend\n", "one\ntwo\n"));
    }
}
