//! Data, train and sweep blocks, their columns aligned.

use super::super::ast::*;
use super::super::lexer;
use super::{Printer, WIDTH};
use crate::span::Span;

/// `source`, `column`, ... take this many characters with the blanks after them.
const DATA_COLUMN: usize = 8;

impl Printer<'_> {
    pub(super) fn data(&mut self, data: &Data, decl: Span) -> String {
        let span = body_span(self.text, decl);
        let lead = "data ".len() + data.name.text.len() + 1;
        if self.is_one_line(span) {
            let items = data.items.iter();
            let items = items.map(|i| spaced(&self.data_item(i, (0, 0), 0)));
            if let Some(line) = one_line(items.collect(), lead) {
                return line;
            }
        }
        let columns = self.data_columns(&data.items);
        let items: Vec<(Span, usize)> = data
            .items
            .iter()
            .enumerate()
            .map(|(i, item)| (item.span, i))
            .collect();
        self.braced(span, &items, 0, |p, i, indent| {
            p.data_item(&data.items[i], columns[i], indent)
        })
    }

    /// For each item the widths of its name and of its type, common to the run of
    /// its family without a blank line between.
    fn data_columns(&self, items: &[DataItem]) -> Vec<(usize, usize)> {
        let family = |item: &DataItem| match item.kind {
            DataItemKind::Column { .. } => 1,
            DataItemKind::Fit { .. } => 2,
            DataItemKind::Input { .. } | DataItemKind::Target { .. } => 3,
            DataItemKind::Source { .. } => 4,
            DataItemKind::Split { .. } => 0,
        };
        let mut columns = vec![(0, 0); items.len()];
        let mut start = 0;
        while start < items.len() {
            let mut end = start + 1;
            while end < items.len()
                && family(&items[end]) == family(&items[start])
                && !self.blank_between(items[end - 1].span, items[end].span)
            {
                end += 1;
            }
            let widths = items[start..end].iter().map(|item| match &item.kind {
                DataItemKind::Column {
                    name, ty, selector, ..
                } => (name.text.len(), selector.is_some(), self.ty(ty).len()),
                DataItemKind::Input { name, ty, value }
                | DataItemKind::Target { name, ty, value } => {
                    (name.text.len(), value.is_some(), self.ty(ty).len())
                }
                DataItemKind::Fit { name, .. } => (name.text.len(), false, 0),
                DataItemKind::Source { part, .. } => {
                    (part.as_ref().map_or(0, |p| p.text.len()), false, 0)
                }
                DataItemKind::Split { .. } => (0, false, 0),
            });
            let (mut names, mut types) = (0, 0);
            for (name, valued, ty) in widths {
                names = names.max(name);
                if valued {
                    types = types.max(ty);
                }
            }
            columns[start..end].fill((names, types));
            start = end;
        }
        columns
    }

    fn blank_between(&self, a: Span, b: Span) -> bool {
        let lines: Vec<&str> = self.text[a.end as usize..b.start as usize]
            .split('\n')
            .collect();
        let inner = lines.len().saturating_sub(1).max(1);
        lines[1..inner.max(1)].iter().any(|l| l.trim().is_empty())
    }

    fn data_item(
        &mut self,
        item: &DataItem,
        (names, types): (usize, usize),
        indent: usize,
    ) -> String {
        let key = |word: &str| format!("{word:<DATA_COLUMN$}");
        let typed = |p: &Self, word: &str, name: &Ident, ty: &TypeExpr, value: bool| {
            let ty = p.ty(ty);
            if value {
                format!("{}{:<names$} : {ty:<types$} = ", key(word), name.text)
            } else {
                format!("{}{:<names$} : {ty}", key(word), name.text)
            }
        };
        let (lead, value) = match &item.kind {
            DataItemKind::Source { part, value } => {
                let part = part.as_ref().map_or("", |p| &p.text);
                let lead = if names == 0 && part.is_empty() {
                    key("source")
                } else {
                    format!("source {part:<names$}  ")
                };
                (lead, Some(value))
            }
            DataItemKind::Column {
                name,
                ty,
                selector,
                options,
            } => {
                let lead = typed(self, "column", name, ty, selector.is_some());
                let column = indent + lead.chars().count();
                let selector = selector
                    .as_ref()
                    .map_or(String::new(), |v| self.expr(v, indent, column));
                let mut line = lead + &selector;
                for option in options {
                    line += ", ";
                    let column = indent + line.chars().count();
                    line += &self.arg(option, indent, column);
                }
                return line;
            }
            DataItemKind::Fit { name, value } => (
                format!("{}{:<names$} = ", key("fit"), name.text),
                Some(value),
            ),
            DataItemKind::Input { name, ty, value } => (
                typed(self, "input", name, ty, value.is_some()),
                value.as_ref(),
            ),
            DataItemKind::Target { name, ty, value } => (
                typed(self, "target", name, ty, value.is_some()),
                value.as_ref(),
            ),
            DataItemKind::Split { method, parts } => {
                return self.split(key("split"), method.as_ref(), parts, item.span, indent);
            }
        };
        let column = indent + lead.chars().count();
        let value = value.map_or(String::new(), |v| self.expr(v, indent, column));
        lead + &value
    }

    fn split(
        &mut self,
        lead: String,
        method: Option<&Expr>,
        parts: &[(Ident, Expr)],
        item: Span,
        indent: usize,
    ) -> String {
        let method = method.map_or(String::new(), |m| self.flat_or_source(m) + " ");
        if parts.is_empty() && !self.source(item).ends_with('}') {
            return lead + method.trim_end();
        }
        let lead = if method.is_empty() {
            "split ".to_owned()
        } else {
            lead + &method
        };
        let from = parts.first().map_or(item.end, |p| p.0.span.start);
        let open = self.text[item.start as usize..from as usize]
            .rfind('{')
            .map_or(item.start as usize, |i| item.start as usize + i);
        let span = Span::new(item.source, open, item.end as usize);
        if !self.source(span).contains('\n') {
            let parts: Vec<String> = parts
                .iter()
                .map(|(n, e)| format!("{} {}", n.text, self.flat_or_source(e)))
                .collect();
            return format!("{lead}{{ {} }}", parts.join(", "));
        }
        let width = parts.iter().map(|(n, _)| n.text.len()).max().unwrap_or(0);
        let items: Vec<(Span, usize)> = parts
            .iter()
            .enumerate()
            .map(|(i, (n, e))| (n.span.to(e.span), i))
            .collect();
        lead + &self.braced(span, &items, indent, |p, i, _| {
            let (name, share) = &parts[i];
            format!("{:<width$} {}", name.text, p.flat_or_source(share))
        })
    }

    pub(super) fn train(&mut self, train: &Train, decl: Span) -> String {
        let span = body_span(self.text, decl);
        if self.is_one_line(span) {
            let lead = body_start(self.text, decl, span);
            let items = train.items.iter().map(|i| self.train_item(i, 0, 0));
            if let Some(line) = one_line(items.collect(), lead) {
                return line;
            }
        }
        let width = train
            .items
            .iter()
            .map(|i| match i {
                TrainItem::Setting(s) => s.key.text.len(),
                TrainItem::Draw { .. } | TrainItem::Step(_) => 0,
            })
            .max()
            .unwrap_or(0)
            + 2;
        let items: Vec<(Span, &TrainItem)> =
            train.items.iter().map(|i| (item_span(i), i)).collect();
        self.braced(span, &items, 0, |p, item, indent| {
            p.train_item(item, width, indent)
        })
    }

    fn train_item(&mut self, item: &TrainItem, width: usize, indent: usize) -> String {
        match item {
            TrainItem::Setting(s) => self.setting(s, width, indent),
            TrainItem::Draw {
                name, ty, value, ..
            } => {
                let lead = format!("draw {}: {} = ", name.text, self.ty(ty));
                let value = self.expr(value, indent, indent + lead.len());
                lead + &value
            }
            TrainItem::Step(step) => self.step(step, indent),
        }
    }

    fn step(&mut self, step: &Step, indent: usize) -> String {
        let models: Vec<&str> = step.models.iter().map(|m| &*m.text).collect();
        let lead = format!("step {} ", models.join(", "));
        let span = body_span(self.text, step.span);
        let mut items: Vec<(Span, Entry<'_>)> = step
            .stmts
            .iter()
            .map(|s| (s.span, Entry::Stmt(s)))
            .chain(step.settings.iter().map(|s| (s.span, Entry::Setting(s))))
            .collect();
        items.sort_by_key(|(s, _)| s.start);
        let keys = step.settings.iter().map(|s| s.key.text.len());
        let width = keys.max().unwrap_or(0) + 2;
        let print = |p: &mut Self, item: Entry<'_>, width: usize, indent: usize| match item {
            Entry::Stmt(s) => p.stmt(s, indent),
            Entry::Setting(s) => p.setting(s, width, indent),
            Entry::Axis(name, value) => format!("{} in {}", name.text, p.flat_or_source(value)),
        };
        if self.is_one_line(span) {
            let line = items.iter().map(|(_, i)| print(self, *i, 0, 0)).collect();
            if let Some(line) = one_line(line, indent + lead.len()) {
                return lead + &line;
            }
        }
        lead + &self.braced(span, &items, indent, |p, i, indent| {
            print(p, i, width, indent)
        })
    }

    pub(super) fn sweep(&mut self, sweep: &Sweep, decl: Span) -> String {
        let span = body_span(self.text, decl);
        let mut items: Vec<(Span, Entry<'_>)> = sweep
            .axes
            .iter()
            .map(|(n, e)| (n.span.to(e.span), Entry::Axis(n, e)))
            .chain(sweep.settings.iter().map(|s| (s.span, Entry::Setting(s))))
            .collect();
        items.sort_by_key(|(s, _)| s.start);
        let names = sweep.axes.iter().map(|(n, _)| n.text.len()).max();
        let keys = sweep.settings.iter().map(|s| s.key.text.len()).max();
        let widths = (names.unwrap_or(0), keys.unwrap_or(0) + 1);
        let print = |p: &mut Self, item: Entry<'_>, (names, keys), indent: usize| match item {
            Entry::Axis(name, value) => {
                let lead = format!("{:<names$} in ", name.text);
                let value = p.expr(value, indent, indent + lead.len());
                lead + &value
            }
            Entry::Setting(s) => p.setting(s, keys, indent),
            Entry::Stmt(s) => p.stmt(s, indent),
        };
        if self.is_one_line(span) {
            let lead = body_start(self.text, decl, span);
            let line = items.iter().map(|(_, i)| print(self, *i, (0, 1), 0));
            if let Some(line) = one_line(line.collect(), lead) {
                return line;
            }
        }
        self.braced(span, &items, 0, |p, i, indent| print(p, i, widths, indent))
    }

    /// The key takes `width` characters with the blanks after it.
    fn setting(&mut self, setting: &Setting, width: usize, indent: usize) -> String {
        let key = &setting.key.text;
        let after = self.text[setting.key.span.end as usize..].trim_start();
        if after.starts_with('{') {
            let span = Span::new(
                setting.span.source,
                self.text.len() - after.len(),
                setting.span.end as usize,
            );
            if self.is_one_line(span) {
                let values = setting.values.iter().map(|a| self.arg(a, 0, 0)).collect();
                if let Some(line) = one_line(values, indent + key.len() + 1) {
                    return format!("{key} {line}");
                }
            }
            let items: Vec<(Span, &Arg)> = setting.values.iter().map(|a| (a.span, a)).collect();
            return format!("{key} ")
                + &self.braced(span, &items, indent, |p, a, indent| {
                    p.arg(a, indent, indent)
                });
        }
        let width = width.max(key.len() + 1);
        let lead = format!("{key:<width$}");
        let column = indent + lead.len();
        let mut values: Vec<String> = Vec::new();
        let start = self.next;
        for arg in &setting.values {
            values.push(self.arg(arg, indent, column));
        }
        let flat = values.join(", ");
        if values.len() < 2 || column + flat.chars().count() <= WIDTH {
            return lead + &flat;
        }
        // One value a line, under the first.
        self.next = start;
        let values: Vec<String> = setting
            .values
            .iter()
            .map(|a| self.arg(a, column, column))
            .collect();
        lead + &values.join(&format!(",\n{}", " ".repeat(column)))
    }

    /// A body on one line in the source stays on one line.
    fn is_one_line(&self, span: Span) -> bool {
        !self.text[span.range()].contains('\n')
    }
}

