//! From octets to entries: the tokens of one logical line, parentheses and comments gone.

use memchr::memchr;

use crate::rdata::Token;

const WORD: u8 = 0;
const BLANK: u8 = 1;
const NEWLINE: u8 = 2;
const COMMENT: u8 = 3;
const OPEN: u8 = 4;
const CLOSE: u8 = 5;
const QUOTE: u8 = 6;
const ESCAPE: u8 = 7;

/// What each octet begins. A carriage return counts as a blank: it stands before newlines.
static CLASS: [u8; 256] = {
    let mut class = [WORD; 256];
    class[b' ' as usize] = BLANK;
    class[b'\t' as usize] = BLANK;
    class[b'\r' as usize] = BLANK;
    class[b'\n' as usize] = NEWLINE;
    class[b';' as usize] = COMMENT;
    class[b'(' as usize] = OPEN;
    class[b')' as usize] = CLOSE;
    class[b'"' as usize] = QUOTE;
    class[b'\\' as usize] = ESCAPE;
    class
};

fn class(octet: u8) -> u8 {
    CLASS[usize::from(octet)]
}

/// Something wrong at an offset of the text.
#[derive(Debug)]
pub struct Fault {
    pub offset: usize,
    pub message: String,
}

impl Fault {
    pub fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

/// A logical line.
#[derive(Debug)]
pub struct Entry {
    pub start: usize,
    /// Behind its newline.
    pub end: usize,
    /// Of its start, from 1.
    pub line: u32,
    /// It begins with a blank: the owner is the last one.
    pub indented: bool,
    pub fault: Option<Fault>,
}

pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Parentheses that nothing closed; each costs a walk to the end of the text.
    unclosed: usize,
}

/// Of a text that leaves more of them open, the rest is not read.
const MAX_UNCLOSED: usize = 64;

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, unclosed: 0 }
    }

    /// The next entry that holds anything; its tokens replace what `tokens` held.
    pub fn next(&mut self, tokens: &mut Vec<Token<'a>>) -> Option<Entry> {
        tokens.clear();
        while self.at < self.text.len() {
            let (start, line) = (self.at, self.line);
            let fault = self.logical_line(tokens);
            if !tokens.is_empty() || fault.is_some() {
                let indented = class(self.text[start]) == BLANK;
                return Some(Entry { start, end: self.at, line, indented, fault });
            }
        }
        None
    }

    fn logical_line(&mut self, tokens: &mut Vec<Token<'a>>) -> Option<Fault> {
        let text = self.text;
        let (mut depth, mut opened) = (0usize, 0);
        let mut fault = None;
        while let Some(&octet) = text.get(self.at) {
            match class(octet) {
                BLANK => self.at += 1,
                NEWLINE => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        return fault;
                    }
                }
                COMMENT => {
                    let rest = &text[self.at..];
                    self.at += memchr(b'\n', rest).unwrap_or(rest.len());
                }
                OPEN => {
                    if depth == 0 {
                        opened = self.at;
                    }
                    depth += 1;
                    self.at += 1;
                }
                CLOSE => {
                    if depth == 0 {
                        fault.get_or_insert_with(|| {
                            Fault::new(self.at, "\")\" without \"(\": remove it, or escape it")
                        });
                    }
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                QUOTE => {
                    if let Err(found) = self.quoted(tokens) {
                        fault.get_or_insert(found);
                    }
                }
                _ => self.word(tokens),
            }
        }
        if depth > 0 {
            self.unclosed += 1;
            if self.unclosed < MAX_UNCLOSED {
                self.resume_behind(opened);
            }
            return Some(Fault::new(opened, "\"(\" is never closed: add \")\""));
        }
        fault
    }

    fn word(&mut self, tokens: &mut Vec<Token<'a>>) {
        let (text, start) = (self.text, self.at);
        let (mut at, mut escaped) = (start, false);
        while let Some(&octet) = text.get(at) {
            match class(octet) {
                WORD => at += 1,
                ESCAPE => {
                    escaped = true;
                    // A newline is never escaped; the broken escape is told when it is read.
                    let skips = text.get(at + 1).is_some_and(|&next| next != b'\n');
                    at += 1 + usize::from(skips);
                }
                _ => break,
            }
        }
        self.at = at;
        tokens.push(Token { text: &text[start..at], start, quoted: false, escaped });
    }

    fn quoted(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<(), Fault> {
        let (text, quote) = (self.text, self.at);
        let (mut at, mut escaped) = (quote + 1, false);
        loop {
            match text.get(at) {
                Some(b'"') => break,
                Some(b'\\') if text.get(at + 1).is_some_and(|&next| next != b'\n') => {
                    escaped = true;
                    at += 2;
                }
                None | Some(b'\n') => {
                    self.at = at;
                    return Err(Fault::new(quote, "a string is not closed in its line: add \""));
                }
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        tokens.push(Token { text: &text[quote + 1..at], start: quote, quoted: true, escaped });
        Ok(())
    }

    /// Go on after a parenthesis that nothing closes: at the next line that can begin an
    /// entry of its own, so that what follows is still read.
    fn resume_behind(&mut self, opened: usize) {
        let text = self.text;
        self.line -= memchr::memchr_iter(b'\n', &text[opened..self.at]).count() as u32;
        self.at = opened;
        while let Some(newline) = memchr(b'\n', &text[self.at..]) {
            self.at += newline + 1;
            self.line += 1;
            if text.get(self.at).is_some_and(|&octet| matches!(class(octet), WORD | ESCAPE)) {
                return;
            }
        }
        self.at = text.len();
    }
}
