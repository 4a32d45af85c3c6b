//! Expressions and statements on one line.

use super::super::ast::*;
use super::expr::unary;
use super::{Printer, WIDTH};
use crate::span::Span;

/// A pair of parentheses around an expression: `(x)`, or `(x,)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parentheses {
    Plain,
    WithComma,
}

impl Parentheses {
    pub(super) fn closing(self) -> &'static str {
        match self {
            Parentheses::Plain => ")",
            Parentheses::WithComma => ",)",
        }
    }
}

/// A line in the making, of at most `limit` characters.
struct OneLine {
    text: String,
    length: usize,
    limit: usize,
}

impl OneLine {
    fn new(limit: usize) -> OneLine {
        OneLine {
            text: String::new(),
            length: 0,
            limit,
        }
    }

    /// None where the line is full.
    fn put(&mut self, text: &str) -> Option<()> {
        self.length += text.chars().count();
        self.text.push_str(text);
        (self.length <= self.limit).then_some(())
    }
}

impl Printer<'_> {
    /// On one line of at most `limit` characters; none where that, a block or the
    /// author's line breaks forbid it.
    pub(super) fn flat(&self, e: &Expr, limit: usize) -> Option<String> {
        // Nothing but blanks, separators and commas before brackets is dropped.
        if self.letters(e.span) > limit.saturating_mul(2) {
            return None;
        }
        let mut line = OneLine::new(limit);
        self.put(e, &mut line)?;
        Some(line.text)
    }

    pub(super) fn flat_or_source(&self, e: &Expr) -> String {
        self.flat(e, usize::MAX)
            .unwrap_or_else(|| self.source(e.span))
    }

    fn put(&self, e: &Expr, line: &mut OneLine) -> Option<()> {
        let parentheses = self.parentheses(e);
        for _ in &parentheses {
            line.put("(")?;
        }
        self.put_inner(e, line)?;
        for pair in parentheses.iter().rev() {
            line.put(pair.closing())?;
        }
        Some(())
    }

    fn put_inner(&self, e: &Expr, line: &mut OneLine) -> Option<()> {
        match &e.kind {
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Percent(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Name(_) => line.put(self.leaf(e)),
            ExprKind::List(items) => {
                let last = items.last();
                if last.is_some_and(|i| self.broken_by_comma(i.span.end as usize)) {
                    return None;
                }
                line.put("[")?;
                for (i, item) in items.iter().enumerate() {
                    line.put(if i == 0 { "" } else { ", " })?;
                    self.put(item, line)?;
                }
                line.put("]")
            }
            ExprKind::Tuple(args) => self.put_args(args, line),
            ExprKind::Unary(op, value) => {
                line.put(unary(*op))?;
                self.put(value, line)
            }
            ExprKind::Binary(op, a, b) => self.put_pair(a, op.symbol(), b, line),
            ExprKind::Range(a, b) => self.put_pair(a, "..", b, line),
            ExprKind::Call { callee, args, .. } => {
                self.put(callee, line)?;
                self.put_args(args, line)
            }
            ExprKind::Index { base, items } => {
                self.put(base, line)?;
                let items: Vec<String> = items.iter().map(|i| self.index_item(i)).collect();
                line.put(&format!("[{}]", items.join(", ")))
            }
            ExprKind::Field { base, name } => {
                self.put(base, line)?;
                line.put(".")?;
                line.put(&name.text)
            }
            ExprKind::Pipe { value, stage } => {
                let between = &self.text[value.span.end as usize..stage.span.start as usize];
                if between.contains('\n') {
                    return None;
                }
                self.put_pair(value, "|>", stage, line)
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                line.put("if ")?;
                self.put(cond, line)?;
                line.put(" ")?;
                self.put_block(then, line)?;
                let Some(block) = otherwise else {
                    return Some(());
                };
                line.put(" else ")?;
                match chained(block) {
                    Some(inner) => self.put_inner(inner, line),
                    None => self.put_block(block, line),
                }
            }
            ExprKind::Scan(scan) => {
                line.put(&self.scan_head(scan))?;
                line.put(" ")?;
                self.put_block(&scan.body, line)
            }
            ExprKind::When { cond, action } => {
                line.put("when ")?;
                self.put_pair(cond, "do", action, line)
            }
        }
    }

    fn put_pair(&self, a: &Expr, between: &str, b: &Expr, line: &mut OneLine) -> Option<()> {
        self.put(a, line)?;
        line.put(" ")?;
        line.put(between)?;
        line.put(" ")?;
        self.put(b, line)
    }

    fn put_args(&self, args: &[Arg], line: &mut OneLine) -> Option<()> {
        let last = args.last();
        if last.is_some_and(|a| self.broken_by_comma(a.span.end as usize)) {
            return None;
        }
        line.put("(")?;
        for (i, arg) in args.iter().enumerate() {
            line.put(if i == 0 { "" } else { ", " })?;
            if let Some(name) = &arg.name {
                line.put(&name.text)?;
                line.put(" = ")?;
            }
            self.put(&arg.value, line)?;
        }
        line.put(")")
    }

    fn put_block(&self, block: &Block, line: &mut OneLine) -> Option<()> {
        let limit = line.limit - line.length;
        line.put(&self.flat_block(block, limit)?)
    }

    /// A block on one line in the source stays on one line.
    pub(super) fn flat_block(&self, block: &Block, limit: usize) -> Option<String> {
        if self.text[block.span.range()].contains('\n') {
            return None;
        }
        let mut line = OneLine::new(limit.min(WIDTH));
        line.put("{")?;
        for (i, stmt) in block.stmts.iter().enumerate() {
            line.put(if i == 0 { " " } else { "; " })?;
            let (lead, value, rest) = self.stmt_parts(stmt);
            line.put(&lead)?;
            if let Some(value) = value {
                self.put(value, &mut line)?;
            }
            line.put(&rest)?;
        }
        if let Some(value) = &block.value {
            line.put(if block.stmts.is_empty() { " " } else { "; " })?;
            self.put(value, &mut line)?;
        }
        line.put(" }")?;
        Some(line.text)
    }

    pub(super) fn scan_head(&self, scan: &Scan) -> String {
        let pair = |joint: &str, (name, value): &(Ident, Expr)| {
            format!("{} {joint} {}", name.text, self.flat_or_source(value))
        };
        let elements: Vec<String> = scan.elements.iter().map(|p| pair("in", p)).collect();
        let carries: Vec<String> = scan.carries.iter().map(|p| pair("=", p)).collect();
        let mut text = format!("scan {}", elements.join(", "));
        if let Some(axis) = &scan.axis {
            text.push_str(&format!(" along {}", self.flat_or_source(axis)));
        }
        if !carries.is_empty() {
            text.push_str(&format!(" from {}", carries.join(", ")));
        }
        text
    }

    pub(super) fn index_item(&self, item: &IndexItem) -> String {
        let part =
            |e: &Option<Box<Expr>>| e.as_ref().map_or(String::new(), |e| self.flat_or_source(e));
        match item {
            IndexItem::Rest(_) => "..".to_owned(),
            IndexItem::At(e) => self.flat_or_source(e),
            IndexItem::Slice {
                start, end, step, ..
            } => {
                let mut text = format!("{}:{}", part(start), part(end));
                if step.is_some() {
                    text.push_str(&format!(":{}", part(step)));
                }
                text
            }
        }
    }

    pub(super) fn ty(&self, ty: &TypeExpr) -> String {
        match &ty.kind {
            TypeKind::Plain { name, brackets } => {
                let mut text = name.as_ref().map_or(String::new(), |n| n.text.to_string());
                for dims in brackets {
                    let dims: Vec<String> = dims
                        .iter()
                        .map(|d| match d {
                            DimExpr::Rest(_) => "..".to_owned(),
                            DimExpr::Expr(e) => self.flat_or_source(e),
                        })
                        .collect();
                    text.push_str(&format!("[{}]", dims.join(", ")));
                }
                text
            }
            TypeKind::Tuple(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, ty)| match name {
                        Some(name) => format!("{}: {}", name.text, self.ty(ty)),
                        None => self.ty(ty),
                    })
                    .collect();
                format!("({})", fields.join(", "))
            }
        }
    }

    pub(super) fn leaf(&self, e: &Expr) -> &str {
        &self.text[self.peeled(e.span).1.range()]
    }

    /// The parentheses around an expression, from the outside in, that its node does not show;
    /// one pair of several that are alike.
    pub(super) fn parentheses(&self, e: &Expr) -> Vec<Parentheses> {
        let mut layers = self.peeled(e.span).0;
        if matches!(e.kind, ExprKind::Tuple(_)) {
            layers.pop(); // its own
            layers.retain(|l| *l == Parentheses::WithComma);
        }
        layers.dedup();
        layers
    }

    fn peeled(&self, span: Span) -> (Vec<Parentheses>, Span) {
        let mut layers = Vec::new();
        let mut span = span;
        while span.end > span.start
            && self
                .closing
                .get(&span.start)
                .is_some_and(|c| c + 1 == span.end)
        {
            let inner = &self.text[span.start as usize + 1..span.end as usize - 1];
            let blank = |c: char| c.is_whitespace();
            let (content, layer) = match inner.trim_end_matches(blank).strip_suffix(',') {
                Some(content) => (content, Parentheses::WithComma),
                None => (inner, Parentheses::Plain),
            };
            layers.push(layer);
            let content = content.trim_end_matches(blank);
            let start = content.len() - content.trim_start_matches(blank).len();
            let at = span.start as usize + 1;
            span = Span::new(span.source, at + start, at + content.len().max(start));
        }
        (layers, span)
    }
}

/// The `if` of an `else if`.
pub(super) fn chained(block: &Block) -> Option<&Expr> {
    let value = block.value.as_deref()?;
    (block.stmts.is_empty()
        && value.span == block.span
        && matches!(value.kind, ExprKind::If { .. }))
    .then_some(value)
}
