//! Values of D-Bus types, as far as properties of units need them.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    I16(i16),
    /// `q`
    U16(u16),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Str(String),
    /// `a` and the signature of its elements.
    Array(String, Vec<Value>),
    /// `(…)`
    Struct(Vec<Value>),
}

/// A property of a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name on the bus, such as `MemoryMax`.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl Property {
    /// A property.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Value {
    /// Its type, as D-Bus writes it.
    pub fn signature(&self) -> String {
        let code = match self {
            Self::Byte(_) => "y",
            Self::Bool(_) => "b",
            Self::I16(_) => "n",
            Self::U16(_) => "q",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::F64(_) => "d",
            Self::Str(_) => "s",
            Self::Array(element, _) => return format!("a{element}"),
            Self::Struct(fields) => {
                return format!("({})", fields.iter().map(Self::signature).collect::<String>());
            }
        };
        code.to_owned()
    }

    /// Bytes, `ay`.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Array("y".to_owned(), bytes.iter().map(|b| Self::Byte(*b)).collect())
    }

    /// Seconds as microseconds, if it is a number of them that fits: systemd's `…Sec` settings are `…USec` on the bus.
    pub fn seconds_to_microseconds(&self) -> Option<Self> {
        let whole = |n: i128| u64::try_from(n.checked_mul(1_000_000)?).ok();
        let microseconds = match *self {
            Self::Byte(n) => whole(n.into()),
            Self::I16(n) => whole(n.into()),
            Self::U16(n) => whole(n.into()),
            Self::I32(n) => whole(n.into()),
            Self::U32(n) => whole(n.into()),
            Self::I64(n) => whole(n.into()),
            Self::U64(n) => whole(n.into()),
            // 2^64 microseconds, as near as a double comes to it.
            Self::F64(n) => (0.0..1.8e13).contains(&n).then_some((n * 1e6) as u64),
            _ => None,
        };
        microseconds.map(Self::U64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn signatures() {
        let rates = Value::Array("(st)".into(), vec![Value::Struct(vec!["/dev/sda".into(), 5_u64.into()])]);
        assert_eq!(rates.signature(), "a(st)");
        let Value::Array(element, rates) = rates else { panic!() };
        assert_eq!(rates[0].signature(), element);
        assert_eq!(Value::bytes(&[1]).signature(), "ay");
    }

    #[test]
    fn seconds() {
        for (seconds, microseconds) in [
            (Value::I32(2), Some(2_000_000)),
            (Value::U64(3), Some(3_000_000)),
            (Value::F64(0.25), Some(250_000)),
            (Value::I32(-1), None),
            (Value::U64(u64::MAX), None),
            (Value::F64(f64::NAN), None),
            (Value::F64(1e300), None),
            (Value::Bool(true), None),
            (Value::from("5"), None),
        ] {
            assert_eq!(seconds.seconds_to_microseconds(), microseconds.map(Value::U64), "{seconds:?}");
        }
    }
}
