//! Pairs -> expressions and types. The Pratt parser gives operators their shape:
//! loosest to tightest `..`, `or`, `and`, `not`, comparisons, `+ -`,
//! `* / % @`, unary `-`, `^`; pipes are looser than all of them.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::ast::*;
use super::grammar::Rule;
use crate::diag::{Code, Diagnostic};
use crate::span::{SourceId, Span, Spanned};

/// Builds the nodes of one piece of a file.
pub(super) struct Builder {
    pub source: SourceId,
    /// Where the piece starts in the file.
    pub base: usize,
    /// What the grammar cannot say: numbers too large, chained comparisons.
    pub errors: RefCell<Vec<Diagnostic>>,
}

static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    PrattParser::new()
        .op(Op::infix(Rule::range, Assoc::Left))
        .op(Op::infix(Rule::or, Assoc::Left))
        .op(Op::infix(Rule::and, Assoc::Left))
        .op(Op::prefix(Rule::not))
        .op(Op::infix(Rule::eq, Assoc::Left)
            | Op::infix(Rule::ne, Assoc::Left)
            | Op::infix(Rule::lt, Assoc::Left)
            | Op::infix(Rule::le, Assoc::Left)
            | Op::infix(Rule::gt, Assoc::Left)
            | Op::infix(Rule::ge, Assoc::Left))
        .op(Op::infix(Rule::add, Assoc::Left) | Op::infix(Rule::sub, Assoc::Left))
        .op(Op::infix(Rule::mul, Assoc::Left)
            | Op::infix(Rule::div, Assoc::Left)
            | Op::infix(Rule::rem, Assoc::Left)
            | Op::infix(Rule::matmul, Assoc::Left))
        .op(Op::prefix(Rule::neg))
        .op(Op::infix(Rule::pow, Assoc::Right))
});

/// The children that carry meaning: punctuation and keywords left out.
pub(super) fn kids(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(|p| !is_punctuation(p.as_rule()))
}

fn is_punctuation(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        lparen
            | rparen
            | lbracket
            | rbracket
            | lbrace
            | rbrace
            | comma
            | colon
            | arrow
            | dot
            | assign
            | kw_import
            | kw_const
            | kw_data
            | kw_model
            | kw_train
            | kw_sweep
            | kw_on
            | kw_source
            | kw_column
            | kw_split
            | kw_fit
            | kw_input
            | kw_target
            | kw_draw
            | kw_when
            | kw_do
            | kw_step
            | kw_param
            | kw_state
            | kw_require
            | kw_penalize
            | kw_if
            | kw_else
            | kw_scan
            | kw_in
            | kw_along
            | kw_from
            | EOI
    )
}

