//! Pairs -> statements, items of blocks and heads of declarations.

use pest::iterators::Pair;

use super::ast::*;
use super::expr::{Builder, kids};
use super::grammar::Rule;
use crate::span::{Span, Spanned};

/// The part of a declaration before `{`, or a whole declaration without one.
pub(super) enum Head {
    Import(Import),
    Const(Const),
    Data(Ident),
    Def {
        kind: DefKind,
        name: Ident,
        lists: Vec<Vec<Param>>,
        result: Option<TypeExpr>,
    },
    Model {
        name: Ident,
        inputs: Vec<Param>,
        result: Option<TypeExpr>,
    },
    Train {
        models: Vec<Ident>,
        data: Ident,
    },
    Sweep(Ident),
}

/// One item of a sweep block.
pub(super) enum SweepItem {
    Axis(Ident, Expr),
    Setting(Setting),
}

impl Builder {
    pub(super) fn attribute(&self, pair: Pair<'_, Rule>) -> Attribute {
        let span = self.span(&pair);
        let mut name = self.nameless(span);
        let mut args = Vec::new();
        for p in kids(pair) {
            match p.as_rule() {
                Rule::ident => name = self.ident(p),
                _ => args.push(self.arg(p)),
            }
        }
        Attribute { name, args, span }
    }

    pub(super) fn head(&self, pair: Pair<'_, Rule>) -> Head {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut names = Vec::new();
        let mut kind = DefKind::Fn;
        let mut lists = Vec::new();
        let mut result = None;
        let mut path = Spanned::new(String::new(), span);
        let mut imported = None;
        let mut value = None;
        for p in kids(pair) {
            match p.as_rule() {
                Rule::def_kind => kind = def_kind(p.as_str()),
                Rule::params => lists.push(kids(p).map(|q| self.param(q)).collect()),
                Rule::result => result = kids(p).next().map(|t| self.type_expr(t)),
                Rule::string => path = self.string(&p),
                Rule::import_names => imported = Some(kids(p).map(|n| self.ident(n)).collect()),
                Rule::expr => value = Some(self.expr(p)),
                _ => names.push(self.ident(p)),
            }
        }
        let last = names.pop().unwrap_or_else(|| self.nameless(span));
        match rule {
            Rule::import_decl => Head::Import(Import {
                path,
                names: imported,
            }),
            Rule::const_decl => Head::Const(Const {
                name: last,
                value: value.unwrap_or_else(|| self.missing()),
            }),
            Rule::data_head => Head::Data(last),
            Rule::model_head => Head::Model {
                name: last,
                inputs: lists.pop().unwrap_or_default(),
                result,
            },
            Rule::train_head => Head::Train {
                models: names,
                data: last,
            },
            Rule::sweep_head => Head::Sweep(last),
            _ => Head::Def {
                kind,
                name: last,
                lists,
                result,
            },
        }
    }

    fn param(&self, pair: Pair<'_, Rule>) -> Param {
        let span = self.span(&pair);
        let mut param = Param {
            variadic: false,
            name: self.nameless(span),
            ty: None,
            default: None,
            span,
        };
        for p in kids(pair) {
            match p.as_rule() {
                Rule::variadic => param.variadic = true,
                Rule::ident => param.name = self.ident(p),
                Rule::type_expr => param.ty = Some(self.type_expr(p)),
                _ => param.default = Some(self.expr(p)),
            }
        }
        param
    }

    pub(super) fn block(&self, pair: Pair<'_, Rule>) -> Block {
        let span = self.span(&pair);
        finish_block(kids(pair).map(|s| self.stmt(s)).collect(), span)
    }

