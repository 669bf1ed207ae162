//! A trace of a launch, as text or as a page: what took how long, on the host's side and in init.
//!
//! What is read is what the runtime writes: the Trace Event Format of Chrome's tracing.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::page::{Page, Style};

/// The style of the page, for light and dark.
const STYLE: &str = include_str!("trace.css");
/// How many columns the bars of the text have.
const BAR: u16 = 24;

/// A trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    trace_events: Vec<Event>,
}

#[derive(Clone, Debug, Deserialize)]
struct Event {
    name: String,
    cat: String,
    /// Begin and duration, in microseconds.
    ts: f64,
    dur: f64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments {
    step: Option<usize>,
    origin: String,
    why: String,
    result: String,
}

/// The two who do something at the same time.
const SIDES: [(&str, &str, &str); 2] = [
    ("host", "The host's side", "What orlop itself does; while it waits for init, init works."),
    ("init", "orlop-init, in the container", "The steps of the program, in their order."),
];

impl Trace {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is not JSON, or not a trace.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// How long all of it took, in microseconds.
    fn total(&self) -> f64 {
        self.trace_events.iter().map(|event| event.ts + event.dur).fold(0.0, f64::max).max(0.001)
    }

    fn side(&self, side: &str) -> impl Iterator<Item = &Event> {
        self.trace_events.iter().filter(move |event| event.cat == side)
    }

    /// When a side begins and ends.
    fn span(&self, side: &str) -> (f64, f64) {
        let begin = self.side(side).map(|event| event.ts).fold(f64::INFINITY, f64::min);
        let end = self.side(side).map(|event| event.ts + event.dur).fold(begin, f64::max);
        (begin, end)
    }

    /// The slowest steps of init, the slowest first.
    fn slowest(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.side("init").collect();
        events.sort_by(|one, other| other.dur.total_cmp(&one.dur));
        events.truncate(5);
        events
    }

    /// For a terminal or a file.
    pub fn text(&self, page: &Page) -> String {
        let total = self.total();
        let mut out = String::new();
        for (side, title, about) in SIDES {
            // Writing to a string cannot fail.
            _ = writeln!(out, "{}\n{about}\n", page.paint(Style::Title, title));
            let span = self.span(side);
            _ = writeln!(out, "{:>10} {:>10}", "begin", "takes");
            for event in self.side(side) {
                let number = event.args.step.map_or_else(String::new, |step| format!("{step:>3} "));
                let bar = bar(event, span);
                _ = writeln!(
                    out,
                    "{:>10} {:>10} {} {number}{}",
                    time(event.ts),
                    time(event.dur),
                    page.paint(Style::Code, &bar),
                    event.name
                );
                if event.args.result != "ok" {
                    out.push_str(&page.wrap("           failed: ", Some(Style::Bad), &event.args.result));
                }
            }
            out.push('\n');
        }
        _ = writeln!(out, "{}", page.paint(Style::Title, "The slowest steps"));
        for event in self.slowest() {
            _ = writeln!(out, "{:>10} {}", time(event.dur), event.name);
            out.push_str(&page.wrap("           ", Some(Style::Faint), &event.args.why));
        }
        _ = writeln!(out, "\nAll together: {}", time(total));
        out
    }

    /// One file that asks for nothing from elsewhere.
    pub fn html(&self) -> String {
        let total = self.total();
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>A start in {0}</title>\n<style>\n{STYLE}</style>\n\
             </head>\n<body>\n<h1>A start in {0}</h1>\n",
            time(total)
        );
        out.push_str("<p class=\"about\">Each bar is where its step lies among those of its side; hover over a step to see why it is there.</p>\n");
        out.push_str("<h2>The slowest steps</h2>\n<ol class=\"slowest\">\n");
        for event in self.slowest() {
            _ = writeln!(out, "<li><b>{}</b> {}</li>", time(event.dur), crate::escaped(&event.name));
        }
        out.push_str("</ol>\n");
        for (side, title, about) in SIDES {
            _ = writeln!(out, "<h2>{title}</h2>\n<p class=\"about\">{about}</p>\n<table>");
            out.push_str("<tr><th>begin</th><th>takes</th><th></th><th>step</th></tr>\n");
            self.side(side).for_each(|event| row(event, self.span(side), &mut out));
            out.push_str("</table>\n");
        }
        out.push_str("</body>\n</html>\n");
        out
    }
}

