//! Diagnostics for people. miette draws the excerpts; the header, help, notes,
//! the fixed line and the summary are written here.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use super::{Diagnostic, Label, Severity};
use crate::plural;
use crate::span::{SourceId, SourceMap};

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
    /// In characters.
    pub width: usize,
}

impl Style {
    /// For tests and files: colourless, 100 wide.
    pub fn plain() -> Style {
        Style {
            color: false,
            unicode: true,
            width: 100,
        }
    }
}

/// Lines longer than this, in bytes, are not drawn, only cited in part.
const LONG_LINE: usize = 400;

/// All diagnostics, and a line that counts them; empty for none.
pub fn render(diags: &[Diagnostic], map: &SourceMap, style: Style) -> String {
    let mut out = String::new();
    for diagnostic in diags {
        one(&mut out, diagnostic, map, style);
        out.push('\n');
    }
    if !diags.is_empty() {
        out.push_str(&summary(diags, map));
        out.push('\n');
    }
    out
}

/// "2 errors, 1 warning in mnist.nn"
pub fn summary(diags: &[Diagnostic], map: &SourceMap) -> String {
    let count = |severity, name: &str| {
        let n = diags.iter().filter(|d| d.severity == severity).count();
        (n > 0).then(|| plural::count(n, name))
    };
    let counts: Vec<String> = [
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut files: Vec<SourceId> = Vec::new();
    for span in diags.iter().filter_map(Diagnostic::span) {
        if !files.contains(&span.source) {
            files.push(span.source);
        }
    }
    let place = match files.as_slice() {
        [] => String::new(),
        [one] => format!(" in {}", map.get(*one).name),
        many => format!(" in {} files", many.len()),
    };
    counts.join(", ") + &place
}

fn one(out: &mut String, diagnostic: &Diagnostic, map: &SourceMap, style: Style) {
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut groups: Vec<(SourceId, Vec<&Label>)> = Vec::new();
    for label in &diagnostic.labels {
        match groups.iter_mut().find(|(id, _)| *id == label.span.source) {
            Some((_, labels)) => labels.push(label),
            None => groups.push((label.span.source, vec![label])),
        }
    }
    let icon = format!("{word}[{}]:", diagnostic.code);
    let first = groups.first().map(|(id, labels)| (*id, labels.as_slice()));
    excerpt(
        out,
        &icon,
        &diagnostic.message,
        diagnostic.severity,
        first,
        map,
        style,
    );
    for (id, labels) in groups.iter().skip(1) {
        excerpt(
            out,
            "",
            "",
            diagnostic.severity,
            Some((*id, labels.as_slice())),
            map,
            style,
        );
    }
    let fix = diagnostic.fix.as_ref().and_then(|fix| {
        let source = map.get(fix.span.source);
        fixed_line(&source.text, fix.span.range(), &fix.replacement)
    });
    if let Some(help) = &diagnostic.help {
        paragraph(out, "help", help, style);
    }
    if let Some(fix) = fix {
        let painted = paint("fix:", "36", style);
        out.push_str(&format!("  {painted} replace the line with `{fix}`\n"));
    }
    for note in &diagnostic.notes {
        paragraph(out, "note", note, style);
    }
}

/// The lines that the edit touches, as they would read; none where they are many or long.
fn fixed_line(text: &str, range: std::ops::Range<usize>, replacement: &str) -> Option<String> {
    let start = text.get(..range.start)?.rfind('\n').map_or(0, |i| i + 1);
    let after = text.get(range.end..)?;
    let end = after.find('\n').unwrap_or(after.len());
    let line = format!(
        "{}{replacement}{}",
        &text[start..range.start],
        &after[..end]
    );
    let line = line.trim();
    (!line.is_empty() && line.len() <= 160 && !line.contains('\n')).then(|| line.to_owned())
}

fn excerpt(
    out: &mut String,
    icon: &str,
    message: &str,
    severity: Severity,
    group: Option<(SourceId, &[&Label])>,
    map: &SourceMap,
    style: Style,
) {
    let mut cited = String::new();
    let window = group.and_then(|(id, labels)| {
        let window = Window::around(map, id, labels);
        if window.is_none() {
            for label in labels {
                cited.push_str(&format!("  at {}: {}\n", map.place(label.span), label.text));
                if let Some(near) = nearby(map, label) {
                    cited.push_str(&format!("     {near}\n"));
                }
            }
        }
        window
    });
    let report = Report {
        message,
        severity,
        labels: match (&window, group) {
            (Some(w), Some((_, labels))) => labels
                .iter()
                .enumerate()
                .map(|(i, l)| {
                    let range = l.span.range();
                    let span = SourceSpan::from((range.start - w.start, range.len()));
                    let text = (!l.text.is_empty()).then(|| l.text.clone());
                    if i == 0 {
                        LabeledSpan::new_primary_with_span(text, span)
                    } else {
                        LabeledSpan::new_with_span(text, span)
                    }
                })
                .collect(),
            _ => Vec::new(),
        },
        window,
    };
    let mut characters = if style.unicode {
        ThemeCharacters::unicode()
    } else {
        ThemeCharacters::ascii()
    };
    characters.error = icon.to_owned();
    characters.warning = icon.to_owned();
    let theme = GraphicalTheme {
        characters,
        styles: if style.color {
            ThemeStyles::ansi()
        } else {
            ThemeStyles::none()
        },
    };
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_context_lines(1)
        .without_syntax_highlighting()
        .with_links(false);
    // Writing to a string does not fail; what miette cannot place it leaves out.
    let _ = handler.render_report(&mut drawn, &report);
    let drawn = if icon.is_empty() {
        drawn
            .trim_start_matches(|c: char| c != '\n')
            .trim_start_matches('\n')
    } else {
        drawn.strip_prefix("  ").unwrap_or(&drawn)
    };
    for line in drawn.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push_str(&cited);
}

/// The text around a label on a line too long to draw.
fn nearby(map: &SourceMap, label: &Label) -> Option<String> {
    let text = &map.get(label.span.source).text;
    let at = label.span.start as usize;
    let before: String = text.get(..at)?.chars().rev().take(30).collect();
    let before: String = before.chars().rev().collect();
    let after: String = text.get(at..)?.chars().take(40).collect();
    let flat = |s: String| s.replace(|c: char| c.is_control(), " ");
    Some(format!("… {}⟨here⟩{} …", flat(before), flat(after)))
}

fn paragraph(out: &mut String, title: &str, text: &str, style: Style) {
    let title = paint(&format!("{title}:"), "36", style);
    let mut line = String::new();
    let mut lead = format!("  {title} ");
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 9 > style.width {
            out.push_str(&format!("{lead}{line}\n"));
            lead = " ".repeat(8);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&format!("{lead}{line}\n"));
}

fn paint(text: &str, code: &str, style: Style) -> String {
    if style.color {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// The lines of a source from the one before the first label to the one after the last.
#[derive(Debug)]
struct Window<'a> {
    name: &'a str,
    text: &'a str,
    /// Where it starts in the source.
    start: usize,
    /// Lines of the source before it.
    lines: usize,
}

impl<'a> Window<'a> {
    /// None where a line is too long to draw.
    fn around(map: &'a SourceMap, id: SourceId, labels: &[&Label]) -> Option<Window<'a>> {
        let source = map.get(id);
        let text: &str = &source.text;
        let first = labels.iter().map(|l| l.span).min_by_key(|s| s.start)?;
        let last = labels.iter().map(|l| l.span.end as usize).max()?;
        let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |i| i + 1);
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |i| at + i);
        let at = line_start(first.start as usize);
        let start = if at == 0 { 0 } else { line_start(at - 1) };
        let end = line_end(last.min(text.len()));
        let end = if end == text.len() {
            end
        } else {
            line_end(end + 1)
        };
        let long = labels.iter().any(|l| {
            let (s, e) = (l.span.start as usize, (l.span.end as usize).min(text.len()));
            line_end(e) - line_start(s) > LONG_LINE + 20 * (e - s).min(200)
        });
        if long || text[start..end].lines().any(|l| l.len() > 4 * LONG_LINE) {
            return None;
        }
        let (line, _) = map.line_column(first);
        Some(Window {
            name: &source.name,
            text: &text[start..end],
            start,
            lines: line - 1 - usize::from(at != 0),
        })
    }
}

impl SourceCode for Window<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.to_owned(),
            inner.data(),
            *inner.span(),
            inner.line() + self.lines,
            inner.column(),
            inner.line_count(),
        )))
    }
}

#[derive(Debug)]
struct Report<'a> {
    message: &'a str,
    severity: Severity,
    labels: Vec<LabeledSpan>,
    window: Option<Window<'a>>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.window.as_ref().map(|w| w as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }
}