/// The items of a step or a sweep.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Stmt(&'a Stmt),
    Setting(&'a Setting),
    Axis(&'a Ident, &'a Expr),
}

/// None where the line, which starts after `lead` characters, would be too long.
fn one_line(items: Vec<String>, lead: usize) -> Option<String> {
    if items.is_empty() {
        return Some("{ }".to_owned());
    }
    let line = format!("{{ {} }}", items.join("; "));
    (!line.contains('\n') && lead + line.chars().count() <= WIDTH).then_some(line)
}

/// How many characters precede the braces of a `train` or `sweep` block.
fn body_start(text: &str, decl: Span, body: Span) -> usize {
    spaced(&text[decl.start as usize..body.start as usize])
        .chars()
        .count()
        + 1
}

/// From the first `{` outside of other brackets to the end.
pub(super) fn body_span(text: &str, decl: Span) -> Span {
    let mut at = decl.start as usize;
    let mut depth = 0usize;
    while let Some(token) = lexer::next(text, at).filter(|t| t.start < decl.end as usize) {
        match &text[token.start..token.end] {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "{" if depth == 0 => return Span::new(decl.source, token.start, decl.end as usize),
            _ => {}
        }
        at = token.end;
    }
    decl
}

fn item_span(item: &TrainItem) -> Span {
    match item {
        TrainItem::Setting(s) => s.span,
        TrainItem::Draw { span, .. } => *span,
        TrainItem::Step(s) => s.span,
    }
}

/// Runs of blanks outside of strings become one.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(token) = lexer::next(text, at) {
        if token.start > at && !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&text[token.start..token.end]);
        at = token.end;
    }
    out
}
