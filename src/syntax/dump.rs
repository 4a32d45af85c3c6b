//! The tree as text, for `nnc emit --stage ast` and for comparing trees.
//!
//! ```text
//! const width 1:1
//!   int 16 1:15
//! ```

use std::fmt::Write;

use super::ast::*;
use crate::span::{SourceMap, Span};

/// With places as line:column where the sources are given; trees that differ in
/// their spans alone have the same text without.
pub fn dump(file: &File, map: Option<&SourceMap>) -> String {
    let mut dumper = Dumper {
        map,
        out: String::new(),
        depth: 0,
    };
    for decl in &file.decls {
        dumper.decl(decl);
    }
    dumper.out
}

struct Dumper<'a> {
    map: Option<&'a SourceMap>,
    out: String,
    depth: usize,
}

impl Dumper<'_> {
    fn node(&mut self, label: &str, span: Span) {
        let indent = self.depth * 2;
        let place = self.map.map_or(String::new(), |m| {
            let (line, column) = m.line_column(span);
            format!(" {line}:{column}")
        });
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{:indent$}{label}{place}", "");
    }

    fn under(&mut self, children: impl FnOnce(&mut Self)) {
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    /// A node whose only child is an expression.
    fn one(&mut self, label: &str, span: Span, value: &Expr) {
        self.node(label, span);
        self.under(|d| d.expr(value));
    }

    fn decl(&mut self, decl: &Decl) {
        for line in decl.doc.lines() {
            let indent = self.depth * 2;
            let _ = writeln!(self.out, "{:indent$}## {line}", "");
        }
        for attribute in &decl.attributes {
            self.node(&format!("@{}", attribute.name.text), attribute.span);
            self.under(|d| d.args(&attribute.args));
        }
        let span = decl.span;
        match &decl.kind {
            DeclKind::Import(import) => {
                let names = import
                    .names
                    .as_ref()
                    .map_or(String::new(), |names| format!(" {{ {} }}", idents(names)));
                self.node(&format!("import {:?}{names}", import.path.node), span);
            }
            DeclKind::Const(c) => self.one(&format!("const {}", c.name.text), span, &c.value),
            DeclKind::Def(def) => {
                self.node(&format!("{} {}", def.kind.keyword(), def.name.text), span);
                self.under(|d| {
                    for list in &def.lists {
                        d.params(list, span);
                    }
                    d.result(def.result.as_ref());
                    d.block(&def.body);
                });
            }
            DeclKind::Model(model) => {
                self.node(&format!("model {}", model.name.text), span);
                self.under(|d| {
                    d.params(&model.inputs, span);
                    d.result(model.result.as_ref());
                    d.block(&model.body);
                });
            }
            DeclKind::Data(data) => {
                self.node(&format!("data {}", data.name.text), span);
                self.under(|d| data.items.iter().for_each(|i| d.data_item(i)));
            }
            DeclKind::Train(train) => {
                let label = format!("train {} on {}", idents(&train.models), train.data.text);
                self.node(&label, span);
                self.under(|d| train.items.iter().for_each(|i| d.train_item(i)));
            }
            DeclKind::Sweep(sweep) => {
                self.node(&format!("sweep {}", sweep.model.text), span);
                self.under(|d| {
                    for (name, value) in &sweep.axes {
                        d.one(&format!("axis {}", name.text), name.span, value);
                    }
                    sweep.settings.iter().for_each(|s| d.setting(s));
                });
            }
        }
    }

    fn params(&mut self, params: &[Param], span: Span) {
        self.node("params", params.first().map_or(span, |p| p.span));
        self.under(|d| {
            for param in params {
                let ty = param
                    .ty
                    .as_ref()
                    .map_or(String::new(), |t| format!(": {}", ty(t)));
                let any = if param.variadic { "..." } else { "" };
                d.node(&format!("{any}{}{ty}", param.name.text), param.span);
                if let Some(default) = &param.default {
                    d.under(|d| d.expr(default));
                }
            }
        });
    }

    fn result(&mut self, result: Option<&TypeExpr>) {
        if let Some(result) = result {
            self.node(&format!("-> {}", ty(result)), result.span);
        }
    }

    fn data_item(&mut self, item: &DataItem) {
        let span = item.span;
        let mut typed = |word: &str, name: &Ident, t: &TypeExpr, value: Option<&Expr>| {
            self.node(&format!("{word} {}: {}", name.text, ty(t)), span);
            if let Some(value) = value {
                self.under(|d| d.expr(value));
            }
        };
        match &item.kind {
            DataItemKind::Column {
                name,
                ty,
                selector,
                options,
            } => {
                typed("column", name, ty, selector.as_ref());
                self.under(|d| d.args(options));
            }
            DataItemKind::Input { name, ty, value } => typed("input", name, ty, value.as_ref()),
            DataItemKind::Target { name, ty, value } => typed("target", name, ty, value.as_ref()),
            DataItemKind::Source { part, value } => {
                let part = part
                    .as_ref()
                    .map_or(String::new(), |p| format!(" {}", p.text));
                self.one(&format!("source{part}"), span, value);
            }
            DataItemKind::Split { method, parts } => {
                self.node("split", span);
                self.under(|d| {
                    if let Some(method) = method {
                        d.one("by", method.span, method);
                    }
                    for (name, share) in parts {
                        d.one(&name.text, name.span, share);
                    }
                });
            }
            DataItemKind::Fit { name, value } => {
                self.one(&format!("fit {}", name.text), span, value);
            }
        }
    }

    fn train_item(&mut self, item: &TrainItem) {
        match item {
            TrainItem::Setting(s) => self.setting(s),
            TrainItem::Draw {
                name,
                ty: t,
                value,
                span,
            } => self.one(&format!("draw {}: {}", name.text, ty(t)), *span, value),
            TrainItem::Step(step) => {
                self.node(&format!("step {}", idents(&step.models)), step.span);
                self.under(|d| {
                    step.stmts.iter().for_each(|s| d.stmt(s));
                    step.settings.iter().for_each(|s| d.setting(s));
                });
            }
        }
    }

    fn setting(&mut self, setting: &Setting) {
        self.node(&format!("set {}", setting.key.text), setting.span);
        self.under(|d| d.args(&setting.values));
    }

    fn block(&mut self, block: &Block) {
        self.node("block", block.span);
        self.under(|d| {
            block.stmts.iter().for_each(|s| d.stmt(s));
            if let Some(value) = &block.value {
                d.one("value", value.span, value);
            }
        });
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let span = stmt.span;
        match &stmt.kind {
            StmtKind::Bind { targets, value } => {
                self.one(&format!("bind {}", idents(targets)), span, value);
            }
            StmtKind::Update { target, op, value } => {
                self.one(
                    &format!("update {} {}=", target.text, op.symbol()),
                    span,
                    value,
                );
            }
            StmtKind::Param(param) => {
                self.node(
                    &format!("param {}: {}", param.name.text, ty(&param.ty)),
                    span,
                );
                self.under(|d| {
                    if let Some(init) = &param.init {
                        d.expr(init);
                    }
                    d.args(&param.options);
                });
            }
            StmtKind::State(states) => {
                for state in states {
                    let t = state
                        .ty
                        .as_ref()
                        .map_or(String::new(), |t| format!(": {}", ty(t)));
                    self.one(
                        &format!("state {}{t}", state.name.text),
                        state.span,
                        &state.init,
                    );
                }
            }
            StmtKind::Require { cond, message } => {
                self.one("require", span, cond);
                if let Some(message) = message {
                    self.under(|d| d.expr(message));
                }
            }
            StmtKind::Penalize(value) => self.one("penalize", span, value),
            StmtKind::Expr(value) => self.one("unused", span, value),
        }
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            match &arg.name {
                Some(name) => self.one(&format!("{} =", name.text), arg.span, &arg.value),
                None => self.expr(&arg.value),
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        let span = e.span;
        match &e.kind {
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Percent(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Name(_) => self.node(&leaf(e), span),
            ExprKind::List(items) => {
                self.node("list", span);
                self.under(|d| items.iter().for_each(|i| d.expr(i)));
            }
            ExprKind::Tuple(args) => {
                self.node("tuple", span);
                self.under(|d| d.args(args));
            }
            ExprKind::Unary(op, value) => self.one(op.symbol(), span, value),
            ExprKind::Binary(op, a, b) => self.pair(op.symbol(), span, a, b),
            ExprKind::Range(a, b) => self.pair("..", span, a, b),
            ExprKind::Pipe { value, stage } => self.pair("|>", span, value, stage),
            ExprKind::Call { callee, args, .. } => {
                self.node("call", span);
                self.under(|d| {
                    d.expr(callee);
                    d.args(args);
                });
            }
            ExprKind::Index { base, items } => {
                self.node("index", span);
                self.under(|d| {
                    d.expr(base);
                    items.iter().for_each(|i| d.index_item(i));
                });
            }
            ExprKind::Field { base, name } => self.one(&format!("field {}", name.text), span, base),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.node("if", span);
                self.under(|d| {
                    d.expr(cond);
                    d.block(then);
                    if let Some(otherwise) = otherwise {
                        d.block(otherwise);
                    }
                });
            }
            ExprKind::When { cond, action } => self.pair("when", span, cond, action),
            ExprKind::Scan(scan) => {
                self.node("scan", span);
                self.under(|d| {
                    for (name, value) in &scan.elements {
                        d.one(&format!("{} in", name.text), name.span, value);
                    }
                    if let Some(axis) = &scan.axis {
                        d.one("along", axis.span, axis);
                    }
                    for (name, value) in &scan.carries {
                        d.one(&format!("{} from", name.text), name.span, value);
                    }
                    d.block(&scan.body);
                });
            }
        }
    }

    fn pair(&mut self, label: &str, span: Span, a: &Expr, b: &Expr) {
        self.node(label, span);
        self.under(|d| {
            d.expr(a);
            d.expr(b);
        });
    }

    fn index_item(&mut self, item: &IndexItem) {
        match item {
            IndexItem::Rest(span) => self.node("..", *span),
            IndexItem::At(e) => self.expr(e),
            IndexItem::Slice {
                start,
                end,
                step,
                span,
            } => {
                self.node("slice", *span);
                self.under(|d| {
                    for (label, part) in [("from", start), ("to", end), ("by", step)] {
                        if let Some(part) = part {
                            d.one(label, part.span, part);
                        }
                    }
                });
            }
        }
    }
}

fn idents(names: &[Ident]) -> String {
    let names: Vec<&str> = names.iter().map(|n| &*n.text).collect();
    names.join(", ")
}

fn leaf(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Int(v) => format!("int {v}"),
        ExprKind::Float(v) => format!("float {v:?}"),
        ExprKind::Percent(v) => format!("percent {v:?}"),
        ExprKind::Str(v) => format!("text {v:?}"),
        ExprKind::Bool(v) => v.to_string(),
        ExprKind::Name(name) => format!("name {}", name.text),
        _ => "none".to_owned(),
    }
}

