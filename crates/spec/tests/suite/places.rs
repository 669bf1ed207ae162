//! From a pointer to line and column, and back.

use orlop_spec::{Document, Location, Pointer, locate, locate_nearest, pointer_at};
use proptest::prelude::*;
use serde_json::Value;

use crate::{data, data_in};

/// The pointers of all values of a tree, the outer before the inner.
pub(crate) fn every_pointer(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                every_pointer(element, &format!("{at}/{index}"), into);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                every_pointer(member, &format!("{at}/{key}"), into);
            }
        }
        _ => {}
    }
}

/// Every value is found, where it is, and its place leads back to it.
fn check_round_trips(text: &str) {
    let tree: Value = serde_json::from_str(text).unwrap();
    let mut pointers = Vec::new();
    every_pointer(&tree, "", &mut pointers);
    for pointer in pointers {
        let found = locate(text, &pointer).unwrap_or_else(|| panic!("{pointer:?} in {text}"));
        let value: Value = serde_json::from_str(&text[found.offset..found.offset + found.len]).unwrap();
        assert_eq!(Some(&value), tree.pointer(&pointer), "{pointer:?}");
        assert_eq!(pointer_at(text, found.line, found.column), pointer, "{found:?} in {text}");
    }
}

/// Every position is in the value that is named for it, or on its key, or right around it.
fn check_every_position(text: &str) {
    for (line, content) in text.split('\n').enumerate() {
        for column in 1..=content.chars().count() + 1 {
            let pointer = pointer_at(text, line + 1, column);
            let found = locate(text, &pointer);
            assert!(found.is_some(), "{}:{column} is {pointer:?} in {text}", line + 1);
        }
    }
}

#[test]
fn every_value_of_the_examples_is_found_and_found_again() {
    let mut documents = data_in("good");
    documents.push((String::new(), data("config-docker-like.json")));
    for (_, text) in documents {
        check_round_trips(&text);
    }
    check_every_position(&data("good/minimal-for-start.json"));
}

#[test]
fn a_key_and_what_is_around_it_belong_to_its_value() {
    let text = "{\n  \"a\" : [10, {\"b\": null}],\n  \"c\": {}\n}";
    let at = |line, column| pointer_at(text, line, column);
    assert_eq!(at(1, 1), "");
    assert_eq!(at(2, 1), "", "before a key");
    assert_eq!(at(2, 3), "/a", "on a key");
    assert_eq!(at(2, 6), "/a", "between a key and its colon");
    assert_eq!(at(2, 7), "/a", "on the colon");
    assert_eq!(at(2, 8), "/a", "between the colon and the value");
    assert_eq!(at(2, 9), "/a", "on the bracket");
    assert_eq!(at(2, 10), "/a/0");
    assert_eq!(at(2, 12), "/a", "on the comma");
    assert_eq!(at(2, 14), "/a/1");
    assert_eq!(at(2, 15), "/a/1/b");
    assert_eq!(at(2, 20), "/a/1/b");
    assert_eq!(at(2, 24), "/a/1", "on the closing brace");
    assert_eq!(at(2, 25), "/a", "on the closing bracket");
    assert_eq!(at(2, 26), "", "after the value");
    assert_eq!(at(3, 8), "/c");
    assert_eq!(at(99, 1), "", "past the end");
    assert_eq!(at(0, 0), "");
}

#[test]
fn lines_and_columns_count_from_one_in_characters() {
    let text = "{\"é\": \"𝄞\", \"x\":\r\n 5}";
    assert_eq!(locate(text, "/é"), Some(Location { line: 1, column: 7, offset: 7, len: 6 }));
    let x = locate(text, "/x").unwrap();
    assert_eq!((x.line, x.column, x.line_of(text)), (2, 2, " 5}"));
    assert_eq!(locate(text, "").unwrap().line_of(text), "{\"é\": \"𝄞\", \"x\":");
}

#[test]
fn a_missing_value_is_placed_where_it_should_be() {
    let text = r#"{"root": {"readonly": true}, "mounts": [{}]}"#;
    assert_eq!(locate(text, "/root/path"), None);
    assert_eq!(locate_nearest(text, "/root/path"), locate(text, "/root"));
    assert_eq!(locate_nearest(text, "/mounts/0/options/3"), locate(text, "/mounts/0"));
    assert_eq!(locate_nearest(text, "/process/cwd").unwrap().offset, 0);
    assert_eq!(locate(text, "/mounts/00"), None);
    assert_eq!(locate(text, "/root/readonly/x"), None);
    let document = Document::parse(text).unwrap();
    assert_eq!(document.locate(&Pointer::new("/mounts/{}").at(0)).unwrap().column, 41);
}

#[test]
fn of_duplicate_keys_the_last_is_found() {
    let text = r#"{"a": {"b": 1}, "a": {"c": 2}, "b": 3}"#;
    assert_eq!(locate(text, "/a").unwrap().column, 22);
    assert_eq!(locate(text, "/a/b"), None);
}

#[test]
fn a_key_may_be_written_with_escapes() {
    let text = r#"{"annotations": {"\u0061\/b": "x", "c\"d": "y", "~e": "z"}}"#;
    for (key, value) in [("a/b", "\"x\""), ("c\"d", "\"y\""), ("~e", "\"z\"")] {
        let pointer = Pointer::new("/annotations/{}").key(key).to_string();
        let found = locate(text, &pointer).unwrap();
        assert_eq!(&text[found.offset..][..found.len], value);
        assert_eq!(pointer_at(text, found.line, found.column), pointer);
    }
}

#[test]
fn depth_costs_no_stack_and_no_squares() {
    let text = "[".repeat(1_000_000);
    assert_eq!(locate(&text, "/0/0"), None);
    assert_eq!(pointer_at(&text, 1, 1_000_000).len(), 2 * 999_999);
}

/// Any tree, with the keys that give pointers trouble.
fn any_tree() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[a-c~/\"\\\\é\n{}]{0,4}", "[0-9]{1,2}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\,:{}\\[\\] é]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn places_and_pointers_name_each_other(tree in any_tree(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
        check_round_trips(&text);
        check_every_position(&text);
    }

    #[test]
    fn no_text_makes_the_scanner_panic(text in "[\\[\\]{}:,\"\\\\a1é \n]{0,40}", line in 0_usize..4, column in 0_usize..20) {
        let pointer = pointer_at(&text, line, column);
        locate(&text, &pointer);
        locate_nearest(&text, "/a/0/1");
        locate(&text, "no slash");
    }
}
