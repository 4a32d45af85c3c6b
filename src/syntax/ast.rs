//! The tree of a `.nn` file, as written: nothing is resolved, nothing dropped.
//!
//! Every node carries its [`Span`]. A file with syntax errors still gives the
//! declarations that parsed.

use std::sync::Arc;

use crate::span::{SourceId, Span, Spanned};

/// One source file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub source: SourceId,
    pub decls: Vec<Decl>,
    pub comments: Vec<Comment>,
    /// What the declarations that were left out would have declared.
    pub broken: Vec<Ident>,
}

/// `# text`; `##` above a declaration documents it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// Without the leading `#`s, untrimmed.
    pub text: String,
    pub doc: bool,
    /// Nothing but blanks precedes it on its line.
    pub own_line: bool,
    pub span: Span,
}

/// A name as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    pub text: Arc<str>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decl {
    /// `@alias(Name)`, `@fixes(key)`: in the library only.
    pub attributes: Vec<Attribute>,
    /// The `##` lines directly above, joined by newlines; empty if none.
    pub doc: String,
    pub kind: DeclKind,
    /// From the keyword to the end; without attributes and comments.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub name: Ident,
    pub args: Vec<Arg>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeclKind {
    Import(Import),
    Const(Const),
    Data(Data),
    Def(Arc<Def>),
    Model(Arc<Model>),
    Train(Train),
    Sweep(Sweep),
}

/// `import "blocks.nn"` or `import "blocks.nn" { Residual, focal }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    pub path: Spanned<String>,
    /// `None`: every definition of the file.
    pub names: Option<Vec<Ident>>,
}

/// `const width = 16`
#[derive(Clone, Debug, PartialEq)]
pub struct Const {
    pub name: Ident,
    pub value: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefKind {
    Layer,
    Fn,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    Initializer,
    Regularizer,
    Constraint,
}

/// `layer Dense(units: int, ...)(x: [.., n]) -> [.., units] { ... }` and its kin.
#[derive(Clone, Debug, PartialEq)]
pub struct Def {
    pub kind: DefKind,
    pub name: Ident,
    /// None to two parameter lists. With two, the first configures, the second
    /// takes tensors; with one, the kind of definition decides which it is.
    pub lists: Vec<Vec<Param>>,
    pub result: Option<TypeExpr>,
    pub body: Block,
}

/// `units: int`, `rate = 0.5`, `x: [.., n]`, `axis: int = -1`, `...xs: [..]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Takes any number of arguments, as a list: `...xs`.
    pub variadic: bool,
    pub name: Ident,
    pub ty: Option<TypeExpr>,
    pub default: Option<Expr>,
    pub span: Span,
}