    pub(super) fn stmt(&self, pair: Pair<'_, Rule>) -> Stmt {
        let span = self.span(&pair);
        let Some(form) = pair.into_inner().next() else {
            return Stmt {
                kind: StmtKind::Expr(self.missing()),
                span,
            };
        };
        let rule = form.as_rule();
        let mut names = Vec::new();
        let mut exprs = Vec::new();
        let mut options = Vec::new();
        let mut ty = None;
        let mut op = BinaryOp::Add;
        let mut states = Vec::new();
        for p in kids(form) {
            match p.as_rule() {
                Rule::ident => names.push(self.ident(p)),
                Rule::type_expr => ty = Some(self.type_expr(p)),
                Rule::named_arg => options.push(self.arg(p)),
                Rule::state_decl => states.push(self.state(p)),
                Rule::update_op => {
                    op = match p.as_str() {
                        "-=" => BinaryOp::Sub,
                        "*=" => BinaryOp::Mul,
                        "/=" => BinaryOp::Div,
                        _ => BinaryOp::Add,
                    }
                }
                _ => exprs.push(self.expr(p)),
            }
        }
        let mut exprs = exprs.into_iter();
        let mut value = || exprs.next().unwrap_or_else(|| self.missing());
        let kind = match rule {
            Rule::param_stmt => {
                let name = names.pop().unwrap_or_else(|| self.nameless(span));
                StmtKind::Param(ParamDecl {
                    name,
                    ty: ty.unwrap_or(TypeExpr {
                        kind: TypeKind::Tuple(Vec::new()),
                        span,
                    }),
                    init: exprs.next(),
                    options,
                })
            }
            Rule::state_stmt => StmtKind::State(states),
            Rule::require_stmt => StmtKind::Require {
                cond: value(),
                message: exprs.next(),
            },
            Rule::penalize_stmt => StmtKind::Penalize(value()),
            Rule::bind_stmt => StmtKind::Bind {
                targets: names,
                value: value(),
            },
            Rule::update_stmt => StmtKind::Update {
                target: names.pop().unwrap_or_else(|| self.nameless(span)),
                op,
                value: value(),
            },
            _ => StmtKind::Expr(value()),
        };
        Stmt { kind, span }
    }

    fn state(&self, pair: Pair<'_, Rule>) -> StateDecl {
        let span = self.span(&pair);
        let mut state = StateDecl {
            name: self.nameless(span),
            ty: None,
            init: self.missing(),
            span,
        };
        for p in kids(pair) {
            match p.as_rule() {
                Rule::ident => state.name = self.ident(p),
                Rule::type_expr => state.ty = Some(self.type_expr(p)),
                _ => state.init = self.expr(p),
            }
        }
        state
    }

    pub(super) fn data_item(&self, pair: Pair<'_, Rule>) -> DataItem {
        let span = self.span(&pair);
        let Some(form) = pair.into_inner().next() else {
            return DataItem {
                kind: DataItemKind::Split {
                    method: None,
                    parts: Vec::new(),
                },
                span,
            };
        };
        let rule = form.as_rule();
        let mut name = None;
        let mut ty = None;
        let mut value = None;
        let mut parts = Vec::new();
        let mut options = Vec::new();
        for p in kids(form) {
            match p.as_rule() {
                Rule::ident => name = Some(self.ident(p)),
                Rule::source_part => name = p.into_inner().next().map(|i| self.ident(i)),
                Rule::type_expr => ty = Some(self.type_expr(p)),
                Rule::split_part => parts.push(self.named(p)),
                Rule::arg => options.push(self.arg(p)),
                _ => value = Some(self.expr(p)),
            }
        }
        let part = name.clone();
        let name = name.unwrap_or_else(|| self.nameless(span));
        let ty = ty.unwrap_or(TypeExpr {
            kind: TypeKind::Tuple(Vec::new()),
            span,
        });
        let kind = match rule {
            Rule::source_item => DataItemKind::Source {
                part,
                value: value.unwrap_or_else(|| self.missing()),
            },
            Rule::column_item => DataItemKind::Column {
                name,
                ty,
                selector: value,
                options,
            },
            Rule::split_item => DataItemKind::Split {
                method: value,
                parts,
            },
            Rule::fit_item => DataItemKind::Fit {
                name,
                value: value.unwrap_or_else(|| self.missing()),
            },
            Rule::input_item => DataItemKind::Input { name, ty, value },
            _ => DataItemKind::Target { name, ty, value },
        };
        DataItem { kind, span }
    }

