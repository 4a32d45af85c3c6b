//! Diagnostics for programs: one JSON object per line. Lines and columns count
//! from 1, columns in characters; an end is just after the last character.

use serde_json::{Map, Value, json};

use super::{Diagnostic, Severity};
use crate::span::{SourceMap, Span};

/// One line, without its newline.
pub fn line(diagnostic: &Diagnostic, map: &SourceMap) -> String {
    let mut object = Map::new();
    object.insert("event".into(), "diagnostic".into());
    object.insert("code".into(), diagnostic.code.name().into());
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    object.insert("severity".into(), severity.into());
    object.insert("message".into(), diagnostic.message.as_str().into());
    match diagnostic.span() {
        Some(span) => place(&mut object, span, map),
        None => {
            for key in ["file", "line", "column", "end_line", "end_column"] {
                object.insert(key.into(), Value::Null);
            }
        }
    }
    let labels = diagnostic
        .labels
        .iter()
        .map(|label| {
            let mut object = Map::new();
            place(&mut object, label.span, map);
            object.insert("text".into(), label.text.as_str().into());
            Value::Object(object)
        })
        .collect();
    object.insert("labels".into(), Value::Array(labels));
    object.insert("help".into(), json!(diagnostic.help));
    object.insert("notes".into(), json!(diagnostic.notes));
    let fix = diagnostic.fix.as_ref().map(|fix| {
        let mut object = Map::new();
        place(&mut object, fix.span, map);
        object.insert("replacement".into(), fix.replacement.as_str().into());
        object
    });
    object.insert("fix".into(), json!(fix));
    Value::Object(object).to_string()
}

/// A line for each, each ended by a newline.
pub fn lines(diags: &[Diagnostic], map: &SourceMap) -> String {
    diags.iter().map(|d| line(d, map) + "\n").collect()
}

fn place(object: &mut Map<String, Value>, span: Span, map: &SourceMap) {
    let (line, column) = map.line_column(span);
    let (end_line, end_column) = map.line_column(span.after());
    object.insert("file".into(), map.get(span.source).name.as_str().into());
    object.insert("line".into(), line.into());
    object.insert("column".into(), column.into());
    object.insert("end_line".into(), end_line.into());
    object.insert("end_column".into(), end_column.into());
}
