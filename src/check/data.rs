//! `data` blocks: sources, columns, splits and fits as plain data; inputs and
//! targets as expressions over columns, elaborated where a run needs them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Role, Type};
use crate::lower::spec::*;
use crate::span::Span;
use crate::syntax::ast::{self, Arg, DataItemKind, Expr, ExprKind, Ident, TypeExpr};

use super::elab::Elab;
use super::scope::VarRole;
use super::signature::{MeaningPattern, per_sample_text, tensor_pattern};
use super::value::{Home, Meaning, Tensor, Val};

/// A data block with its names resolved.
#[derive(Debug)]
pub struct DataEnv {
    pub spec: DataSpec,
    pub inputs: Vec<Feed>,
    pub targets: Vec<Feed>,
    columns: HashMap<Arc<str>, Column>,
    fits: HashMap<Arc<str>, String>,
    /// Columns and fits with a mistake: what uses them says nothing more.
    broken: HashSet<Arc<str>>,
}

/// An `input` or `target`.
#[derive(Debug, Clone)]
pub struct Feed {
    pub name: Ident,
    pub ty: TypeExpr,
    pub value: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone)]
struct Column {
    ty: Type,
    meaning: Meaning,
}

impl Elab<'_> {
    pub fn data_block(&mut self, d: &ast::Data, span: Span) -> DataEnv {
        let spec = DataSpec {
            name: d.name.text.to_string(),
            sources: Vec::new(),
            columns: Vec::new(),
            split: None,
            fits: Vec::new(),
            span,
        };
        let mut env = DataEnv {
            spec,
            inputs: Vec::new(),
            targets: Vec::new(),
            columns: HashMap::new(),
            fits: HashMap::new(),
            broken: HashSet::new(),
        };
        let mut names: HashMap<Arc<str>, Span> = HashMap::new();
        let mut columns: HashSet<Arc<str>> = HashSet::new();
        for item in &d.items {
            match &item.kind {
                DataItemKind::Column { name, .. }
                | DataItemKind::Fit { name, .. }
                | DataItemKind::Input { name, .. }
                | DataItemKind::Target { name, .. } => {
                    let feed_of_column = matches!(
                        item.kind,
                        DataItemKind::Input { .. } | DataItemKind::Target { .. }
                    );
                    let known = names.insert(name.text.clone(), name.span);
                    if let Some(first) =
                        known.filter(|_| !(feed_of_column && columns.contains(&name.text)))
                    {
                        let d = Diagnostic::error(
                            "E0102",
                            format!("`{}` is declared twice", name.text),
                        )
                        .label(name.span, "declared again here")
                        .label(first, "first declared here");
                        self.report(d);
                    }
                }
                DataItemKind::Source { .. } | DataItemKind::Split { .. } => {}
            }
            match &item.kind {
                DataItemKind::Source { part, value } => {
                    self.source(part.as_ref(), value, item.span, &mut env)
                }
                DataItemKind::Column { name, ty, selector } => {
                    columns.insert(name.text.clone());
                    self.column(name, ty, selector.as_ref(), item.span, &mut env);
                    if !env.columns.contains_key(&name.text) {
                        env.broken.insert(name.text.clone());
                    }
                }
                DataItemKind::Split { method, parts } => {
                    self.split_item(method.as_ref(), parts, item.span, &mut env)
                }
                DataItemKind::Fit { name, value } => {
                    self.fit(name, value, item.span, &mut env);
                    if !env.fits.contains_key(&name.text) {
                        env.broken.insert(name.text.clone());
                    }
                }
                DataItemKind::Input { name, ty, value } => {
                    env.inputs.push(Feed {
                        name: name.clone(),
                        ty: ty.clone(),
                        value: value.clone(),
                        span: item.span,
                    });
                }
                DataItemKind::Target { name, ty, value } => {
                    env.targets.push(Feed {
                        name: name.clone(),
                        ty: ty.clone(),
                        value: value.clone(),
                        span: item.span,
                    });
                }
            }
        }
        if env.spec.sources.is_empty() && !self.diags.iter().any(|d| d.code == "E0501") {
            let d = Diagnostic::error("E0508", format!("`{}` has no source", d.name.text))
                .label(d.name.span, "nothing says where the data are")
                .help("add a line such as `source csv(\"file.csv\")`");
            self.report(d);
        }
        env
    }

    fn source(&mut self, part: Option<&Ident>, value: &Expr, span: Span, env: &mut DataEnv) {
        let part = match part {
            None => None,
            Some(p) => match self.part(p) {
                Some(p) => Some(p),
                None => return,
            },
        };
        let ExprKind::Call { callee, args, .. } = &value.kind else {
            self.error(
                "E0501",
                value.span,
                "a source is a call such as `csv(\"file.csv\")`",
                "not a call",
            );
            return;
        };
        let ExprKind::Name(reader) = &callee.kind else {
            self.error(
                "E0501",
                callee.span,
                "a source is a call such as `csv(\"file.csv\")`",
                "not a reader's name",
            );
            return;
        };
        let format = match &*reader.text {
            "csv" => self.table_source(reader, args, b','),
            "tsv" => self.table_source(reader, args, b'\t'),
            "idx" => self
                .file_per_column(args)
                .map(|files| Format::Idx { files }),
            "npy" => self
                .file_per_column(args)
                .map(|files| Format::Npy { files }),
            "npz" => self
                .one_path(reader, args, &[])
                .map(|(path, _)| Format::Npz { path }),
            other => {
                let known = ["csv", "tsv", "idx", "npy", "npz"];
                let mut d = Diagnostic::error("E0501", format!("unknown source `{other}`"))
                    .label(reader.span, "not a reader")
                    .note(format!("readers: {}", known.join(", ")));
                if let Some(near) = did_you_mean(other, known) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(reader.span, near);
                }
                self.report(d);
                None
            }
        };
        if let Some(format) = format {
            env.spec.sources.push(SourceSpec { part, format, span });
        }
    }

    fn table_source(&mut self, reader: &Ident, args: &[Arg], delimiter: u8) -> Option<Format> {
        let (path, options) = self.one_path(reader, args, &["header"])?;
        let header = match options.into_iter().next() {
            None | Some((_, Val::Bool(true))) => true,
            Some((_, Val::Bool(false))) => false,
            Some((span, other)) => {
                self.error(
                    "E0301",
                    span,
                    "`header` is true or false",
                    format!("this is {}", other.describe()),
                );
                return None;
            }
        };
        Some(Format::Csv {
            path,
            delimiter,
            header,
        })
    }

    fn one_path(
        &mut self,
        reader: &Ident,
        args: &[Arg],
        options: &[&str],
    ) -> Option<(String, Vec<(Span, Val)>)> {
        let mut path = None;
        let mut found = Vec::new();
        for a in args {
            match &a.name {
                None if path.is_none() => path = Some(self.text(&a.value)?),
                None => {
                    self.error(
                        "E0107",
                        a.span,
                        format!("`{}` takes one path", reader.text),
                        "one too many",
                    );
                }
                Some(n) if options.contains(&&*n.text) => {
                    let v = self.eval(&a.value);
                    found.push((a.span, v));
                }
                Some(n) => {
                    let mut d = Diagnostic::error(
                        "E0104",
                        format!("`{}` has no argument `{}`", reader.text, n.text),
                    )
                    .label(n.span, "unknown argument");
                    if let Some(near) = did_you_mean(&n.text, options.iter().copied()) {
                        d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                    }
                    self.report(d);
                }
            }
        }
        if path.is_none() {
            self.error(
                "E0106",
                reader.span,
                format!("`{}` needs a path", reader.text),
                "write `csv(\"file.csv\")`",
            );
        }
        path.map(|p| (p, found))
    }

    fn file_per_column(&mut self, args: &[Arg]) -> Option<Vec<(String, String)>> {
        let mut files = Vec::new();
        for a in args {
            let Some(n) = &a.name else {
                let d = Diagnostic::error("E0106", "this reader takes one file a column")
                    .label(a.span, "which column is this?")
                    .help("write `column = \"file\"`");
                self.report(d);
                return None;
            };
            files.push((n.text.to_string(), self.text(&a.value)?));
        }
        Some(files)
    }

    fn text(&mut self, e: &Expr) -> Option<String> {
        match self.eval(e) {
            Val::Str(s) => Some(s.to_string()),
            Val::Error => None,
            other => {
                self.error(
                    "E0301",
                    e.span,
                    "a path is a text in quotes",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    fn part(&mut self, p: &Ident) -> Option<Part> {
        match &*p.text {
            "train" => Some(Part::Train),
            "val" => Some(Part::Val),
            "test" => Some(Part::Test),
            other => {
                let mut d = Diagnostic::error("E0504", format!("unknown part `{other}`"))
                    .label(p.span, "parts are train, val and test");
                if let Some(near) = did_you_mean(other, ["train", "val", "test"]) {
                    d = d.help(format!("did you mean `{near}`?")).fix(p.span, near);
                } else if matches!(other, "validation" | "valid" | "dev") {
                    d = d.help("did you mean `val`?").fix(p.span, "val");
                }
                self.report(d);
                None
            }
        }
    }

    fn column(
        &mut self,
        name: &Ident,
        ty: &TypeExpr,
        selector: Option<&Expr>,
        span: Span,
        env: &mut DataEnv,
    ) {
        let pattern = match tensor_pattern(ty) {
            Ok(p) => p,
            Err(word) if &*word.text == "text" => {
                let d = Diagnostic::error("E0502", "text columns are not supported yet")
                    .label(ty.span, "texts cannot be read")
                    .help("number columns, classes and ids can be read today");
                self.report(d);
                return;
            }
            Err(word) => {
                let word = word.clone();
                return self.unknown_type(&word);
            }
        };
        let bound = |el: &mut Self, e: &Expr| -> Option<(usize, Dim)> {
            match el.eval(e) {
                Val::Int(d) => match d.as_const() {
                    Some(n) if n > 0 => Some((n as usize, d)),
                    _ => {
                        el.error(
                            "E0210",
                            e.span,
                            "there must be at least one",
                            format!("this is {d}"),
                        );
                        None
                    }
                },
                Val::Error => None,
                other => {
                    el.error(
                        "E0301",
                        e.span,
                        "a number of classes or words is an integer",
                        format!("this is {}", other.describe()),
                    );
                    None
                }
            }
        };
        let (kind, meaning) = match &pattern.meaning {
            MeaningPattern::Real | MeaningPattern::Any => (ColumnKind::F32, Meaning::Real),
            MeaningPattern::Prob => (ColumnKind::F32, Meaning::Prob),
            MeaningPattern::Int => (ColumnKind::I32, Meaning::Real),
            MeaningPattern::Bool => (ColumnKind::Bool, Meaning::Real),
            MeaningPattern::U8 => (ColumnKind::U8, Meaning::Real),
            MeaningPattern::Class(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Class(n), Meaning::Class(d)),
                None => return,
            },
            MeaningPattern::Token(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Token(n), Meaning::Token(d)),
                None => return,
            },
        };
        let Some(shape) = self.shape_of(pattern.dims) else {
            return;
        };
        let Some(sizes) = Type::new(Elem::F32, shape.iter().cloned()).sizes() else {
            self.error(
                "E0502",
                ty.span,
                "the sizes of a column are numbers",
                "a size here is not known",
            );
            return;
        };
        let selector_span = selector.map(|e| e.span);
        let Some(selector) = self.selector(selector, name) else {
            return;
        };
        if let (Selector::Indices(a, b), [n]) = (&selector, sizes.as_slice())
            && b + 1 - a != *n
        {
            let d = Diagnostic::error(
                "E0509",
                format!(
                    "{a} .. {b} selects {} fields, but the column holds {n}",
                    b + 1 - a
                ),
            )
            .label(
                selector_span.unwrap_or(span),
                format!("these are {}", b + 1 - a),
            )
            .label(ty.span, format!("this holds {n}"));
            self.report(d);
            return;
        }
        let elem = kind.elem();
        env.spec.columns.push(ColumnSpec {
            name: name.text.to_string(),
            kind,
            shape: sizes.to_vec(),
            selector,
            span,
        });
        let whole = std::iter::once(Dim::symbol("B")).chain(shape);
        env.columns.insert(
            name.text.clone(),
            Column {
                ty: Type::new(elem, whole),
                meaning,
            },
        );
    }

    fn selector(&mut self, e: Option<&Expr>, name: &Ident) -> Option<Selector> {
        let Some(e) = e else {
            return Some(Selector::Name(name.text.to_string()));
        };
        let word = |e: &Expr| match &e.kind {
            ExprKind::Name(n) => Some(n.text.to_string()),
            ExprKind::Str(s) => Some(s.clone()),
            _ => None,
        };
        let index = |e: &Expr| match &e.kind {
            ExprKind::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        };
        let found = match &e.kind {
            ExprKind::Range(a, b) => match (word(a), word(b), index(a), index(b)) {
                (Some(a), Some(b), ..) => Some(Selector::Names(a, b)),
                (_, _, Some(a), Some(b)) if a <= b => Some(Selector::Indices(a, b)),
                _ => None,
            },
            _ => word(e)
                .map(Selector::Name)
                .or_else(|| index(e).map(Selector::Index)),
        };
        if found.is_none() {
            let d = Diagnostic::error(
                "E0509",
                "a column is a field's name, its number from 0, or a range of either",
            )
            .label(e.span, "not one of these")
            .help("such as `age`, `\"blood pressure\"`, `8`, `preg .. age` or `0 .. 63`");
            self.report(d);
        }
        found
    }

    fn split_item(
        &mut self,
        method: Option<&Expr>,
        parts: &[(Ident, Expr)],
        span: Span,
        env: &mut DataEnv,
    ) {
        if env.spec.split.is_some() {
            self.error("E0109", span, "the data are split twice", "a second split");
            return;
        }
        if let Some(f) = env.spec.fits.first() {
            let d = Diagnostic::error("E0506", "the split comes before anything is fitted")
                .label(span, "split here")
                .label(f.span, "fitted before it")
                .help("move `split` above `fit`: a statistic may see training rows only");
            self.report(d);
        }
        let mut spec = SplitSpec {
            stratify: None,
            parts: Vec::new(),
            seed: None,
            span,
        };
        if let Some(m) = method {
            self.split_method(m, env, &mut spec);
        }
        let mut total = 0.0;
        let mut all_fractions = true;
        let before = self.diags.len();
        for (p, amount) in parts {
            let Some(part) = self.part(p) else { continue };
            if spec.parts.iter().any(|(q, _)| *q == part) {
                self.error(
                    "E0109",
                    p.span,
                    format!("the part `{}` is given twice", p.text),
                    "again here",
                );
                continue;
            }
            let amount = match (&amount.kind, self.eval(amount)) {
                (_, Val::Int(Dim::Const(n))) if n > 0 => Amount::Rows(n as usize),
                (_, Val::Float(x)) if x > 0.0 && x <= 1.0 => Amount::Fraction(x),
                (_, Val::Error) => continue,
                _ => {
                    self.error(
                        "E0503",
                        amount.span,
                        "a part is a share such as 80% or a number of rows",
                        "neither",
                    );
                    continue;
                }
            };
            match amount {
                Amount::Fraction(x) => total += x,
                Amount::Rows(_) => all_fractions = false,
            }
            spec.parts.push((part, amount));
        }
        let sound = self.diags.len() == before;
        if sound && all_fractions && !spec.parts.is_empty() && (total - 1.0).abs() > 1e-9 {
            let d = Diagnostic::error(
                "E0503",
                format!(
                    "the parts add up to {}%, not 100%",
                    (total * 1e6).round() / 1e4
                ),
            )
            .label(span, "these parts");
            self.report(d);
        }
        if sound && !spec.parts.iter().any(|(p, _)| *p == Part::Train) {
            self.error(
                "E0503",
                span,
                "a split needs a `train` part",
                "nothing is left to train on",
            );
        }
        env.spec.split = Some(spec);
    }

    fn split_method(&mut self, m: &Expr, env: &DataEnv, spec: &mut SplitSpec) {
        let (name, args): (&Ident, &[Arg]) = match &m.kind {
            ExprKind::Name(n) => (n, &[]),
            ExprKind::Call { callee, args, .. } => match &callee.kind {
                ExprKind::Name(n) => (n, args),
                _ => {
                    self.error(
                        "E0510",
                        m.span,
                        "a split is `random` or `stratify(column)`",
                        "neither",
                    );
                    return;
                }
            },
            _ => {
                self.error(
                    "E0510",
                    m.span,
                    "a split is `random` or `stratify(column)`",
                    "neither",
                );
                return;
            }
        };
        let stratify = match &*name.text {
            "random" => false,
            "stratify" => true,
            other => {
                let mut d = Diagnostic::error("E0510", format!("unknown way to split `{other}`"))
                    .label(name.span, "`random` or `stratify(column)`");
                if let Some(near) = did_you_mean(other, ["random", "stratify"]) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near);
                }
                self.report(d);
                return;
            }
        };
        for a in args {
            match (&a.name, &a.value.kind) {
                (Some(n), _) if &*n.text == "seed" => match self.eval(&a.value) {
                    Val::Int(Dim::Const(s)) if s >= 0 => spec.seed = Some(s as u64),
                    Val::Error => {}
                    _ => {
                        self.error("E0301", a.span, "a seed is a number from 0", "not one");
                    }
                },
                (Some(n), _) => {
                    self.error(
                        "E0104",
                        n.span,
                        format!("`{}` has no argument `{}`", name.text, n.text),
                        "unknown argument",
                    );
                }
                (None, ExprKind::Name(c)) if stratify => match env.columns.get(&c.text) {
                    Some(Column {
                        meaning: Meaning::Class(_),
                        ty,
                    }) if ty.rank() == 1 => spec.stratify = Some(c.text.to_string()),
                    Some(_) => {
                        self.error(
                            "E0510",
                            c.span,
                            "only a `class` column can be stratified",
                            format!("`{}` is not one", c.text),
                        );
                    }
                    None => self.unknown_column(c, env),
                },
                _ => {
                    self.error(
                        "E0510",
                        a.span,
                        "a split by proportions names a column: `stratify(label)`",
                        "not a column",
                    );
                }
            }
        }
        if stratify && spec.stratify.is_none() && args.is_empty() {
            self.error(
                "E0510",
                m.span,
                "`stratify` needs a column",
                "write `stratify(label)`",
            );
        }
    }

    fn unknown_column(&mut self, c: &Ident, env: &DataEnv) {
        if env.broken.contains(&c.text) {
            return;
        }
        let mut d = Diagnostic::error("E0110", format!("unknown column `{}`", c.text))
            .label(c.span, "not declared in this block");
        if let Some(near) = did_you_mean(&c.text, env.columns.keys().map(|k| &**k)) {
            d = d.help(format!("did you mean `{near}`?")).fix(c.span, near);
        }
        self.report(d);
    }

    /// `fit scale = statistics(train.features)`.
    fn fit(&mut self, name: &Ident, value: &Expr, span: Span, env: &mut DataEnv) {
        let usage = "a fit is `statistics(train.column)`";
        let ExprKind::Call { callee, args, .. } = &value.kind else {
            self.error("E0511", value.span, usage, "not a call");
            return;
        };
        match &callee.kind {
            ExprKind::Name(f) if &*f.text == "statistics" => {}
            ExprKind::Name(f) => {
                let d = Diagnostic::error("E0511", format!("unknown fit `{}`", f.text))
                    .label(f.span, "`statistics` is the one there is")
                    .help(usage);
                self.report(d);
                return;
            }
            _ => {
                self.error("E0511", callee.span, usage, "not a name");
                return;
            }
        }
        let [
            Arg {
                name: None,
                value: column,
                ..
            },
        ] = args.as_slice()
        else {
            self.error("E0511", value.span, usage, "it takes one column");
            return;
        };
        let (part, column) = match &column.kind {
            ExprKind::Field { base, name: c } => match &base.kind {
                ExprKind::Name(p) => (Some(p), c),
                _ => {
                    self.error("E0511", column.span, usage, "not a column");
                    return;
                }
            },
            ExprKind::Name(c) => (None, c),
            _ => {
                self.error("E0511", column.span, usage, "not a column");
                return;
            }
        };
        match part {
            Some(p) if &*p.text == "train" => {}
            Some(p) => {
                if self.part(p).is_some() {
                    let d = Diagnostic::error("E0505", format!("a statistic may see training rows only, not `{}`", p.text))
                        .label(p.span, "not the rows it trains on")
                        .note("fitted on other rows, the model would know something of the data it is judged by")
                        .help(format!("write `train.{}`", column.text))
                        .fix(p.span, "train");
                    self.report(d);
                }
                return;
            }
            None => {
                let d = Diagnostic::error("E0505", "a fit names the part it sees")
                    .label(column.span, "which rows?")
                    .help(format!("write `train.{}`", column.text))
                    .fix(column.span, format!("train.{}", column.text));
                self.report(d);
                return;
            }
        }
        let Some(c) = env.columns.get(&column.text) else {
            return self.unknown_column(column, env);
        };
        if c.meaning.is_id() {
            self.error(
                "E0302",
                column.span,
                "ids are names, not quantities: they have no mean",
                format!("`{}` holds ids", column.text),
            );
            return;
        }
        env.spec.fits.push(FitSpec {
            name: name.text.to_string(),
            column: column.text.to_string(),
            statistics: Statistic::ALL.to_vec(),
            span,
        });
        env.fits.insert(name.text.clone(), column.text.to_string());
    }

    /// Evaluates an `input` or `target`, making graph inputs of the columns it uses.
    pub fn feed(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        self.frames.push(super::scope::Frame::new(
            "data".into(),
            format!("`{}`", f.name.text),
            false,
            None,
        ));
        let t = self.feed_value(f, env);
        self.frames.pop();
        let t = t?;
        let pattern = match tensor_pattern(&f.ty) {
            Ok(p) => p,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return None;
            }
        };
        self.per_sample(
            &pattern,
            t,
            f.ty.span,
            f.value.as_ref().map_or(f.span, |v| v.span),
            &f.name.text,
        )
    }

    fn feed_value(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        let v = match &f.value {
            None => {
                if env.broken.contains(&f.name.text) {
                    return None;
                }
                if !env.columns.contains_key(&f.name.text) {
                    self.unknown_column(&f.name, env);
                    return None;
                }
                self.bind_column(&f.name, env);
                self.name(&f.name)
            }
            Some(e) => {
                let mut names = Vec::new();
                names_in(e, &mut names);
                if names.iter().any(|n| env.broken.contains(&n.text)) {
                    return None;
                }
                for n in names {
                    if env.columns.contains_key(&n.text) {
                        self.bind_column(n, env);
                    } else if env.fits.contains_key(&n.text) {
                        self.frame().bind(
                            &n.text,
                            Val::Fitted(Rc::from(&*n.text)),
                            n.span,
                            VarRole::Given,
                        );
                    } else if !env.columns.is_empty() && self.is_unknown_name(&n.text) {
                        // A column is what was meant, more likely than anything of the library.
                        if did_you_mean(&n.text, env.columns.keys().map(|k| &**k)).is_some() {
                            self.unknown_column(n, env);
                            return None;
                        }
                    }
                }
                self.fits_in_scope(env);
                self.eval(e)
            }
        };
        match v {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            other => {
                let at = f.value.as_ref().map_or(f.span, |v| v.span);
                self.error(
                    "E0507",
                    at,
                    format!("`{}` must be made of columns", f.name.text),
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    fn is_unknown_name(&self, name: &str) -> bool {
        !self.world.globals.contains_key(name)
            && super::builtins::find(name).is_none()
            && self.world.library(name).is_none()
            && !matches!(name, "real" | "int" | "bool" | "training")
    }

    fn fits_in_scope(&mut self, env: &DataEnv) {
        for (name, column) in &env.fits {
            let c = &env.columns[column.as_str()];
            self.fitted.insert(
                name.to_string(),
                Type::new(Elem::F32, c.ty.shape[1..].iter().cloned()),
            );
        }
    }

    fn bind_column(&mut self, n: &Ident, env: &DataEnv) {
        let c = &env.columns[&n.text];
        let known = self
            .step
            .inputs
            .iter()
            .find(|i| i.role == Role::Data && i.name == n.text)
            .map(|i| i.value);
        let value = known.unwrap_or_else(|| self.step.input(&n.text, Role::Data, c.ty.clone()));
        let t = Tensor {
            value,
            home: Home::Step,
            ty: c.ty.clone(),
            meaning: c.meaning.clone(),
        };
        self.frame()
            .bind(&n.text, Val::Tensor(t), n.span, VarRole::Given);
    }

    /// `scale.mean`: a constant computed from the training rows.
    pub fn fitted_field(&mut self, fit: &str, field: &Ident) -> Val {
        let known = Statistic::ALL.map(Statistic::name);
        if !known.contains(&&*field.text) {
            let mut d = Diagnostic::error("E0110", format!("`{fit}` has no `{}`", field.text))
                .label(field.span, "unknown statistic")
                .note(format!("it has: {}", known.join(", ")));
            if let Some(near) = did_you_mean(&field.text, known) {
                d = d
                    .help(format!("did you mean `{near}`?"))
                    .fix(field.span, near);
            }
            return self.report(d);
        }
        let Some(ty) = self.fitted.get(fit).cloned() else {
            return Val::Error;
        };
        let name = format!("{fit}.{}", field.text);
        let found = self
            .step
            .inputs
            .iter()
            .find(|i| i.role == Role::Fit && *i.name == *name)
            .map(|i| i.value);
        let value = found.unwrap_or_else(|| self.step.input(&name, Role::Fit, ty.clone()));
        Val::Tensor(Tensor {
            value,
            home: Home::Step,
            ty,
            meaning: Meaning::Real,
        })
    }

    /// Checks a tensor against a per-sample type: the batch axis is implied.
    pub fn per_sample(
        &mut self,
        pattern: &super::signature::Pattern,
        t: Tensor,
        ty_span: Span,
        at: Span,
        name: &str,
    ) -> Option<Tensor> {
        let report = |el: &mut Self, what: String| {
            let d = Diagnostic::error("E0507", what)
                .label(at, format!("this gives {} a sample", per_sample_text(&t)))
                .label(ty_span, "declared here");
            el.report(d);
            None::<Tensor>
        };
        self.frames.push(super::scope::Frame::new(
            "".into(),
            name.into(),
            false,
            None,
        ));
        let meaning = super::signature::Pattern {
            meaning: pattern.meaning.clone(),
            dims: &[],
            span: pattern.span,
        };
        let declared = self.shape_of(pattern.dims);
        let fitted = {
            let scalar = Tensor {
                ty: Type {
                    elem: t.ty.elem,
                    shape: t.ty.shape.clone(),
                },
                ..t.clone()
            };
            self.unify_meaning_only(&meaning, scalar, at)
        };
        self.frames.pop();
        let declared = declared?;
        let Some(fitted) = fitted else {
            return report(
                self,
                format!(
                    "`{name}` is declared {}, but its values are {}",
                    super::signature::pattern_text(pattern),
                    per_sample_text(&t)
                ),
            );
        };
        if fitted.ty.shape.len() != declared.len() + 1 || fitted.ty.shape[1..] != declared[..] {
            return report(
                self,
                format!(
                    "`{name}` is declared {}, but its values are {}",
                    super::signature::pattern_text(pattern),
                    per_sample_text(&t)
                ),
            );
        }
        Some(fitted)
    }
}

/// Every name an expression mentions.
pub fn names_in<'a>(e: &'a Expr, out: &mut Vec<&'a Ident>) {
    match &e.kind {
        ExprKind::Name(n) => out.push(n),
        ExprKind::List(items) => items.iter().for_each(|i| names_in(i, out)),
        ExprKind::Tuple(items) => items.iter().for_each(|a| names_in(&a.value, out)),
        ExprKind::Unary(_, a) => names_in(a, out),
        ExprKind::Binary(_, a, b)
        | ExprKind::Range(a, b)
        | ExprKind::Pipe { value: a, stage: b } => {
            names_in(a, out);
            names_in(b, out);
        }
        ExprKind::Call { callee, args, .. } => {
            names_in(callee, out);
            args.iter().for_each(|a| names_in(&a.value, out));
        }
        ExprKind::Index { base, items } => {
            names_in(base, out);
            for i in items {
                match i {
                    ast::IndexItem::Rest(_) => {}
                    ast::IndexItem::At(e) => names_in(e, out),
                    ast::IndexItem::Slice {
                        start, end, step, ..
                    } => {
                        [start, end, step]
                            .into_iter()
                            .flatten()
                            .for_each(|e| names_in(e, out));
                    }
                }
            }
        }
        ExprKind::Field { base, .. } => names_in(base, out),
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            names_in(cond, out);
            for b in std::iter::once(then).chain(otherwise) {
                if let Some(v) = &b.value {
                    names_in(v, out);
                }
            }
        }
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Percent(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::None => {}
        ExprKind::Scan(s) => s
            .elements
            .iter()
            .chain(&s.carries)
            .for_each(|(_, e)| names_in(e, out)),
    }
}
