//! What the project's own checks read in a page of Markdown: fenced blocks with the comments before them, headings, links.

use crate::Failure;

/// A page.
pub(crate) struct Page {
    /// Its fenced blocks, in order.
    pub(crate) blocks: Vec<Block>,
    /// Its comments that stand before no block, in order.
    pub(crate) comments: Vec<String>,
    /// Its lines outside of blocks and comments, with their numbers.
    prose: Vec<(usize, String)>,
}

/// A fenced block.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// The line of the fence that opens it.
    pub(crate) line: usize,
    /// What stands behind that fence.
    pub(crate) info: String,
    /// What is in it, each line with its end.
    pub(crate) text: String,
    /// The comments directly before it.
    pub(crate) comments: Vec<String>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// If a block or a comment has no end.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut page = Self { blocks: Vec::new(), comments: Vec::new(), prose: Vec::new() };
        // Comments with only empty lines behind them so far.
        let mut waiting = Vec::new();
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        while let Some((number, line)) = lines.next() {
            let indent = line.len() - line.trim_start().len();
            if let Some((fence, info)) = fence(line) {
                let mut block = Block {
                    line: number,
                    info: info.to_owned(),
                    text: String::new(),
                    comments: std::mem::take(&mut waiting),
                };
                loop {
                    let (_, line) = lines.next().ok_or_else(|| format!("line {number}: a block without an end"))?;
                    if line.trim_start().starts_with(fence) && line.trim().chars().all(|c| fence.starts_with(c)) {
                        break;
                    }
                    // A block in a list is as deep as its fence.
                    let blank = line.len() - line.trim_start().len();
                    block.text.push_str(&line[indent.min(blank)..]);
                    block.text.push('\n');
                }
                page.blocks.push(block);
            } else if let Some(begun) = line.trim_start().strip_prefix("<!--") {
                let mut comment = begun.to_owned();
                while !comment.contains("-->") {
                    let (_, line) = lines.next().ok_or_else(|| format!("line {number}: a comment without an end"))?;
                    comment.push(' ');
                    comment.push_str(line.trim());
                }
                let comment = comment.split("-->").next().unwrap_or_default();
                waiting.push(comment.trim().to_owned());
            } else {
                if !line.trim().is_empty() {
                    page.comments.append(&mut waiting);
                }
                page.prose.push((number, line.to_owned()));
            }
        }
        page.comments.append(&mut waiting);
        Ok(page)
    }

    /// The anchors of its headings, as GitHub and mdBook make them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, line) in &self.prose {
            let hashes = line.chars().take_while(|&c| c == '#').count();
            let Some(title) = line[hashes..].strip_prefix(' ').filter(|_| (1..=6).contains(&hashes)) else { continue };
            let anchor = anchor(title);
            let again = (1..).map(|n| format!("{anchor}-{n}"));
            let free = std::iter::once(anchor.clone()).chain(again).find(|name| !anchors.contains(name));
            anchors.extend(free);
        }
        anchors
    }

    /// Where its links lead, with their lines.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        // A link may go on in the next line, so text is looked at as a whole.
        let mut links = Vec::new();
        let mut text = String::new();
        let mut starts = Vec::new();
        for (number, line) in &self.prose {
            starts.push((text.len(), *number));
            if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
                links.push((*number, target.trim().to_owned()));
            }
            text.push_str(line);
            text.push('\n');
        }
        let text = without_code(&text);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', ' ', '\n']).next().unwrap_or_default();
            let number = starts.iter().rev().find(|(start, _)| *start <= at).map_or(0, |(_, number)| *number);
            links.push((number, target.to_owned()));
        }
        links
    }
}

/// The fence that a line opens, and what stands behind it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = line.chars().next().filter(|mark| "`~".contains(*mark))?;
    let info = line.trim_start_matches(mark);
    let fence = &line[..line.len() - info.len()];
    (fence.len() >= 3 && !info.contains('`')).then(|| (fence, info.trim()))
}

/// The text with what is in backticks blanked out, byte for byte.
fn without_code(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for (index, piece) in text.split('`').enumerate() {
        if index > 0 {
            kept.push(' ');
        }
        if index % 2 == 0 {
            kept.push_str(piece);
        } else {
            kept.extend(piece.bytes().map(|_| ' '));
        }
    }
    kept
}

/// The anchor of a heading: letters and digits of its text in lower case, hyphens for spaces.
fn anchor(title: &str) -> String {
    let mut text = String::new();
    let mut rest = title.trim();
    // Of a link only its text counts.
    while let Some((before, (linked, after))) =
        rest.split_once("](").and_then(|(a, b)| Some((a, ("", b.split_once(')')?.1))))
    {
        text.push_str(before);
        text.push_str(linked);
        rest = after;
    }
    text.push_str(rest);
    let kept = text.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_with_the_comments_before_them() -> Result<(), Failure> {
        let text = "# One\n\n<!-- alone -->\nText `<!-- no -->`.\n\n<!-- a: b\nc -->\n\n```sh\necho \"```\"\n\n  two\n```\n\
                    - item:\n\n  ~~~text\n  deep\n    deeper\n  ~~~\n";
        let page = Page::parse(text)?;
        assert_eq!(page.comments, ["alone"]);
        let [first, second] = page.blocks.as_slice() else { return Err(format!("{:?}", page.blocks)) };
        assert_eq!((first.line, first.info.as_str(), first.text.as_str()), (9, "sh", "echo \"```\"\n\n  two\n"));
        assert_eq!(first.comments, ["a: b c"]);
        assert_eq!((second.info.as_str(), second.text.as_str()), ("text", "deep\n  deeper\n"));
        assert!(second.comments.is_empty());
        Ok(())
    }

    #[test]
    fn what_has_no_end_is_refused() {
        assert!(Page::parse("```sh\necho\n").is_err());
        assert!(Page::parse("<!-- not run\n").is_err());
    }

    #[test]
    fn anchors_are_those_of_the_headings() -> Result<(), Failure> {
        let text = "# The `olmstead.toml`, and *more*\n## A-b_c\n## A-b_c\n```sh\n# no heading\n```\n#no\n### [Link](x.md) (DK)\n";
        let anchors = Page::parse(text)?.anchors();
        assert_eq!(anchors, ["the-olmsteadtoml-and-more", "a-b_c", "a-b_c-1", "link-dk"]);
        Ok(())
    }

    #[test]
    fn links_are_found_outside_of_code() -> Result<(), Failure> {
        let text =
            "See [a\nb](x.md#c) and [`d`](y.md \"title\"), not `[e](z.md)`.\n```text\n[f](g.md)\n```\n[h]: i.md\n";
        let links = Page::parse(text)?.links();
        let expected = [(6, "i.md"), (2, "x.md#c"), (2, "y.md")];
        assert_eq!(links, expected.map(|(line, target)| (line, target.to_owned())));
        Ok(())
    }
}