/// `[B, n]`, `prob`, `class[10]`, `class[n][B]`, `token[V][length]`, `u8[28, 28]`,
/// `int`, or a tuple `(digit: prob[10], total: [])`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeExpr {
    pub kind: TypeKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// An optional name and its brackets, uninterpreted.
    Plain {
        name: Option<Ident>,
        brackets: Vec<Vec<DimExpr>>,
    },
    Tuple(Vec<(Option<Ident>, TypeExpr)>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum DimExpr {
    /// `..`: any run of axes.
    Rest(Span),
    Expr(Expr),
}

/// `{ statements... value }`
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    /// The last expression, if the block ends with one.
    pub value: Option<Box<Expr>>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `a = e`, `a, b = e`
    Bind { targets: Vec<Ident>, value: Expr },
    /// `a += e` and the like
    Update {
        target: Ident,
        op: BinaryOp,
        value: Expr,
    },
    /// `param kernel: [n, units] = glorot_uniform, regularizer = l2(0.01)`
    Param(ParamDecl),
    /// `state m = zeros, v: [n] = ones`
    State(Vec<StateDecl>),
    /// `require rate < 1, "rate must be below 1, not {rate}"`
    Require { cond: Expr, message: Option<Expr> },
    /// `penalize e`: adds the sum of `e` to the training loss.
    Penalize(Expr),
    /// An expression whose value is not used (an error, reported by the checker).
    Expr(Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ParamDecl {
    pub name: Ident,
    pub ty: TypeExpr,
    pub init: Option<Expr>,
    /// `regularizer = ..`, `constraint = ..`, `trainable = ..`
    pub options: Vec<Arg>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StateDecl {
    pub name: Ident,
    pub ty: Option<TypeExpr>,
    pub init: Expr,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `10_000`; a value too large for i64 is a syntax error.
    Int(i64),
    /// `1e-3`, `0.5`
    Float(f64),
    /// `64%` is `Percent(64.0)`
    Percent(f64),
    Str(String),
    Bool(bool),
    /// `none`
    None,
    Name(Ident),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `(a, b)` or `(digit = a, total = b)`; one unnamed element is just parentheses.
    Tuple(Vec<Arg>),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
        args_span: Span,
    },
    Index {
        base: Box<Expr>,
        items: Vec<IndexItem>,
    },
    Field {
        base: Box<Expr>,
        name: Ident,
    },
    /// `value |> stage`
    Pipe {
        value: Box<Expr>,
        stage: Box<Expr>,
    },
    If {
        cond: Box<Expr>,
        then: Block,
        otherwise: Option<Block>,
    },
    /// `1e-4 .. 1e-2`, `preg .. age`
    Range(Box<Expr>, Box<Expr>),
    Scan(Box<Scan>),
    /// `when val_accuracy > 0.98 do stop`: only among callbacks.
    When {
        cond: Box<Expr>,
        action: Box<Expr>,
    },
}

/// `scan zt in z along 1 from h = h0, c = c0 { ... h = ...; c = ...; h }`
///
/// The body runs once for each index of the scanned axis; an assignment to a
/// carried name gives its next value; the body's value, if any, is stacked
/// along the same axis. The result is `(stacked, h, c)`, or `(h, c)` where the
/// body has no value, or the one of them where there is only one.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    pub elements: Vec<(Ident, Expr)>,
    /// Default 1: the time axis of `[B, t, n]`.
    pub axis: Option<Expr>,
    pub carries: Vec<(Ident, Expr)>,
    pub body: Block,
}

/// `value` or `name = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    pub name: Option<Ident>,
    pub value: Expr,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum IndexItem {
    Rest(Span),
    At(Expr),
    /// `start:end:step`, each optional.
    Slice {
        start: Option<Box<Expr>>,
        end: Option<Box<Expr>>,
        step: Option<Box<Expr>>,
        span: Span,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    /// `@`, the matrix product
    MatMul,
    /// `^`, binds to the right
    Pow,
}

/// `data digits { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    pub name: Ident,
    pub items: Vec<DataItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DataItem {
    pub kind: DataItemKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DataItemKind {
    /// `source csv("a.csv")`, `source test idx(image = "t10k-images-idx3-ubyte", ...)`
    Source { part: Option<Ident>, value: Expr },
    /// `column label : class[10] = 64` (the selector: a header name, an index, or a range of either)
    Column {
        name: Ident,
        ty: TypeExpr,
        selector: Option<Expr>,
        /// `missing = mean`
        options: Vec<Arg>,
    },
    /// `split stratify(label) { train 80%, test 20% }`
    Split {
        method: Option<Expr>,
        parts: Vec<(Ident, Expr)>,
    },
    /// `fit scale = Standardize(train.features)`
    Fit { name: Ident, value: Expr },
    /// `input x : [784] = flatten(image) / 255`; without a value, the column of that name
    Input {
        name: Ident,
        ty: TypeExpr,
        value: Option<Expr>,
    },
    Target {
        name: Ident,
        ty: TypeExpr,
        value: Option<Expr>,
    },
}

/// `model Net(x: [784]) -> prob[10] { ... }`; shapes are per sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: Ident,
    pub inputs: Vec<Param>,
    pub result: Option<TypeExpr>,
    pub body: Block,
}

/// `train Net on digits { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    pub models: Vec<Ident>,
    pub data: Ident,
    pub items: Vec<TrainItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TrainItem {
    Setting(Setting),
    /// `draw z: [16] = random_normal`: fresh noise for each batch.
    Draw {
        name: Ident,
        ty: TypeExpr,
        value: Expr,
        span: Span,
    },
    Step(Step),
}

/// `epochs 5`, `metrics accuracy, auc`, `loss a = mse, b = 0.2 * mae`, `callbacks { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub key: Ident,
    pub values: Vec<Arg>,
    pub span: Span,
}

/// `step Generator { fake = ...  minimize ...  optimizer Adam }`: updates only
/// the named models' parameters; steps of a train block run in turn each batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub models: Vec<Ident>,
    pub stmts: Vec<Stmt>,
    /// `minimize expr`, `optimizer expr`
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `sweep Net { width in [16, 32]  lr in log(1e-4 .. 1e-2)  search random(trials = 20)  minimize val_loss }`
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub model: Ident,
    pub axes: Vec<(Ident, Expr)>,
    pub settings: Vec<Setting>,
}

impl DefKind {
    pub const ALL: [DefKind; 9] = [
        DefKind::Layer,
        DefKind::Fn,
        DefKind::Loss,
        DefKind::Metric,
        DefKind::Optimizer,
        DefKind::Schedule,
        DefKind::Initializer,
        DefKind::Regularizer,
        DefKind::Constraint,
    ];

    /// The keyword that introduces it.
    pub fn keyword(self) -> &'static str {
        match self {
            DefKind::Layer => "layer",
            DefKind::Fn => "fn",
            DefKind::Loss => "loss",
            DefKind::Metric => "metric",
            DefKind::Optimizer => "optimizer",
            DefKind::Schedule => "schedule",
            DefKind::Initializer => "initializer",
            DefKind::Regularizer => "regularizer",
            DefKind::Constraint => "constraint",
        }
    }
}

impl UnaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "not",
        }
    }
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::Pow => "^",
        }
    }
}

impl Decl {
    /// The name it declares; imports and train blocks declare none.
    pub fn name(&self) -> Option<&Ident> {
        match &self.kind {
            DeclKind::Const(c) => Some(&c.name),
            DeclKind::Data(d) => Some(&d.name),
            DeclKind::Def(d) => Some(&d.name),
            DeclKind::Model(m) => Some(&m.name),
            DeclKind::Import(_) | DeclKind::Train(_) | DeclKind::Sweep(_) => None,
        }
    }
}