fn row(event: &Event, span: (f64, f64), out: &mut String) {
    let (left, width) = (share(event.ts - span.0, span) * 100.0, (share(event.dur, span) * 100.0).max(0.15));
    let number =
        event.args.step.map_or_else(String::new, |step| format!("<span class=\"number\">{step}</span> "));
    let failed = event.args.result != "ok";
    let result = if failed {
        format!("<p class=\"failed\">{}</p>", crate::escaped(&event.args.result))
    } else {
        String::new()
    };
    _ = writeln!(
        out,
        "<tr{} title=\"{}\"><td>{}</td><td>{}</td><td class=\"lane\"><i style=\"left:{left:.3}%;width:{width:.3}%\"></i></td>\
         <td>{number}{} <span class=\"origin\">{}</span>{result}</td></tr>",
        if failed { " class=\"bad\"" } else { "" },
        crate::escaped(&event.args.why),
        time(event.ts),
        time(event.dur),
        crate::escaped(&event.name),
        crate::escaped(&event.args.origin),
    );
}

/// A part of a side's time.
fn share(microseconds: f64, (begin, end): (f64, f64)) -> f64 {
    microseconds / (end - begin).max(0.001)
}

/// Where an event lies among those of its side.
fn bar(event: &Event, span: (f64, f64)) -> String {
    let columns = usize::from(BAR);
    let column = |microseconds: f64| (share(microseconds, span) * f64::from(BAR)) as usize;
    let begin = column(event.ts - span.0).min(columns - 1);
    let end = column(event.ts - span.0 + event.dur).clamp(begin + 1, columns);
    let mark = if column(event.dur) > 0 { "█" } else { "▏" };
    format!("{}{}{}", " ".repeat(begin), mark.repeat(end - begin), " ".repeat(columns - end))
}

/// Microseconds, as people read them.
fn time(microseconds: f64) -> String {
    if microseconds >= 1000.0 {
        format!("{:.2} ms", microseconds / 1000.0)
    } else {
        format!("{microseconds:.1} µs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PLAIN;

    const TRACE: &[u8] = br#"{"traceEvents": [
        {"name": "compile", "cat": "host", "ph": "X", "ts": 0, "dur": 400, "args": {"result": "ok"}},
        {"name": "wait for init", "cat": "host", "ph": "X", "ts": 400, "dur": 1600, "args": {"result": "ok"}},
        {"name": "mount <proc>", "cat": "init", "ph": "X", "ts": 500, "dur": 1000,
         "args": {"step": 0, "origin": "/mounts/0", "why": "It \"asks\".", "result": "ok"}},
        {"name": "switch", "cat": "init", "ph": "X", "ts": 1500, "dur": 1,
         "args": {"step": 1, "origin": "rule", "why": "So.", "result": "EPERM"}}
    ]}"#;

    #[test]
    fn text_shows_where_time_goes_and_what_failed() {
        let text = Trace::parse(TRACE).unwrap().text(&PLAIN);
        assert!(text.contains("1.00 ms ███████████████████████   "), "{text}");
        assert!(text.contains("failed: EPERM") && text.ends_with("All together: 2.00 ms\n"), "{text}");
    }

    #[test]
    fn the_page_escapes_what_it_shows() {
        let page = Trace::parse(TRACE).unwrap().html();
        assert!(page.contains("mount &lt;proc&gt;") && page.contains("title=\"It &quot;asks&quot;.\""));
        assert!(page.contains("left:0.000%;width:99.900%") && page.contains("class=\"bad\""));
        assert!(Trace::parse(b"{}").is_err());
    }
}