/// On one line, sizes as expressions without places.
fn ty(t: &TypeExpr) -> String {
    match &t.kind {
        TypeKind::Plain { name, brackets } => {
            let mut text = name.as_ref().map_or(String::new(), |n| n.text.to_string());
            for dims in brackets {
                let dims: Vec<String> = dims
                    .iter()
                    .map(|d| match d {
                        DimExpr::Rest(_) => "..".to_owned(),
                        DimExpr::Expr(e) => size(e),
                    })
                    .collect();
                let _ = write!(text, "[{}]", dims.join(", "));
            }
            text
        }
        TypeKind::Tuple(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, t)| match name {
                    Some(name) => format!("{}: {}", name.text, ty(t)),
                    None => ty(t),
                })
                .collect();
            format!("({})", fields.join(", "))
        }
    }
}

/// The content of a type's brackets, fully parenthesised.
fn size(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Name(name) => name.text.to_string(),
        ExprKind::Int(v) => v.to_string(),
        ExprKind::Unary(op, v) => format!("({} {})", op.symbol(), size(v)),
        ExprKind::Binary(op, a, b) => format!("({} {} {})", size(a), op.symbol(), size(b)),
        _ => {
            let mut dumper = Dumper {
                map: None,
                out: String::new(),
                depth: 0,
            };
            dumper.expr(e);
            format!(
                "<{}>",
                dumper.out.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        }
    }
}
