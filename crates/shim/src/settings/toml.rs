//! Options as containerd's plug-in for Kubernetes hands them on: lines `Name = value` of [TOML](https://toml.io/en/v1.0.0),
//! where a value is `true`, `false`, a number or a text. runc's options need no more; anything else is refused.

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    Number(u32),
    Text(String),
}

/// The options in the order of the text; or what is wrong, with the line.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Value)>, String> {
    let mut options: Vec<(String, Value)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = option(line).map_err(|why| format!("line {number}: {why}"))?;
        if options.iter().any(|(other, _)| *other == name) {
            return Err(format!("line {number}: {name} is set twice"));
        }
        options.push((name, value));
    }
    Ok(options)
}

fn option(line: &str) -> Result<(String, Value), String> {
    if line.starts_with('[') {
        return Err(format!("{line}: options are not in tables"));
    }
    let (name, value) = line.split_once('=').ok_or_else(|| format!("{line}: not `Name = value`"))?;
    let name = name.trim().trim_matches(['"', '\'']).to_owned();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(format!("{name:?} is no name"));
    }
    let (value, rest) = self::value(value.trim()).ok_or_else(|| {
        format!("{name}: neither true, false, a number below 2^32, nor a text in quotes on this line")
    })?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok((name, value))
    } else {
        Err(format!("{name}: what is {rest:?}?"))
    }
}

/// The value, and what follows it.
fn value(text: &str) -> Option<(Value, &str)> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (text, rest) = rest.split_once('\'')?;
        return Some((Value::Text(text.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('"') {
        return basic(rest);
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match word {
        "true" => Value::Flag(true),
        "false" => Value::Flag(false),
        _ => Value::Number(word.parse().ok()?),
    };
    Some((value, rest))
}

/// A text with escapes, without its first quote; and what follows its last.
fn basic(text: &str) -> Option<(Value, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((Value::Text(value), chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                same @ ('"' | '\\') => same,
                'u' => {
                    let (digits, rest) = chars.as_str().split_at_checked(4)?;
                    // A sign is none, though Rust takes one.
                    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return None;
                    }
                    chars = rest.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_as_containerd_writes_them() {
        let text = "# of a runtime\nBinaryName = \"\"\nIoUid = 1000 # a user\n\nRoot = '/r \"x\"'\nSystemdCgroup = true\n";
        let text_of = |text: &str| Value::Text(text.to_owned());
        let expected = [
            ("BinaryName", text_of("")),
            ("IoUid", Value::Number(1000)),
            ("Root", text_of("/r \"x\"")),
            ("SystemdCgroup", Value::Flag(true)),
        ];
        assert_eq!(parse(text), Ok(expected.map(|(name, value)| (name.to_owned(), value)).to_vec()));
        assert_eq!(parse(r#"a = "\"\\\tA" "#), Ok(vec![("a".to_owned(), text_of("\"\\\tA"))]));
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        for text in [
            "\n[table]",
            "\nRoot",
            "\nRoot = ",
            "\nRoot = word",
            "\nRoot = \"open",
            "\nRoot = \"\"\"",
            "\nIoUid = -1",
            "\nIoUid = 4294967296",
            "\nRoot = [1]",
            "\na.b = 1",
            "a = 1\na = 2",
            "\na = true false",
            "\na = \"\\x\"",
            "\na = \"\\u+041\"",
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.starts_with("line 2: "), "{text:?}: {refused}");
        }
    }
}
