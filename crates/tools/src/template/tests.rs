use super::*;
use serde_json::json;

fn row() -> Row {
    Row {
        value: json!({
            "id": "web", "pid": 7, "status": "running", "annotations": {"a.b": "c"}, "mounts": ["/a", "/b"],
            "state": {"status": "running", "oom_killed": false}, "owner": "", "limit": null,
        }),
        shown: vec![("Names", "web".to_owned()), ("CreatedAt", "2026-01-31".to_owned())],
    }
}

#[track_caller]
fn made(template: &str, expected: &str) {
    let template = Template::parse(template).unwrap_or_else(|e| panic!("{template}: {e}"));
    assert_eq!(template.apply(&row()).unwrap(), expected);
}

#[test]
fn what_people_type() {
    made(r"{{.ID}}\t{{.Names}}", "web\tweb");
    made("{{.State.Status}} {{.State.OOMKilled}}", "running false");
    made("{{json .State}}", r#"{"oom_killed":false,"status":"running"}"#);
    made("{{.State | json}}", r#"{"oom_killed":false,"status":"running"}"#);
    made("{{index .annotations \"a.b\"}} {{index .mounts 1}}", "c /b");
    made("{{range .mounts}}{{.}},{{$.id}};{{end}}", "/a,web;/b,web;");
    made("{{if .owner}}yes{{else}}no{{end}} {{if eq .status \"running\"}}up{{end}}", "no up");
    made("{{with .state}}{{.status}}{{end}}", "running");
    made("{{join .mounts \", \"}} {{len .mounts}} {{upper .id}} {{.pid}}", "/a, /b 2 WEB 7");
    made("{{.mounts}} {{.annotations}} {{.limit}}", "[/a /b] map[a.b:c] <no value>");
    made("a {{- .id -}} b {{/* nothing */}}{{\"}}\"}}", "awebb }}");
    made("{{if and (gt .pid 1) (not .owner)}}x{{end}}{{println .id .pid}}", "xweb 7\n");
    made("{{truncate .id 2}} {{(index .mounts 0) | upper}} {{split \"a/b\" \"/\"}}", "we /A [a b]");
    made("plain", "plain");
}

#[test]
fn tables_have_titles() {
    let template = Template::parse("table {{.ID}}\t{{.CreatedAt}}\t{{upper .state.status}}").unwrap();
    assert!(template.table);
    assert_eq!(template.titles(), "ID\tCREATED AT\tSTATUS");
}

#[test]
fn what_is_not_there_is_refused_by_its_name() {
    for (text, words) in [
        ("{{.id", "no }}"),
        ("{{if .id}}", "no {{end}}"),
        ("{{end}}", "nothing before it"),
        ("{{title .id}}", "no function \"title\""),
        ("{{$x := .id}}", "variables"),
        ("{{template \"x\"}}", "\"template\" is not supported"),
        ("{{else if .x}}", "not supported"),
        ("{{}}", "one value"),
        ("{{.a .b}}", "one value"),
        ("{{(.a}}", "not closed"),
        ("{{.a)}}", "too many"),
        ("{{\"a}}", "no }}"),
        ("{{..a}}", "a name is missing"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    for (text, words) in [
        ("{{.Nonsense}}", "no field \"Nonsense\", but Names CreatedAt annotations"),
        ("{{.State.X}}", "no field \"X\", but oom_killed status"),
        ("{{.id.x}}", "x is of nothing"),
        ("{{range .id}}{{end}}", "range needs a list"),
        ("{{len 1}}", "len cannot"),
    ] {
        let error = Template::parse(text).unwrap().apply(&row()).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn no_text_is_too_deep() {
    for text in ["{{if .}}".repeat(10_000), format!("{{{{{}}}}}", "(".repeat(10_000))] {
        assert!(Template::parse(&text).unwrap_err().contains("too deeply"));
    }
}