    pub(super) fn train_item(&self, pair: Pair<'_, Rule>) -> TrainItem {
        let span = self.span(&pair);
        match pair.into_inner().next() {
            Some(p) if p.as_rule() == Rule::draw_item => {
                let mut name = self.nameless(span);
                let mut ty = None;
                let mut value = self.missing();
                for q in kids(p) {
                    match q.as_rule() {
                        Rule::ident => name = self.ident(q),
                        Rule::type_expr => ty = Some(self.type_expr(q)),
                        _ => value = self.expr(q),
                    }
                }
                TrainItem::Draw {
                    name,
                    ty: ty.unwrap_or(TypeExpr {
                        kind: TypeKind::Tuple(Vec::new()),
                        span,
                    }),
                    value,
                    span,
                }
            }
            Some(p) if p.as_rule() == Rule::step_item => TrainItem::Step(self.step(p)),
            Some(p) => TrainItem::Setting(self.setting(p)),
            None => TrainItem::Setting(Setting {
                key: self.nameless(span),
                values: Vec::new(),
                span,
            }),
        }
    }

    fn step(&self, pair: Pair<'_, Rule>) -> Step {
        let mut step = Step {
            models: Vec::new(),
            stmts: Vec::new(),
            settings: Vec::new(),
            span: self.span(&pair),
        };
        for p in kids(pair) {
            match p.as_rule() {
                Rule::ident => step.models.push(self.ident(p)),
                Rule::step_setting => step.settings.push(self.setting(p)),
                _ => step.stmts.push(self.stmt(p)),
            }
        }
        step
    }

    pub(super) fn setting(&self, pair: Pair<'_, Rule>) -> Setting {
        let span = self.span(&pair);
        let mut key = self.nameless(span);
        let mut values = Vec::new();
        for p in kids(pair) {
            match p.as_rule() {
                Rule::setting_key | Rule::step_key => key = self.ident(p),
                Rule::setting_block => values.extend(kids(p).map(|a| match a.as_rule() {
                    Rule::when_rule => self.rule(a),
                    _ => self.arg(a),
                })),
                _ => values.push(self.arg(p)),
            }
        }
        Setting { key, values, span }
    }

    /// `when cond do action`, as an argument without a name.
    fn rule(&self, pair: Pair<'_, Rule>) -> Arg {
        let span = self.span(&pair);
        let mut parts = kids(pair).map(|e| self.expr(e));
        let mut part = || Box::new(parts.next().unwrap_or_else(|| self.missing()));
        let (cond, action) = (part(), part());
        Arg {
            name: None,
            value: Expr {
                kind: ExprKind::When { cond, action },
                span,
            },
            span,
        }
    }

    pub(super) fn sweep_item(&self, pair: Pair<'_, Rule>) -> SweepItem {
        let span = self.span(&pair);
        match pair.into_inner().next() {
            Some(p) if p.as_rule() == Rule::axis => {
                let (name, value) = self.named(p);
                SweepItem::Axis(name, value)
            }
            Some(p) => SweepItem::Setting(self.setting(p)),
            None => SweepItem::Axis(self.nameless(span), self.missing()),
        }
    }

    fn nameless(&self, span: Span) -> Ident {
        Ident {
            text: "".into(),
            span,
        }
    }
}

/// A block whose last statement is an expression has it as its value.
pub(super) fn finish_block(mut stmts: Vec<Stmt>, span: Span) -> Block {
    let value = match stmts.pop() {
        Some(Stmt {
            kind: StmtKind::Expr(e),
            ..
        }) => Some(Box::new(e)),
        Some(other) => {
            stmts.push(other);
            None
        }
        None => None,
    };
    Block { stmts, value, span }
}

fn def_kind(word: &str) -> DefKind {
    match word {
        "layer" => DefKind::Layer,
        "loss" => DefKind::Loss,
        "metric" => DefKind::Metric,
        "optimizer" => DefKind::Optimizer,
        "schedule" => DefKind::Schedule,
        "initializer" => DefKind::Initializer,
        "regularizer" => DefKind::Regularizer,
        "constraint" => DefKind::Constraint,
        _ => DefKind::Fn,
    }
}
