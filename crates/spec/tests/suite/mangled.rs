//! No text makes the parse panic, and every refusal has its reasons.

use orlop_spec::{Document, ParseErrors, locate};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::places::every_pointer;
use crate::{data, data_in};

fn check(parsed: Result<Document, ParseErrors>) -> Result<(), TestCaseError> {
    let Err(errors) = parsed else { return Ok(()) };
    prop_assert!(!errors.errors.is_empty());
    prop_assert_eq!(
        errors.to_string().lines().count(),
        errors.errors.len() + usize::from(errors.omitted > 0)
    );
    for error in &errors.errors {
        prop_assert!(error.location.is_some(), "{}", error);
        prop_assert!(!error.message.is_empty());
        prop_assert!(errors.line_of(error).is_some());
    }
    Ok(())
}

fn examples() -> impl Strategy<Value = String> {
    let mut texts: Vec<String> = data_in("good").into_iter().map(|(_, text)| text).collect();
    texts.push(data("config-docker-like.json"));
    texts.push(data("runc/spec.json"));
    proptest::sample::select(texts)
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!("text")),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[null, 1, "a"]])),
        Just(json!({"type": 1, "path": {}, "é\n": []})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_changed_lost_or_doubled(
        text in examples(), edits in prop::collection::vec((any::<Index>(), any::<u8>(), 0_usize..9), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (index, byte, how) in edits {
            let at = index.index(bytes.len());
            match how {
                0..=2 => bytes[at] = byte,
                3..=4 => bytes[at] = b"{}[],:\"\\0-"[usize::from(byte) % 10],
                5 => drop(bytes.drain(at..(at + usize::from(byte)).min(bytes.len()))),
                6 => bytes.truncate(at + 1),
                _ => bytes.insert(at, b"{}[],:\"\\0-"[usize::from(byte) % 10]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        check(Document::parse(bytes))?;
    }

    #[test]
    fn one_value_exchanged_is_wrong_there_and_nowhere_else(
        text in examples(), place in any::<Index>(), value in any_value(), pretty in any::<bool>(),
    ) {
        let mut tree: Value = serde_json::from_str(&text).unwrap();
        let mut places = Vec::new();
        every_pointer(&tree, "", &mut places);
        let place = place.get(&places);
        *tree.pointer_mut(place).unwrap() = value;
        let text = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
        let parsed = Document::parse(text.as_str());
        if let Err(errors) = &parsed {
            for error in &errors.errors {
                prop_assert!(orlop_spec::pointer::is_within(&error.pointer, place), "{} for {}", error, place);
                prop_assert_eq!(error.location, locate(&text, &error.pointer));
            }
        }
        if let Ok(document) = &parsed {
            drop(document.seccomp());
        }
        check(parsed)?;
    }
}
