//! From text to nodes.

use serde_json::Value;

use super::{Call, Function, Kind, Node, Operand, Pipeline};

type Result<T> = std::result::Result<T, String>;

/// The nodes of a text.
pub(super) fn nodes(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { rest: text };
    let (nodes, end) = parser.until_end(0)?;
    match end {
        Found::Text => Ok(nodes),
        Found::Else | Found::End => {
            Err("an {{else}} or {{end}} has nothing before it that it ends".to_owned())
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

/// What a list of nodes ends with.
#[derive(PartialEq, Eq)]
enum Found {
    Text,
    Else,
    End,
}

/// Deeper than anybody writes, and not as deep as the stack is.
const DEEPEST: usize = 32;

impl Parser<'_> {
    fn until_end(&mut self, depth: usize) -> Result<(Vec<Node>, Found)> {
        if depth > DEEPEST {
            return Err("blocks are nested too deeply".to_owned());
        }
        let mut nodes = Vec::new();
        loop {
            let Some((text, action)) = self.rest.split_once("{{") else {
                nodes.extend((!self.rest.is_empty()).then(|| Node::Text(self.rest.to_owned())));
                return Ok((nodes, Found::Text));
            };
            let (action, rest) = split_action(action)?;
            let trimmed = if action.starts_with("- ") { text.trim_end() } else { text };
            nodes.extend((!trimmed.is_empty()).then(|| Node::Text(trimmed.to_owned())));
            self.rest = if action.ends_with(" -") { rest.trim_start() } else { rest };
            let action = action.strip_prefix("- ").unwrap_or(action);
            let action = action.strip_suffix(" -").unwrap_or(action).trim();
            if action.starts_with("/*") && action.ends_with("*/") {
                continue;
            }
            let (word, more) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
            let kind = match word {
                "end" => return Ok((nodes, Found::End)),
                "else" if more.is_empty() => return Ok((nodes, Found::Else)),
                "if" => Kind::If,
                "range" => Kind::Range,
                "with" => Kind::With,
                "else" | "define" | "template" | "block" | "break" | "continue" => {
                    return Err(format!("{{{{{action}}}}}: {word:?} is not supported here"));
                }
                _ => {
                    nodes.push(Node::Print(pipeline(action)?));
                    continue;
                }
            };
            let value = pipeline(more)?;
            let (body, end) = self.until_end(depth + 1)?;
            let (otherwise, end) =
                if end == Found::Else { self.until_end(depth + 1)? } else { (Vec::new(), end) };
            if end != Found::End {
                return Err(format!("{{{{{action}}}}} has no {{{{end}}}}"));
            }
            nodes.push(Node::Block(kind, value, body, otherwise));
        }
    }
}

/// What is between the braces, and what follows them. Braces in quotes end nothing.
fn split_action(text: &str) -> Result<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if open == c && !escaped => quote = None,
            (None, '"' | '`') => quote = Some(c),
            (None, '}') if text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => {
                return Ok((text.get(..at).unwrap_or_default(), text.get(at + 2..).unwrap_or_default()));
            }
            _ => {}
        }
        escaped = false;
    }
    Err("a {{ has no }}".to_owned())
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Pipe,
    Open,
    Close,
}

fn pipeline(text: &str) -> Result<Pipeline> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let pipeline = calls(&mut rest, 0)?;
    if rest.is_empty() { Ok(pipeline) } else { Err(format!("{{{{{text}}}}}: a ) too many")) }
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => {}
            '|' => tokens.push(Token::Pipe),
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' | '`' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        None => return Err(format!("{{{{{text}}}}}: a quote is not closed")),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => quoted.extend(chars.next().map(|next| match next {
                            'n' => '\n',
                            't' => '\t',
                            other => other,
                        })),
                        Some(other) => quoted.push(other),
                    }
                }
                tokens.push(Token::Text(quoted));
            }
            c => {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|next| !" \t\n|()\"`".contains(*next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// Calls with pipes between them, up to a parenthesis that closes.
fn calls(rest: &mut &[Token], depth: usize) -> Result<Pipeline> {
    if depth > DEEPEST {
        return Err("parentheses are nested too deeply".to_owned());
    }
    let mut calls = Vec::new();
    let mut call = Call { function: None, arguments: Vec::new() };
    let mut begun = false;
    let done = |call: Call| {
        let many = call.function.is_none() && call.arguments.len() != 1;
        if many { Err("between {{ and }}, one value or one function is needed".to_owned()) } else { Ok(call) }
    };
    while let Some((token, more)) = rest.split_first() {
        if *token == Token::Close {
            break;
        }
        *rest = more;
        match token {
            Token::Pipe => {
                calls.push(done(std::mem::replace(
                    &mut call,
                    Call { function: None, arguments: Vec::new() },
                ))?);
                begun = false;
                continue;
            }
            Token::Open => {
                call.arguments.push(Operand::Nested(self::calls(rest, depth + 1)?));
                let [Token::Close, more @ ..] = *rest else { return Err("a ( is not closed".to_owned()) };
                *rest = more;
            }
            Token::Text(text) => call.arguments.push(Operand::Constant(Value::from(text.as_str()))),
            Token::Word(word) => match operand(word) {
                Some(operand) => call.arguments.push(operand?),
                None if !begun => call.function = Some(Function::find(word)?),
                None => return Err(format!("{word:?} is no value")),
            },
            Token::Close => {}
        }
        begun = true;
    }
    calls.push(done(call)?);
    Ok(calls)
}

/// A word that is a value; `None` for the name of a function.
fn operand(word: &str) -> Option<Result<Operand>> {
    if word == "." {
        return Some(Ok(Operand::Field(Vec::new())));
    }
    let names = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    if let Some(path) = word.strip_prefix('.') {
        let names = names(path);
        let empty = names.iter().any(String::is_empty);
        return Some(if empty {
            Err(format!("{word:?}: a name is missing"))
        } else {
            Ok(Operand::Field(names))
        });
    }
    if let Some(rest) = word.strip_prefix('$') {
        return Some(match rest.strip_prefix('.') {
            Some(path) => Ok(Operand::Root(names(path))),
            None if rest.is_empty() => Ok(Operand::Root(Vec::new())),
            None => Err(format!("{word}: variables are not supported here")),
        });
    }
    match word {
        "true" | "false" => Some(Ok(Operand::Constant(Value::from(word == "true")))),
        _ => word.parse::<i64>().ok().map(|number| Ok(Operand::Constant(Value::from(number)))),
    }
}
