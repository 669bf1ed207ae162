//! From a place in a document to its line and column, and back.
//!
//! Only errors need this, so it scans the text anew instead of making every parse keep positions. The scanner is
//! linear, without recursion, and satisfied with anything that looks like JSON: a parser has judged the text before.

use std::borrow::Cow;
use std::fmt;

use crate::pointer::{push_token, tokens};

/// Where a value stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Bytes before it.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
}

impl Location {
    /// The location of `len` bytes at `offset`, which is moved back to the start of a character.
    pub(crate) fn new(text: &str, offset: usize, len: usize) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset,
            len: len.min(text.len() - offset),
        }
    }

    /// The whole line of the text in which the location starts.
    pub fn line_of<'a>(&self, text: &'a str) -> &'a str {
        let start = text[..self.offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[self.offset..].find('\n').map_or(text.len(), |newline| self.offset + newline);
        text[start..end].trim_end_matches('\r')
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Finds the value that a pointer names. Of equal keys the last counts, as for the parser.
pub fn locate(text: &str, pointer: &str) -> Option<Location> {
    let (start, depth) = descend(text, pointer);
    (depth == tokens(pointer).count()).then(|| span_at(text, start))?
}

/// Finds the value that a pointer names or, where it is missing, the innermost value that should hold it.
pub fn locate_nearest(text: &str, pointer: &str) -> Option<Location> {
    span_at(text, descend(text, pointer).0)
}

fn span_at(text: &str, start: usize) -> Option<Location> {
    let end = Scanner { text, at: start }.skip_value()?;
    Some(Location::new(text, start, end - start))
}

/// Follows a pointer as far as it leads: where the value starts, and how many tokens led there.
fn descend(text: &str, pointer: &str) -> (usize, usize) {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_space();
    let mut reached = (scanner.at, 0);
    for token in tokens(pointer) {
        scanner.at = reached.0;
        let Some(child) = scanner.child(&token) else { break };
        reached = (child, reached.1 + 1);
    }
    reached
}

/// Names the innermost value around a line and column (both from 1). On a key that is the value of the key.
pub fn pointer_at(text: &str, line: usize, column: usize) -> String {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(newline, _)| newline + 1),
    };
    let rest = text[start..].split('\n').next().unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    pointer_at_offset(text, start + within)
}

/// An open container, and where in it the scanner is.
enum Frame<'a> {
    /// In an array, at or before this element.
    Element(usize),
    /// In an object, from the start of this key to the end of its value; none between two members.
    Member(Option<&'a str>),
}

fn pointer_at_offset(text: &str, offset: usize) -> String {
    let mut scanner = Scanner { text, at: 0 };
    let mut frames: Vec<Frame<'_>> = Vec::new();
    loop {
        scanner.skip_space();
        let start = scanner.at;
        let Some(byte) = scanner.peek().filter(|_| start <= offset) else { return between(&frames) };
        scanner.at += 1;
        match (byte, frames.last_mut()) {
            (b'{', _) => frames.push(Frame::Member(None)),
            (b'[', _) => frames.push(Frame::Element(0)),
            (b'}' | b']', _) if offset == start => return between(&frames),
            (b'}' | b']', _) => {
                frames.pop();
                leave_member(&mut frames);
            }
            (b',', Some(Frame::Element(index))) => *index += 1,
            (b',' | b':', _) => {}
            (_, top) => {
                scanner.at = start;
                let end = scanner.skip_value().unwrap_or(text.len());
                if let Some(Frame::Member(key @ None)) = top {
                    *key = text.get(start..end);
                } else if offset < end {
                    return render(&frames);
                } else {
                    leave_member(&mut frames);
                }
            }
        }
        if offset < scanner.at {
            return between(&frames);
        }
    }
}

/// After a value: if it was a member's, the member is over.
fn leave_member(frames: &mut [Frame<'_>]) {
    if let Some(Frame::Member(key)) = frames.last_mut() {
        *key = None;
    }
}

/// The pointer of a position outside any scalar: of the member it is in, or else of the container.
fn between(frames: &[Frame<'_>]) -> String {
    match frames.split_last() {
        None => String::new(),
        Some((Frame::Member(Some(_)), _)) => render(frames),
        Some((_, outer)) => render(outer),
    }
}

fn render(frames: &[Frame<'_>]) -> String {
    let mut pointer = String::new();
    for frame in frames {
        pointer.push('/');
        match frame {
            Frame::Element(index) => pointer.push_str(&index.to_string()),
            Frame::Member(key) => push_token(&mut pointer, &decode(key.unwrap_or_default())),
        }
    }
    pointer
}

/// A key as it is meant, from a key as it is written.
fn decode(written: &str) -> Cow<'_, str> {
    match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str(written).map_or(Cow::Borrowed(written), Cow::Owned),
    }
}

/// A position in a text that is, or was meant to be, JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves on while the condition holds.
    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// Moves over one value and says where it ends; none if there is no value here or it does not end.
    fn skip_value(&mut self) -> Option<usize> {
        match self.peek()? {
            b'"' => self.skip_string()?,
            b'{' | b'[' => self.skip_container()?,
            b',' | b':' | b'}' | b']' => return None,
            _ => self.skip_while(|byte| !b" \t\n\r,:{}[]\"".contains(&byte)),
        }
        Some(self.at)
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.skip_while(|byte| byte != b'"' && byte != b'\\');
            let escaped = self.peek()? == b'\\';
            self.at += 1;
            if !escaped {
                return Some(());
            }
            self.at += 1;
        }
    }

    fn skip_container(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// In front of a container: where the value of the element or member with this name starts.
    fn child(&mut self, token: &str) -> Option<usize> {
        let in_object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        let mut found = None;
        let mut index = 0_usize;
        loop {
            // Over the bracket, and then over each comma.
            self.at += 1;
            self.skip_space();
            let start = self.at;
            let Some(end) = self.skip_value() else { return found };
            if in_object {
                self.skip_colon()?;
                if decode(self.text.get(start..end)?) == token {
                    found = Some(self.at);
                }
                self.skip_value()?;
            } else if index.to_string() == token {
                return Some(start);
            }
            index += 1;
            self.skip_space();
            if self.peek() != Some(b',') {
                return found;
            }
        }
    }

    /// After a key: moves in front of its value.
    fn skip_colon(&mut self) -> Option<()> {
        self.skip_space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.skip_space();
        Some(())
    }
}
