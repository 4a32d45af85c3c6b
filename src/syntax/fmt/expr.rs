//! Expressions, types and statements: on one line where they fit.

use super::super::ast::*;
use super::flat::chained;
use super::{Printer, WIDTH};

impl Printer<'_> {
    /// `indent` is that of the statement, `column` where the expression starts.
    pub(super) fn expr(&mut self, e: &Expr, indent: usize, column: usize) -> String {
        if let Some(flat) = self.flat(e, WIDTH.saturating_sub(column)) {
            return flat;
        }
        let parentheses = self.parentheses(e);
        let inner = self.broken(e, indent, column + parentheses.len());
        let closing: String = parentheses.iter().rev().map(|p| p.closing()).collect();
        "(".repeat(parentheses.len()) + &inner + &closing
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
                let here = last_column(&left, column) + op.symbol().len() + 2;
                let fits = self.flat(right, WIDTH.saturating_sub(here)).is_some();
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
                    text.push_str(" else ");
                    match chained(block) {
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
            | ExprKind::Name(_) => self.leaf(e).to_owned(),
        }
    }

    /// Broken where the source breaks it; before every stage where that is too long.
    fn pipe(&mut self, e: &Expr, indent: usize, column: usize) -> String {
        let mut stages = Vec::new();
        let mut value = e;
        // A pipe in parentheses is a value of its own.
        while let ExprKind::Pipe { value: v, stage } = &value.kind {
            if !std::ptr::eq(value, e) && !self.parentheses(value).is_empty() {
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
        if args.is_empty() {
            return "()".to_owned();
        }
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
        if items.is_empty() {
            return "[]".to_owned();
        }
        let inner = indent + 2;
        let pad = " ".repeat(inner);
        let texts: Vec<String> = items.iter().map(|i| self.expr(i, inner, inner)).collect();
        let mut text = String::from("[\n");
        if texts.iter().all(|t| t.len() <= 12 && !t.contains('\n')) {
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

    /// The part of a statement before its value, the value, and what follows it.
    pub(super) fn stmt_parts<'s>(&self, stmt: &'s Stmt) -> (String, Option<&'s Expr>, String) {
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
}

pub(super) fn unary(op: UnaryOp) -> &'static str {
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