impl Builder {
    pub(super) fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = self.base + pair.as_span().start();
        // A rule that ends in something optional has taken the blanks before it.
        Span::new(self.source, start, start + pair.as_str().trim_end().len())
    }

    pub(super) fn error(&self, diagnostic: Diagnostic) {
        self.errors.borrow_mut().push(diagnostic);
    }

    pub(super) fn ident(&self, pair: Pair<'_, Rule>) -> Ident {
        Ident {
            text: Arc::from(pair.as_str()),
            span: self.span(&pair),
        }
    }

    pub(super) fn string(&self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        let text = pair.as_str();
        let mut value = String::with_capacity(text.len());
        let mut chars = text[1..text.len() - 1].chars();
        while let Some(c) = chars.next() {
            value.push(match c {
                '\\' => match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(other) => other,
                    None => '\\',
                },
                c => c,
            });
        }
        Spanned::new(value, self.span(pair))
    }

    pub(super) fn expr(&self, pair: Pair<'_, Rule>) -> Expr {
        let mut pairs = pair.into_inner().peekable();
        let mut operands = Vec::with_capacity(1);
        while let Some(p) = pairs.next_if(|p| p.as_rule() != Rule::pipe) {
            if p.as_rule() == Rule::infix {
                operands.extend(p.into_inner());
            } else {
                operands.push(p);
            }
        }
        let mut value = self.operation(operands);
        for stage in pairs.filter(|p| p.as_rule() == Rule::postfix) {
            let stage = self.postfix(stage);
            value = Expr {
                span: value.span.to(stage.span),
                kind: ExprKind::Pipe {
                    value: Box::new(value),
                    stage: Box::new(stage),
                },
            };
        }
        value
    }

    fn operation(&self, mut pairs: Vec<Pair<'_, Rule>>) -> Expr {
        if pairs.len() == 1
            && let Some(only) = pairs.pop()
        {
            return self.postfix(only);
        }
        PRATT
            .map_primary(|p| {
                let parenthesised = p
                    .clone()
                    .into_inner()
                    .next()
                    .is_some_and(|a| a.as_rule() == Rule::paren);
                (self.postfix(p), parenthesised)
            })
            .map_prefix(|op, (value, _)| {
                let kind = if op.as_rule() == Rule::neg {
                    UnaryOp::Neg
                } else {
                    UnaryOp::Not
                };
                let span = self.span(&op).to(value.span);
                (
                    Expr {
                        kind: ExprKind::Unary(kind, Box::new(value)),
                        span,
                    },
                    false,
                )
            })
            .map_infix(|(left, closed), op, (right, _)| {
                (self.infix(left, closed, &op, right), false)
            })
            .parse(pairs.into_iter())
            .0
    }

    fn infix(&self, left: Expr, closed: bool, op: &Pair<'_, Rule>, right: Expr) -> Expr {
        let span = left.span.to(right.span);
        let op = match op.as_rule() {
            Rule::or => BinaryOp::Or,
            Rule::and => BinaryOp::And,
            Rule::eq => BinaryOp::Eq,
            Rule::ne => BinaryOp::Ne,
            Rule::lt => BinaryOp::Lt,
            Rule::le => BinaryOp::Le,
            Rule::gt => BinaryOp::Gt,
            Rule::ge => BinaryOp::Ge,
            Rule::add => BinaryOp::Add,
            Rule::sub => BinaryOp::Sub,
            Rule::mul => BinaryOp::Mul,
            Rule::div => BinaryOp::Div,
            Rule::rem => BinaryOp::Rem,
            Rule::matmul => BinaryOp::MatMul,
            Rule::pow => BinaryOp::Pow,
            // The grammar knows no other infix: a range.
            _ => {
                if matches!(left.kind, ExprKind::Range(..)) && !closed {
                    self.error(
                        Diagnostic::error(Code::E0021, "a range has two ends")
                            .label(self.span(op), "a second `..`")
                            .label(left.span, "this is already a range"),
                    );
                }
                return Expr {
                    kind: ExprKind::Range(Box::new(left), Box::new(right)),
                    span,
                };
            }
        };
        if is_comparison(op)
            && !closed
            && let ExprKind::Binary(first, _, middle) = &left.kind
            && is_comparison(*first)
        {
            self.error(
                Diagnostic::error(Code::E0021, "comparisons do not chain")
                    .label(span, "two comparisons in a row")
                    .label(middle.span, "use this in both comparisons")
                    .help("join two comparisons with `and`, as in `0 < x and x < 1`"),
            );
        }
        Expr {
            kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
            span,
        }
    }

    pub(super) fn postfix(&self, pair: Pair<'_, Rule>) -> Expr {
        let mut pairs = pair.into_inner();
        let Some(atom) = pairs.next() else {
            return self.missing();
        };
        let mut value = self.atom(atom);
        for tail in pairs {
            let tail_span = self.span(&tail);
            let span = value.span.to(tail_span);
            let base = Box::new(value);
            let kind = match tail.as_rule() {
                Rule::call => ExprKind::Call {
                    callee: base,
                    args: kids(tail).map(|a| self.arg(a)).collect(),
                    args_span: tail_span,
                },
                Rule::index => ExprKind::Index {
                    base,
                    items: kids(tail).map(|i| self.index_item(i)).collect(),
                },
                _ => {
                    let name = kids(tail).next().map(|w| self.ident(w));
                    ExprKind::Field {
                        base,
                        name: name.unwrap_or_else(|| Ident {
                            text: Arc::from(""),
                            span,
                        }),
                    }
                }
            };
            value = Expr { kind, span };
        }
        value
    }

    fn atom(&self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => self.number(pair.as_str(), span),
            Rule::string => ExprKind::Str(self.string(&pair).node),
            Rule::literal => match pair.as_str() {
                "true" => ExprKind::Bool(true),
                "false" => ExprKind::Bool(false),
                _ => ExprKind::None,
            },
            Rule::list => ExprKind::List(kids(pair).map(|e| self.expr(e)).collect()),
            Rule::paren => {
                let mut args: Vec<Arg> = kids(pair).map(|a| self.arg(a)).collect();
                match args.as_slice() {
                    [Arg { name: None, .. }] => match args.pop() {
                        Some(arg) => arg.value.kind,
                        None => ExprKind::None,
                    },
                    _ => ExprKind::Tuple(args),
                }
            }
            Rule::if_expr => return self.if_expr(pair),
            Rule::scan_expr => ExprKind::Scan(Box::new(self.scan(pair))),
            _ => {
                self.foreign_name(pair.as_str(), span);
                ExprKind::Name(self.ident(pair))
            }
        };
        Expr { kind, span }
    }

    fn foreign_name(&self, name: &str, span: Span) {
        let ours = match name {
            "True" => "true",
            "False" => "false",
            "None" => "none",
            _ => return,
        };
        self.error(
            Diagnostic::error(Code::E0018, format!("`{name}` is written `{ours}` here"))
                .label(span, "unknown spelling")
                .help("write it in lower case")
                .fix(span, ours),
        );
    }

    fn number(&self, text: &str, span: Span) -> ExprKind {
        let digits: String = text.chars().filter(|c| *c != '_' && *c != '%').collect();
        let float = digits.contains(['.', 'e', 'E']);
        if float || text.ends_with('%') {
            let value: f64 = digits.parse().unwrap_or(f64::INFINITY);
            if value.is_infinite() {
                self.error(
                    Diagnostic::error(Code::E0014, "this number is too large")
                        .label(span, "64-bit floats go up to about 1.8e308"),
                );
            }
            return if text.ends_with('%') {
                ExprKind::Percent(value)
            } else {
                ExprKind::Float(value)
            };
        }
        match digits.parse() {
            Ok(value) => ExprKind::Int(value),
            Err(_) => {
                self.error(
                    Diagnostic::error(Code::E0014, "this number is too large")
                        .label(span, format!("integers go up to {}", i64::MAX))
                        .help("write it as a real number, as in `1e20`"),
                );
                ExprKind::Int(0)
            }
        }
    }

    fn if_expr(&self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let mut arms = Vec::new();
        let mut cond = None;
        let mut otherwise = None;
        for p in kids(pair) {
            match (p.as_rule(), cond.take()) {
                (Rule::expr, _) => cond = Some(self.expr(p)),
                (_, Some(c)) => arms.push((c, self.block(p))),
                (_, None) => otherwise = Some(self.block(p)),
            }
        }
        // From the last arm inwards: `else if` is an `else` block whose value is an `if`.
        let mut result = None;
        for (cond, then) in arms.into_iter().rev() {
            let otherwise = match result.take() {
                Some(inner) => Some(chain(inner)),
                None => otherwise.take(),
            };
            let end = otherwise.as_ref().map_or(then.span, |b| b.span);
            result = Some(Expr {
                span: cond.span.to(end),
                kind: ExprKind::If {
                    cond: Box::new(cond),
                    then,
                    otherwise,
                },
            });
        }
        match result {
            Some(e) => Expr { span, ..e },
            None => self.missing(),
        }
    }

    fn scan(&self, pair: Pair<'_, Rule>) -> Scan {
        let mut scan = Scan {
            elements: Vec::new(),
            axis: None,
            carries: Vec::new(),
            body: Block {
                stmts: Vec::new(),
                value: None,
                span: self.span(&pair),
            },
        };
        for p in kids(pair) {
            match p.as_rule() {
                Rule::scan_pair => scan.elements.push(self.named(p)),
                Rule::carry => scan.carries.push(self.named(p)),
                Rule::expr => scan.axis = Some(self.expr(p)),
                _ => scan.body = self.block(p),
            }
        }
        scan
    }

    /// `name ... expr`
    pub(super) fn named(&self, pair: Pair<'_, Rule>) -> (Ident, Expr) {
        let span = self.span(&pair);
        let mut pairs = kids(pair);
        let name = pairs.next().map_or(
            Ident {
                text: Arc::from(""),
                span,
            },
            |p| self.ident(p),
        );
        let value = pairs
            .next()
            .map_or_else(|| self.missing(), |p| self.expr(p));
        (name, value)
    }

    pub(super) fn arg(&self, pair: Pair<'_, Rule>) -> Arg {
        let span = self.span(&pair);
        let mut name = None;
        let mut value = None;
        for p in kids(pair) {
            match p.as_rule() {
                Rule::ident => name = Some(self.ident(p)),
                _ => value = Some(self.expr(p)),
            }
        }
        Arg {
            name,
            value: value.unwrap_or_else(|| self.missing()),
            span,
        }
    }

    fn index_item(&self, pair: Pair<'_, Rule>) -> IndexItem {
        let span = self.span(&pair);
        let mut at = None;
        for p in pair.into_inner() {
            match p.as_rule() {
                Rule::rest => return IndexItem::Rest(span),
                Rule::expr => at = Some(self.expr(p)),
                _ => {
                    let mut colons = 0;
                    let (mut end, mut step) = (None, None);
                    for part in p.into_inner() {
                        match (part.as_rule(), colons) {
                            (Rule::colon, _) => colons += 1,
                            (_, 1) => end = Some(Box::new(self.expr(part))),
                            (_, _) => step = Some(Box::new(self.expr(part))),
                        }
                    }
                    return IndexItem::Slice {
                        start: at.map(Box::new),
                        end,
                        step,
                        span,
                    };
                }
            }
        }
        IndexItem::At(at.unwrap_or_else(|| self.missing()))
    }

    pub(super) fn type_expr(&self, pair: Pair<'_, Rule>) -> TypeExpr {
        let span = self.span(&pair);
        let mut name = None;
        let mut brackets = Vec::new();
        let mut fields = None;
        for form in pair.into_inner() {
            let tuple = form.as_rule() == Rule::tuple_type;
            if tuple {
                fields = Some(kids(form).map(|f| self.type_field(f)).collect());
                continue;
            }
            for p in kids(form) {
                match p.as_rule() {
                    Rule::ident => name = Some(self.ident(p)),
                    _ => brackets.push(kids(p).map(|d| self.dim(d)).collect()),
                }
            }
        }
        let kind = match fields {
            Some(fields) => TypeKind::Tuple(fields),
            None => TypeKind::Plain { name, brackets },
        };
        TypeExpr { kind, span }
    }

    fn type_field(&self, pair: Pair<'_, Rule>) -> (Option<Ident>, TypeExpr) {
        let span = self.span(&pair);
        let mut name = None;
        let mut ty = TypeExpr {
            kind: TypeKind::Tuple(Vec::new()),
            span,
        };
        for p in kids(pair) {
            match p.as_rule() {
                Rule::ident => name = Some(self.ident(p)),
                _ => ty = self.type_expr(p),
            }
        }
        (name, ty)
    }

    fn dim(&self, pair: Pair<'_, Rule>) -> DimExpr {
        let span = self.span(&pair);
        match pair.into_inner().next() {
            Some(p) if p.as_rule() == Rule::expr => DimExpr::Expr(self.expr(p)),
            _ => DimExpr::Rest(span),
        }
    }

    /// A placeholder where the grammar guarantees a child; never reached.
    pub(super) fn missing(&self) -> Expr {
        Expr {
            kind: ExprKind::None,
            span: Span::new(self.source, self.base, self.base),
        }
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
    )
}

fn chain(inner: Expr) -> Block {
    Block {
        stmts: Vec::new(),
        span: inner.span,
        value: Some(Box::new(inner)),
    }
}
