//! Expressions, types and statements: on one line where they fit.

use super::super::ast::*;
use super::super::lexer;
use super::{Printer, WIDTH};
use crate::span::Span;

impl Printer<'_> {
    /// `indent` is that of the statement, `column` where the expression starts.
    pub(super) fn expr(&mut self, e: &Expr, indent: usize, column: usize) -> String {
        if let Some(flat) = self.flat(e)
            && column + flat.chars().count() <= WIDTH
        {
            return flat;
        }
        if !matches!(e.kind, ExprKind::Tuple(_)) && self.in_parentheses(e.span) {
            let inner = self.broken(e, indent, column + 1);
            return format!("({inner})");
        }
        self.broken(e, indent, column)
    }

    /// Over several lines, without the parentheses around it.
    fn broken(&mut self, e: &Expr, indent: usize, column: usize) -> String {
        match &e.kind {
            ExprKind::Pipe { .. } => self.pipe(e, indent, column),
            ExprKind::Call { callee, args, .. } => {
                let callee = self.expr(callee, indent, column);
                let column = last_column(&callee, column) + 1;
                callee + &self.args(args, indent, column)
            }
            ExprKind::Tuple(args) => self.args(args, indent, column + 1),
            ExprKind::List(items) => self.list(items, indent),
            ExprKind::Binary(op, left, right) => {
                let left = self.expr(left, indent, column);
                let right_flat = self.flat(right);
                let here = last_column(&left, column) + op.symbol().len() + 2;
                let fits = right_flat.is_some_and(|r| here + r.chars().count() <= WIDTH);
                if fits || matches!(right.kind, ExprKind::Call { .. } | ExprKind::If { .. }) {
                    let right = self.expr(right, indent, here);
                    format!("{left} {} {right}", op.symbol())
                } else {
                    let pad = indent + 4;
                    let right = self.expr(right, indent, pad);
                    format!("{left} {}\n{}{right}", op.symbol(), " ".repeat(pad))
                }
            }
            ExprKind::Unary(op, value) => {
                let symbol = unary(*op);
                let value = self.expr(value, indent, column + symbol.len());
                format!("{symbol}{value}")
            }
            ExprKind::Range(a, b) => {
                let a = self.expr(a, indent, column);
                let here = last_column(&a, column) + 4;
                let b = self.expr(b, indent, here);
                format!("{a} .. {b}")
            }
            ExprKind::Field { base, name } => {
                let base = self.expr(base, indent, column);
                format!("{base}.{}", name.text)
            }
            ExprKind::Index { base, items } => {
                let base = self.expr(base, indent, column);
                let items: Vec<String> = items.iter().map(|i| self.index_item(i)).collect();
                format!("{base}[{}]", items.join(", "))
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                let cond = self.expr(cond, indent, column + 3);
                let then = self.block(then, indent);
                let mut text = format!("if {cond} {then}");
                if let Some(block) = otherwise {
                    let chained = match (&block.stmts[..], &block.value) {
                        ([], Some(v)) => (matches!(v.kind, ExprKind::If { .. })
                            && v.span == block.span)
                            .then_some(v),
                        _ => None,
                    };
                    text.push_str(" else ");
                    match chained {
                        Some(inner) => {
                            let column = last_column(&text, column);
                            text.push_str(&self.broken(inner, indent, column));
                        }
                        None => text.push_str(&self.block(block, indent)),
                    }
                }
                text
            }
            ExprKind::Scan(scan) => {
                let head = self.scan_head(scan);
                format!("{head} {}", self.block(&scan.body, indent))
            }
            ExprKind::When { cond, action } => {
                let cond = self.expr(cond, indent, column + 5);
                let action = self.expr(action, indent, indent);
                format!("when {cond} do {action}")
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Percent(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Name(_) => self.leaf(e),
        }
    }

    /// Broken where the source breaks it; before every stage where that is too long.
    fn pipe(&mut self, e: &Expr, indent: usize, column: usize) -> String {
        let mut stages = Vec::new();
        let mut value = e;
        // A pipe in parentheses is a value of its own.
        while let ExprKind::Pipe { value: v, stage } = &value.kind {
            if !std::ptr::eq(value, e) && self.in_parentheses(value.span) {
                break;
            }
            stages.push((v.span.end, &**stage));
            value = v;
        }
        stages.reverse();
        let kept: Vec<bool> = stages
            .iter()
            .map(|(end, stage)| self.text[*end as usize..stage.span.start as usize].contains('\n'))
            .collect();
        let start = self.next;
        let text = self.stages(value, &stages, &kept, indent, column);
        let too_long = text
            .lines()
            .enumerate()
            .any(|(i, l)| l.chars().count() + if i == 0 { column } else { 0 } > WIDTH);
        if !too_long || kept.iter().all(|k| *k) {
            return text;
        }
        self.next = start;
        self.stages(value, &stages, &vec![true; stages.len()], indent, column)
    }

    fn stages(
        &mut self,
        value: &Expr,
        stages: &[(u32, &Expr)],
        breaks: &[bool],
        indent: usize,
        column: usize,
    ) -> String {
        let mut text = self.expr(value, indent, column);
        // Under the first `|>` where it is near, else two in.
        let first = last_column(&text, column) + 1;
        let near = !breaks[0] && !text.contains('\n') && first <= indent + 24;
        let pad = if near { first } else { indent + 2 };
        for ((_, stage), new_line) in stages.iter().zip(breaks) {
            if *new_line {
                text.push('\n');
                text.push_str(&" ".repeat(pad));
            } else {
                text.push(' ');
            }
            let here = last_column(&text, column) + 3;
            let inner = if *new_line || text.contains('\n') {
                pad
            } else {
                indent
            };
            let stage = self.expr(stage, inner, here);
            text.push_str("|> ");
            text.push_str(&stage);
        }
        text
    }

    fn args(&mut self, args: &[Arg], indent: usize, column: usize) -> String {
        let magic = args
            .last()
            .is_some_and(|a| self.broken_by_comma(a.span.end as usize));
        // A single argument that breaks by itself stays on the line.
        if let ([arg], false) = (args, magic) {
            return format!("({})", self.arg(arg, indent, column));
        }
        let mut text = String::from("(\n");
        let inner = indent + 2;
        for arg in args {
            let arg = self.arg(arg, inner, inner);
            text.push_str(&format!("{}{arg},\n", " ".repeat(inner)));
        }
        text + &" ".repeat(indent) + ")"
    }

    pub(super) fn arg(&mut self, arg: &Arg, indent: usize, column: usize) -> String {
        match &arg.name {
            Some(name) => {
                let lead = format!("{} = ", name.text);
                let value = self.expr(&arg.value, indent, column + lead.len());
                lead + &value
            }
            None => self.expr(&arg.value, indent, column),
        }
    }

    /// Short elements fill lines, others have one each.
    fn list(&mut self, items: &[Expr], indent: usize) -> String {
        let inner = indent + 2;
        let pad = " ".repeat(inner);
        let texts: Vec<String> = items.iter().map(|i| self.expr(i, inner, inner)).collect();
        let mut text = String::from("[\n");
        if texts.iter().all(|t| t.len() <= 12) {
            let mut line = pad.clone();
            for t in &texts {
                if line.len() + t.len() + 1 > WIDTH {
                    text.push_str(line.trim_end());
                    text.push('\n');
                    line = pad.clone();
                }
                line.push_str(&format!("{t}, "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        } else {
            for t in &texts {
                text.push_str(&format!("{pad}{t},\n"));
            }
        }
        text + &" ".repeat(indent) + "]"
    }

    /// On one line; none where a block or the author's line breaks forbid it.
    pub(super) fn flat(&self, e: &Expr) -> Option<String> {
        let text = self.flat_inner(e)?;
        if !matches!(e.kind, ExprKind::Tuple(_)) && self.in_parentheses(e.span) {
            return Some(format!("({text})"));
        }
        Some(text)
    }

    fn flat_inner(&self, e: &Expr) -> Option<String> {
        Some(match &e.kind {
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Percent(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Name(_) => self.leaf(e),
            ExprKind::List(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|i| self.flat(i)).collect();
                if items
                    .last()
                    .is_some_and(|i| self.broken_by_comma(i.span.end as usize))
                {
                    return None;
                }
                format!("[{}]", texts?.join(", "))
            }
            ExprKind::Tuple(args) => format!("({})", self.flat_args(args)?),
            ExprKind::Unary(op, value) => format!("{}{}", unary(*op), self.flat(value)?),
            ExprKind::Binary(op, a, b) => {
                format!("{} {} {}", self.flat(a)?, op.symbol(), self.flat(b)?)
            }
            ExprKind::Range(a, b) => format!("{} .. {}", self.flat(a)?, self.flat(b)?),
            ExprKind::Call { callee, args, .. } => {
                format!("{}({})", self.flat(callee)?, self.flat_args(args)?)
            }
            ExprKind::Index { base, items } => {
                let items: Vec<String> = items.iter().map(|i| self.index_item(i)).collect();
                format!("{}[{}]", self.flat(base)?, items.join(", "))
            }
            ExprKind::Field { base, name } => format!("{}.{}", self.flat(base)?, name.text),
            ExprKind::Pipe { value, stage } => {
                let between = &self.text[value.span.end as usize..stage.span.start as usize];
                if between.contains('\n') {
                    return None;
                }
                format!("{} |> {}", self.flat(value)?, self.flat(stage)?)
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                let mut text = format!("if {} {}", self.flat(cond)?, self.flat_block(then)?);
                if let Some(block) = otherwise {
                    let chained = block
                        .value
                        .as_ref()
                        .filter(|v| v.span == block.span && block.stmts.is_empty());
                    let rest = match chained {
                        Some(inner) => self.flat_inner(inner)?,
                        None => self.flat_block(block)?,
                    };
                    text.push_str(&format!(" else {rest}"));
                }
                text
            }
            ExprKind::Scan(scan) => {
                format!("{} {}", self.scan_head(scan), self.flat_block(&scan.body)?)
            }
            ExprKind::When { cond, action } => {
                format!("when {} do {}", self.flat(cond)?, self.flat(action)?)
            }
        })
    }

    pub(super) fn flat_or_source(&self, e: &Expr) -> String {
        self.flat(e).unwrap_or_else(|| self.source(e.span))
    }

    fn flat_args(&self, args: &[Arg]) -> Option<String> {
        if args
            .last()
            .is_some_and(|a| self.broken_by_comma(a.span.end as usize))
        {
            return None;
        }
        let texts: Option<Vec<String>> = args
            .iter()
            .map(|a| {
                let value = self.flat(&a.value)?;
                Some(match &a.name {
                    Some(name) => format!("{} = {value}", name.text),
                    None => value,
                })
            })
            .collect();
        Some(texts?.join(", "))
    }

    /// A block on one line in the source stays on one line.
    pub(super) fn flat_block(&self, block: &Block) -> Option<String> {
        if self.source(block.span).contains('\n') {
            return None;
        }
        let mut parts: Vec<String> = Vec::new();
        for stmt in &block.stmts {
            parts.push(self.flat_stmt(stmt)?);
        }
        if let Some(value) = &block.value {
            parts.push(self.flat(value)?);
        }
        let text = if parts.is_empty() {
            "{ }".to_owned()
        } else {
            format!("{{ {} }}", parts.join("; "))
        };
        (text.chars().count() <= WIDTH).then_some(text)
    }

    fn scan_head(&self, scan: &Scan) -> String {
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

    fn index_item(&self, item: &IndexItem) -> String {
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

    /// The part of a statement before its value, the value, and what follows it.
    fn stmt_parts<'s>(&self, stmt: &'s Stmt) -> (String, Option<&'s Expr>, String) {
        match &stmt.kind {
            StmtKind::Bind { targets, value } => {
                let names: Vec<&str> = targets.iter().map(|t| &*t.text).collect();
                (
                    format!("{} = ", names.join(", ")),
                    Some(value),
                    String::new(),
                )
            }
            StmtKind::Update { target, op, value } => (
                format!("{} {}= ", target.text, op.symbol()),
                Some(value),
                String::new(),
            ),
            StmtKind::Param(param) => {
                let mut lead = format!("param {}: {}", param.name.text, self.ty(&param.ty));
                if param.init.is_some() {
                    lead.push_str(" = ");
                }
                let rest: String = param
                    .options
                    .iter()
                    .map(|o| {
                        let name = o.name.as_ref().map_or("", |n| &n.text);
                        format!(", {name} = {}", self.flat_or_source(&o.value))
                    })
                    .collect();
                (lead, param.init.as_ref(), rest)
            }
            StmtKind::State(states) => {
                let states: Vec<String> = states
                    .iter()
                    .map(|s| {
                        let ty =
                            s.ty.as_ref()
                                .map_or(String::new(), |t| format!(": {}", self.ty(t)));
                        format!("{}{ty} = {}", s.name.text, self.flat_or_source(&s.init))
                    })
                    .collect();
                (format!("state {}", states.join(", ")), None, String::new())
            }
            StmtKind::Require { cond, message } => {
                let rest = message
                    .as_ref()
                    .map_or(String::new(), |m| format!(", {}", self.flat_or_source(m)));
                ("require ".to_owned(), Some(cond), rest)
            }
            StmtKind::Penalize(value) => ("penalize ".to_owned(), Some(value), String::new()),
            StmtKind::Expr(value) => (String::new(), Some(value), String::new()),
        }
    }

    pub(super) fn stmt(&mut self, stmt: &Stmt, indent: usize) -> String {
        let (lead, value, rest) = self.stmt_parts(stmt);
        let column = indent + lead.chars().count();
        let value = value.map_or(String::new(), |v| self.expr(v, indent, column));
        lead + &value + &rest
    }

    fn flat_stmt(&self, stmt: &Stmt) -> Option<String> {
        let (lead, value, rest) = self.stmt_parts(stmt);
        let value = match value {
            Some(value) => self.flat(value)?,
            None => String::new(),
        };
        Some(lead + &value + &rest)
    }

    fn leaf(&self, e: &Expr) -> String {
        let text = &self.text[e.span.range()];
        text.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')')
            .to_owned()
    }

    /// The brackets at the two ends belong to each other.
    fn in_parentheses(&self, span: Span) -> bool {
        let text = &self.text[span.range()];
        if !(text.starts_with('(') && text.ends_with(')')) {
            return false;
        }
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(token) = lexer::next(text, at) {
            at = token.end;
            match &text[token.start..token.end] {
                "(" => depth += 1,
                ")" => {
                    depth -= 1;
                    if depth == 0 {
                        return token.end == text.len();
                    }
                }
                _ => {}
            }
        }
        false
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "-",
        UnaryOp::Not => "not ",
    }
}

/// Where the next character would stand.
fn last_column(text: &str, column: usize) -> usize {
    match text.rsplit_once('\n') {
        Some((_, last)) => last.chars().count(),
        None => column + text.chars().count(),
    }
}
