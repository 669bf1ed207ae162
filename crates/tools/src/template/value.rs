//! Fields, functions, and how values are printed.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Call, Kind, Node, Operand, Row};

type Result<T> = std::result::Result<T, String>;

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// A value as JSON.
    Json,
    /// A part of a value, by names and numbers.
    Index,
    /// How many there are.
    Len,
    /// A list as text, with something between its values.
    Join,
    /// The opposite.
    Split,
    /// Small letters.
    Lower,
    /// Large letters.
    Upper,
    /// The first so many letters.
    Truncate,
    /// Values one after another.
    Print,
    /// The same, and the end of a line.
    Println,
    /// Whether values are the same.
    Eq,
    /// Whether they are not.
    Ne,
    /// Whether the first one is less.
    Lt,
    /// Whether it is more.
    Gt,
    /// The opposite of a value.
    Not,
    /// The first value that is empty or false, or the last one.
    And,
    /// The first value that is not, or the last one.
    Or,
}

const FUNCTIONS: [(&str, Function); 17] = [
    ("json", Function::Json),
    ("index", Function::Index),
    ("len", Function::Len),
    ("join", Function::Join),
    ("split", Function::Split),
    ("lower", Function::Lower),
    ("upper", Function::Upper),
    ("truncate", Function::Truncate),
    ("print", Function::Print),
    ("println", Function::Println),
    ("eq", Function::Eq),
    ("ne", Function::Ne),
    ("lt", Function::Lt),
    ("gt", Function::Gt),
    ("not", Function::Not),
    ("and", Function::And),
    ("or", Function::Or),
];

impl Function {
    /// The one with this name.
    pub(super) fn find(name: &str) -> Result<Self> {
        let found = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
        found.ok_or_else(|| {
            let known: Vec<_> = FUNCTIONS.iter().map(|(known, _)| *known).collect();
            format!("there is no function {name:?} here, but {}; a field begins with a dot", known.join(" "))
        })
    }

    fn call(self, arguments: &[Value]) -> Result<Value> {
        let name = FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name);
        let wrong = || format!("{name} cannot be called so");
        Ok(match (self, arguments) {
            (Self::Json, [value]) => Value::from(value.to_string()),
            (Self::Index, [value, path @ ..]) => path.iter().fold(value.clone(), |value, part| match part {
                Value::String(name) => value.get(name).cloned().unwrap_or_default(),
                part => part
                    .as_u64()
                    .and_then(|at| value.get(usize::try_from(at).ok()?).cloned())
                    .unwrap_or_default(),
            }),
            (Self::Len, [Value::Array(list)]) => list.len().into(),
            (Self::Len, [Value::Object(map)]) => map.len().into(),
            (Self::Len, [Value::String(text)]) => text.len().into(),
            (Self::Join, [Value::Array(list), Value::String(between)]) => {
                list.iter().map(printed).collect::<Vec<_>>().join(between).into()
            }
            (Self::Split, [Value::String(text), Value::String(at)]) => {
                text.split(at.as_str()).map(Value::from).collect()
            }
            (Self::Lower, [Value::String(text)]) => text.to_lowercase().into(),
            (Self::Upper, [Value::String(text)]) => text.to_uppercase().into(),
            (Self::Truncate, [Value::String(text), Value::Number(count)]) => {
                let count = count.as_u64().and_then(|count| usize::try_from(count).ok()).ok_or_else(wrong)?;
                text.chars().take(count).collect::<String>().into()
            }
            (Self::Print, values) => values.iter().map(printed).collect::<String>().into(),
            (Self::Println, values) => {
                (values.iter().map(printed).collect::<Vec<_>>().join(" ") + "\n").into()
            }
            (Self::Eq, [first, others @ ..]) if !others.is_empty() => others.contains(first).into(),
            (Self::Ne, [one, other]) => (one != other).into(),
            (Self::Lt, [one, other]) => (compared(one, other).ok_or_else(wrong)? == Ordering::Less).into(),
            (Self::Gt, [one, other]) => (compared(one, other).ok_or_else(wrong)? == Ordering::Greater).into(),
            (Self::Not, [value]) => (!is_true(value)).into(),
            (Self::And, [.., last]) => arguments.iter().find(|value| !is_true(value)).unwrap_or(last).clone(),
            (Self::Or, [.., last]) => arguments.iter().find(|value| is_true(value)).unwrap_or(last).clone(),
            _ => return Err(wrong()),
        })
    }
}

fn compared(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// As Go sees it: what is empty is false.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// As Go prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs = map.iter().map(|(name, value)| format!("{name}:{}", printed(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

pub(super) fn run(nodes: &[Node], row: &Row, current: &Value, out: &mut String) -> Result<()> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipeline) => out.push_str(&printed(&evaluate(pipeline, row, current)?)),
            Node::Block(kind, pipeline, body, otherwise) => {
                let value = evaluate(pipeline, row, current)?;
                match kind {
                    _ if !is_true(&value) => run(otherwise, row, current, out)?,
                    Kind::If => run(body, row, current, out)?,
                    Kind::With => run(body, row, &value, out)?,
                    Kind::Range => match &value {
                        Value::Array(list) => list.iter().try_for_each(|one| run(body, row, one, out))?,
                        Value::Object(map) => map.values().try_for_each(|one| run(body, row, one, out))?,
                        other => return Err(format!("range needs a list, and this is {}", printed(other))),
                    },
                }
            }
        }
    }
    Ok(())
}

fn evaluate(pipeline: &[Call], row: &Row, current: &Value) -> Result<Value> {
    let mut last = None;
    for call in pipeline {
        let mut arguments = Vec::new();
        for argument in &call.arguments {
            arguments.push(match argument {
                Operand::Field(names) => field(row, current, names)?,
                Operand::Root(names) => field(row, &row.value, names)?,
                Operand::Constant(value) => value.clone(),
                Operand::Nested(pipeline) => evaluate(pipeline, row, current)?,
            });
        }
        arguments.extend(last.take());
        last = Some(match (call.function, arguments.as_slice()) {
            (Some(function), arguments) => function.call(arguments)?,
            (None, [value]) => value.clone(),
            (None, _) => return Err("a value is no function".to_owned()),
        });
    }
    Ok(last.unwrap_or_default())
}

/// The value that names lead to. At the row itself, those of Docker's count, too.
fn field(row: &Row, from: &Value, names: &[String]) -> Result<Value> {
    if let [name] = names
        && std::ptr::eq(from, &raw const row.value)
        && let Some((_, text)) = row.shown.iter().find(|(shown, _)| shown == name)
    {
        return Ok(Value::from(text.as_str()));
    }
    let mut value = from;
    for name in names {
        let map = value.as_object().ok_or_else(|| format!(".{}: {name} is of nothing", names.join(".")))?;
        let found = map.get(name).or_else(|| {
            map.iter()
                .find(|(known, _)| known.replace('_', "").eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        });
        value = found.ok_or_else(|| {
            let shown = row
                .shown
                .iter()
                .map(|(shown, _)| *shown)
                .filter(|_| std::ptr::eq(value, &raw const row.value));
            let known: Vec<&str> = shown.chain(map.keys().map(String::as_str)).collect();
            format!("there is no field {name:?}, but {}", known.join(" "))
        })?;
    }
    Ok(value.clone())
}
