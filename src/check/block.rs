//! Blocks and statements: bindings, parameters, states, requirements, scans.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::ir::prim::Scan as ScanPrim;
use crate::ir::{Dim, Elem, Graph, OutputRole, Prim, Role, Shape, Type};
use crate::span::Span;
use crate::syntax::ast::{
    self, Block, DimExpr, Expr, ExprKind, ParamDecl, Scan, StateDecl, Stmt, StmtKind, TypeKind,
};

use super::elab::{Elab, ParamInfo, ScanScope, StateInfo};
use super::scope::{Declares, VarRole};
use super::value::{Configured, Home, Meaning, Tensor, Val};

impl Elab<'_> {
    /// Runs the statements; the value of the last expression, if the block ends with one.
    pub fn block(&mut self, b: &Block) -> Option<Val> {
        for s in &b.stmts {
            if !self.stmt(s) {
                return Some(Val::Error);
            }
        }
        b.value.as_ref().map(|e| self.eval(e))
    }

    /// Whether to go on: after a requirement that does not hold, nothing more is said.
    pub fn stmt(&mut self, s: &Stmt) -> bool {
        match &s.kind {
            StmtKind::Bind { targets, value } => self.bind_stmt(targets, value),
            StmtKind::Update { target, op, value } => {
                let now = self.name(target);
                let v = self.eval(value);
                let next = self.binary(*op, now, v, s.span);
                self.assign(target, next, s.span);
            }
            StmtKind::Param(p) => self.param(p, s.span),
            StmtKind::State(list) => list.iter().for_each(|d| self.state(d)),
            StmtKind::Require { cond, message } => {
                return self.require(cond, message.as_ref(), s.span);
            }
            StmtKind::Penalize(e) => {
                let v = self.eval(e);
                self.penalize(v, e.span);
            }
            StmtKind::Expr(e) => match (&e.kind, self.eval(e)) {
                (_, Val::Error | Val::None) => {}
                // An `if` may stand for the assignments in it.
                (ExprKind::If { .. }, _) => {}
                (_, v) => {
                    let d = Diagnostic::error("E0402", "the value of this line is not used")
                        .label(e.span, format!("this is {}", v.describe()))
                        .help("bind it (`name = ...`), pipe it on with `|>`, or remove it");
                    self.report(d);
                }
            },
        }
        true
    }

    /// A body that ends without an expression.
    pub fn no_value(&mut self, name: &ast::Ident, body: &Block) -> Val {
        let mut d = Diagnostic::error("E0401", format!("`{}` gives no value", name.text))
            .label(name.span, "its body ends without an expression");
        if let Some(StmtKind::Bind { targets, .. }) = body.stmts.last().map(|s| &s.kind)
            && let [last] = targets.as_slice()
        {
            d = d.help(format!("end the body with `{}`", last.text));
        }
        self.report(d)
    }

    fn bind_stmt(&mut self, targets: &[ast::Ident], value: &Expr) {
        if let [target] = targets {
            self.hint = Some(target.text.clone());
            let v = self.eval(value);
            self.hint = None;
            return self.assign(target, v, value.span);
        }
        let v = self.eval(value);
        let parts: Vec<Val> = match v {
            Val::Tuple(t) => t.iter().map(|(_, v)| v.clone()).collect(),
            Val::List(l) => l.to_vec(),
            Val::Error => vec![Val::Error; targets.len()],
            other => {
                let d = Diagnostic::error(
                    "E0405",
                    format!(
                        "{} names on the left, one value on the right",
                        targets.len()
                    ),
                )
                .label(value.span, format!("this is {}", other.describe()));
                self.report(d);
                vec![Val::Error; targets.len()]
            }
        };
        if parts.len() != targets.len() {
            let d = Diagnostic::error(
                "E0405",
                format!(
                    "{} names on the left, {} values on the right",
                    targets.len(),
                    parts.len()
                ),
            )
            .label(value.span, format!("this gives {}", parts.len()));
            self.report(d);
        }
        for (i, target) in targets.iter().enumerate() {
            let v = parts.get(i).cloned().unwrap_or(Val::Error);
            self.assign(target, v, target.span);
        }
    }

    /// Binds a name, or gives a state its next value.
    fn assign(&mut self, target: &ast::Ident, v: Val, span: Span) {
        match self
            .top()
            .get(&target.text)
            .map(|var| (var.role.clone(), var.span))
        {
            Some((VarRole::State(full), declared)) => self.assign_state(&full, v, span, declared),
            Some((VarRole::Param, declared)) => {
                let d = Diagnostic::error(
                    "E0114",
                    format!(
                        "`{}` is a trained parameter: only the optimizer changes it",
                        target.text
                    ),
                )
                .label(target.span, "assigned here")
                .label(declared, "declared here")
                .help("declare it with `state` to update it yourself, or use another name");
                self.report(d);
            }
            Some((VarRole::Local, _))
                if self.scans.is_empty() || self.top().get(&target.text).is_some() =>
            {
                // An assignment in an inner block reaches the outer binding.
                if let Some(var) = self.frame().get_mut(&target.text) {
                    var.val = v;
                }
            }
            _ => self
                .frame()
                .bind(&target.text, v, target.span, VarRole::Local),
        }
    }

    fn assign_state(&mut self, full: &Arc<str>, v: Val, span: Span, declared: Span) {
        let Some(info) = self.states.get(full).cloned() else {
            return;
        };
        if v.is_error() {
            return;
        }
        if !self.scans.is_empty() {
            self.error(
                "E0404",
                span,
                "a state cannot be assigned inside a scan",
                "carry it with `from` instead",
            );
            return;
        }
        let Some(t) = self.as_tensor(&v, info.ty.elem, span) else {
            return;
        };
        let Some(t) = self.cast(t, info.ty.elem, span) else {
            return;
        };
        let t = if t.ty.rank() == 0 {
            self.stretch(t, &info.ty.shape, span)
        } else {
            Some(t)
        };
        let Some(t) = t else { return };
        if t.ty != info.ty {
            let d = Diagnostic::error("E0404", "a state keeps its shape")
                .label(span, format!("this is {t}"))
                .label(declared, format!("declared {}", info.ty));
            self.report(d);
            return;
        }
        let s = self.states.get_mut(full).expect("just read");
        s.current = t;
        s.assigned = true;
    }

    fn param(&mut self, p: &ParamDecl, span: Span) {
        if self.top().declares != Declares::Layer {
            let d = Diagnostic::error("E0403", "only a layer or a model declares parameters")
                .label(span, "declared here")
                .help("make this definition a `layer`");
            self.report(d);
            self.frame()
                .bind(&p.name.text, Val::Error, p.name.span, VarRole::Param);
            return;
        }
        let v = self.make_param(p, span).map_or(Val::Error, Val::Tensor);
        self.frame()
            .bind(&p.name.text, v, p.name.span, VarRole::Param);
    }

    fn make_param(&mut self, p: &ParamDecl, span: Span) -> Option<Tensor> {
        let shape = self.declared_shape(&p.ty)?;
        let full = self.full_name(&p.name.text);
        if let Some(known) = self.params.get(&full) {
            let known = known.clone();
            if known.tensor.ty.shape == shape {
                return Some(known.tensor);
            }
            let d = Diagnostic::error("E0408", format!("`{full}` is shared, but is needed in two shapes"))
                .label(span, format!("and {} here", crate::ir::ty::ShapeText(&shape)))
                .label(known.span, format!("it is {} here", crate::ir::ty::ShapeText(&known.tensor.ty.shape)))
                .help("a layer bound to a name has one set of weights, so its inputs must agree; make two layers otherwise");
            self.report(d);
            return None;
        }
        for d in &shape {
            if d.mentions("B") && !self.mode.generic {
                let d = Diagnostic::error(
                    "E0409",
                    format!("the shape of `{full}` depends on the batch size"),
                )
                .label(
                    p.ty.span,
                    format!(
                        "this is {}: `B` is the batch",
                        crate::ir::ty::ShapeText(&shape)
                    ),
                );
                self.report(d);
                return None;
            }
        }
        let ty = Type {
            elem: Elem::F32,
            shape,
        };
        if let Err(e) = crate::ir::infer::count(&ty.shape).and_then(|n| match n.as_const() {
            Some(elements) if elements > crate::ir::infer::MAX_ELEMENTS => {
                Err(crate::ir::TypeError::TooLarge { elements })
            }
            _ => Ok(()),
        }) {
            let d = super::errors::describe(&e).label(
                p.ty.span,
                format!("`{full}` is {}", crate::ir::ty::ShapeText(&ty.shape)),
            );
            self.report(d);
            return None;
        }
        let value = self.step.input(&full, Role::Param, ty.clone());
        let tensor = Tensor {
            value,
            home: Home::Step,
            ty: ty.clone(),
            meaning: Meaning::Real,
        };
        let mut info = ParamInfo {
            tensor: tensor.clone(),
            span: self.user_span(span),
            trainable: true,
            constraint: None,
        };
        for o in &p.options {
            let v = self.eval(&o.value);
            match o.name.as_ref().map(|n| &*n.text) {
                Some("regularizer") => self.regularize(&tensor, v, o.span),
                Some("constraint") => match v {
                    Val::Def(_) => info.constraint = Some(v),
                    Val::None | Val::Error => {}
                    other => {
                        self.error(
                            "E0301",
                            o.span,
                            "`constraint` must be a constraint",
                            format!("this is {}", other.describe()),
                        );
                    }
                },
                Some("trainable") => match v {
                    Val::Bool(b) => info.trainable = b,
                    Val::Unknown(_) | Val::Error => {}
                    other => {
                        self.error(
                            "E0301",
                            o.span,
                            "`trainable` is true or false",
                            format!("this is {}", other.describe()),
                        );
                    }
                },
                _ => {
                    let d = Diagnostic::error(
                        "E0104",
                        "a parameter takes `regularizer`, `constraint` and `trainable`",
                    )
                    .label(o.span, "unknown option");
                    self.report(d);
                }
            }
        }
        self.params.insert(full.clone(), info);
        self.initial(&full, &ty, p.init.as_ref(), p.name.span);
        Some(tensor)
    }

    /// Shape of a `param` or `state` as declared.
    fn declared_shape(&mut self, ty: &ast::TypeExpr) -> Option<Shape> {
        match &ty.kind {
            TypeKind::Plain { name, brackets } => {
                if let Some(n) = name.as_ref().filter(|n| &*n.text != "real") {
                    let d = Diagnostic::error(
                        "E0403",
                        format!("a parameter holds real numbers, not `{}`", n.text),
                    )
                    .label(ty.span, "write the shape alone");
                    self.report(d);
                    return None;
                }
                let dims: &[DimExpr] = brackets.first().map_or(&[], |b| b.as_slice());
                self.shape_of(dims)
            }
            TypeKind::Tuple(_) => {
                self.error(
                    "E0403",
                    ty.span,
                    "a parameter is one tensor",
                    "this is a tuple",
                );
                None
            }
        }
    }

    fn full_name(&self, name: &str) -> Arc<str> {
        let path = &self.top().path;
        if path.is_empty() {
            name.into()
        } else {
            format!("{path}/{name}").into()
        }
    }

    /// Computes an initial value in the init graph and makes it a result there.
    pub fn initial(&mut self, full: &Arc<str>, ty: &Type, init: Option<&Expr>, span: Span) {
        // A training step has them all, and its are the ones that are kept.
        if !(self.mode.training || self.mode.generic) || !self.inits.insert(full.clone()) {
            return;
        }
        let scans = std::mem::take(&mut self.scans);
        let base = std::mem::replace(&mut self.base, Home::Init);
        let v = match init {
            Some(e) => {
                let v = self.eval(e);
                self.initial_tensor(v, ty, e.span, full)
            }
            None => {
                let d = Diagnostic::error("E0410", format!("`{full}` has no initial value"))
                    .label(span, "add `= zeros`, or another initializer");
                self.report(d);
                None
            }
        };
        if let Some(t) = v
            && let Some(value) = self.reach(&t, span)
        {
            self.init.output(full, OutputRole::Result, value);
        }
        self.base = base;
        self.scans = scans;
    }

    /// A value as an initial tensor of a type: an initializer is run, a number fills.
    fn initial_tensor(&mut self, v: Val, ty: &Type, span: Span, full: &str) -> Option<Tensor> {
        let t = match v {
            Val::Def(c) if c.defs[0].def.kind == ast::DefKind::Initializer => {
                match self.named_initializer(&c, &ty.shape, span, full) {
                    Val::Tensor(t) => t,
                    _ => return None,
                }
            }
            Val::Error => return None,
            Val::Int(_) | Val::Float(_) | Val::Tensor(_) | Val::Unknown(_) => {
                self.as_tensor(&v, ty.elem, span)?
            }
            other => {
                let d = Diagnostic::error(
                    "E0410",
                    "an initial value is an initializer, a number or a tensor",
                )
                .label(span, format!("this is {}", other.describe()));
                self.report(d);
                return None;
            }
        };
        let t = self.cast(t, ty.elem, span)?;
        let t = if t.ty.rank() == 0 {
            self.stretch(t, &ty.shape, span)?
        } else {
            t
        };
        if t.ty != *ty {
            if !self.mode.generic {
                let d = Diagnostic::error(
                    "E0410",
                    format!("the initial value is {t}, but `{full}` is {ty}"),
                )
                .label(span, format!("this is {t}"));
                self.report(d);
            }
            return None;
        }
        Some(t)
    }

    /// Runs an initializer with the parameter's name as the site of its draws.
    fn named_initializer(&mut self, c: &Configured, shape: &Shape, span: Span, full: &str) -> Val {
        let path = std::mem::replace(&mut self.frame().path, format!("init:{full}").into());
        let draws = std::mem::replace(&mut self.frame().draws, 0);
        let v = self.run_initializer(c, shape, span);
        self.frame().path = path;
        self.frame().draws = draws;
        v
    }

    /// `shape`, `fan_in` and `fan_out` given, the body's value.
    pub fn run_initializer(&mut self, c: &Configured, shape: &Shape, span: Span) -> Val {
        let (fan_in, fan_out) = match fans(shape) {
            Ok(f) => f,
            Err(e) => return self.type_error(e.into(), span),
        };
        let list = Val::list(shape.iter().cloned().map(Val::Int));
        let given = [
            ("shape", list),
            ("fan_in", Val::Int(fan_in)),
            ("fan_out", Val::Int(fan_out)),
        ];
        self.run_with(c, &given, span)
    }

    /// Runs a configured definition whose body sees `given` beside its configuration.
    pub fn run_with(&mut self, c: &Configured, given: &[(&str, Val)], span: Span) -> Val {
        let r = c.defs[0].clone();
        if self.bad.contains(&(Arc::as_ptr(&r.def) as usize)) || !self.enter(span) {
            return Val::Error;
        }
        let (path, draws) = (self.top().path.clone(), self.top().draws);
        self.push_frame(&r, path, span);
        self.frame().draws = draws;
        for (name, v) in given {
            self.frame()
                .bind_given(&Arc::from(*name), v.clone(), r.def.name.span);
        }
        let result = if self.bind_config(c, &r) {
            match self.block(&r.def.body) {
                Some(v) => v,
                None => self.no_value(&r.def.name, &r.def.body),
            }
        } else {
            Val::Error
        };
        let done = self.frames.pop().expect("pushed above");
        self.frame().draws = done.draws;
        self.leave();
        result
    }

    fn regularize(&mut self, t: &Tensor, v: Val, span: Span) {
        match v {
            Val::None | Val::Error => {}
            Val::Def(c) if c.defs[0].def.kind == ast::DefKind::Regularizer => {
                let p = self.run_with(&c, &[("param", Val::Tensor(t.clone()))], span);
                self.penalize(p, span);
            }
            other => {
                self.error(
                    "E0301",
                    span,
                    "`regularizer` must be a regularizer",
                    format!("this is {}", other.describe()),
                );
            }
        }
    }

    /// Adds the sum of a tensor to the training loss.
    pub fn penalize(&mut self, v: Val, span: Span) {
        let Val::Tensor(t) = v else {
            if !matches!(
                v,
                Val::Error | Val::Int(_) | Val::Float(_) | Val::Unknown(_)
            ) {
                self.error(
                    "E0312",
                    span,
                    "a penalty is a tensor",
                    format!("this is {}", v.describe()),
                );
            }
            return;
        };
        let Some(t) = self.cast(t, Elem::F32, span) else {
            return;
        };
        let axes = (0..t.ty.rank()).collect();
        let reduce = Prim::Reduce {
            op: crate::ir::prim::Reduce::Sum,
            axes,
        };
        if let Val::Tensor(t) = self.emit(reduce, &[&t], Meaning::Real, span) {
            self.penalties.push(t);
        }
    }

    fn state(&mut self, d: &StateDecl) {
        let declares = self.top().declares;
        let v = match declares {
            Declares::Layer => self.layer_state(d),
            Declares::Slots => self.slot(d),
            Declares::Metric => self.metric_state(d),
            Declares::Nothing => {
                let report = Diagnostic::error(
                    "E0403",
                    "only a layer, an optimizer or a metric keeps a state",
                )
                .label(d.span, "declared here");
                self.report(report);
                None
            }
        };
        let role = match &v {
            Some((full, _)) => VarRole::State(full.clone()),
            None => VarRole::Local,
        };
        let val = v.map_or(Val::Error, |(_, t)| Val::Tensor(t));
        self.frame().bind(&d.name.text, val, d.name.span, role);
    }

    fn layer_state(&mut self, d: &StateDecl) -> Option<(Arc<str>, Tensor)> {
        let Some(ty) = &d.ty else {
            let report = Diagnostic::error(
                "E0403",
                format!("the state `{}` needs a shape", d.name.text),
            )
            .label(d.span, format!("write `state {}: [..] = ..`", d.name.text));
            self.report(report);
            return None;
        };
        let shape = self.declared_shape(ty)?;
        let full = self.full_name(&d.name.text);
        self.kept(
            full,
            Type {
                elem: Elem::F32,
                shape,
            },
            Role::State,
            d,
        )
    }

    /// An optimizer's state: of the parameter's shape unless declared otherwise.
    fn slot(&mut self, d: &StateDecl) -> Option<(Arc<str>, Tensor)> {
        let Some(Val::Tensor(param)) = self.top().get("param").map(|v| v.val.clone()) else {
            return None;
        };
        let shape = match &d.ty {
            Some(ty) => self.declared_shape(ty)?,
            None => param.ty.shape.clone(),
        };
        let full = self.full_name(&d.name.text);
        self.kept(
            full,
            Type {
                elem: Elem::F32,
                shape,
            },
            Role::Slot,
            d,
        )
    }

    /// A metric's accumulator: a scalar unless declared otherwise, in f64.
    fn metric_state(&mut self, d: &StateDecl) -> Option<(Arc<str>, Tensor)> {
        let shape = match &d.ty {
            Some(ty) => self.declared_shape(ty)?,
            None => Shape::new(),
        };
        let full = self.full_name(&d.name.text);
        self.kept(
            full,
            Type {
                elem: Elem::F64,
                shape,
            },
            Role::Metric,
            d,
        )
    }

    fn kept(
        &mut self,
        full: Arc<str>,
        ty: Type,
        role: Role,
        d: &StateDecl,
    ) -> Option<(Arc<str>, Tensor)> {
        if let Some(known) = self.states.get(&full) {
            let tensor = known.current.clone();
            return Some((full, tensor));
        }
        let tensor = self.keep(&full, ty.clone(), role);
        self.initial(&full, &ty, Some(&d.init), d.span);
        Some((full, tensor))
    }

    /// Adds a kept input to the step graph, without an initial value.
    pub fn keep(&mut self, full: &Arc<str>, ty: Type, role: Role) -> Tensor {
        let input = self.step.inputs.len();
        let value = self.step.input(full, role, ty.clone());
        let tensor = Tensor {
            value,
            home: Home::Step,
            ty: ty.clone(),
            meaning: Meaning::Real,
        };
        self.states.insert(
            full.clone(),
            StateInfo {
                input,
                ty,
                current: tensor.clone(),
                assigned: false,
            },
        );
        tensor
    }

    fn require(&mut self, cond: &Expr, message: Option<&Expr>, span: Span) -> bool {
        let c = self.eval(cond);
        match c {
            Val::Bool(true) | Val::Unknown(_) | Val::Error => return true,
            Val::Bool(false) => {
                let text = match message.map(|m| &m.kind) {
                    Some(ExprKind::Str(s)) => self.fill(s),
                    _ => "a requirement of this definition does not hold".into(),
                };
                // The argument to blame is the one that the condition names.
                let guilty = self.named_argument(cond);
                let (outer, what) = (self.frames.len() > 2, self.top().what.clone());
                let mut d = Diagnostic::error("E0310", text);
                match (guilty, outer) {
                    (Some((name, at)), _) => {
                        d = d.label(at, format!("`{name}` of `{what}`"));
                        self.report_call(d);
                    }
                    (None, _) => {
                        let call = self.top().call.unwrap_or(span);
                        d = d.label(call, format!("required by `{what}`"));
                        self.report_call(d);
                    }
                }
            }
            Val::Tensor(t) => {
                self.error(
                    "E0308",
                    cond.span,
                    "a requirement is decided while the program is compiled",
                    format!("this is {t}"),
                );
            }
            other => {
                self.error(
                    "E0308",
                    cond.span,
                    "a requirement is true or false",
                    format!("this is {}", other.describe()),
                );
            }
        }
        false
    }

    /// The first name in a condition that was given as an argument in the call.
    fn named_argument(&self, e: &Expr) -> Option<(Arc<str>, Span)> {
        match &e.kind {
            ExprKind::Name(n) => {
                let var = self.top().get(&n.text)?;
                let call = self.top().call?;
                let inside = var.span.source == call.source
                    && var.span.start >= call.start
                    && var.span.end <= call.end;
                (var.role == VarRole::Given && inside).then(|| (n.text.clone(), var.span))
            }
            ExprKind::Binary(_, a, b) => self.named_argument(a).or_else(|| self.named_argument(b)),
            ExprKind::Unary(_, a) => self.named_argument(a),
            ExprKind::Call { args, .. } => args.iter().find_map(|a| self.named_argument(&a.value)),
            _ => None,
        }
    }

    /// `"rate is {rate}"` with the values of the names in braces.
    fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                break;
            };
            match self.top().get(name).map(|v| &v.val) {
                Some(Val::Int(d)) => out.push_str(&d.to_string()),
                Some(Val::Float(x)) => out.push_str(&x.to_string()),
                Some(v) => out.push_str(&v.describe()),
                None => out.push_str(name),
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    /// `scan zt in z along 1 from h = h0 { ... }`: see [`Scan`].
    pub fn scan(&mut self, s: &Scan, span: Span) -> Val {
        let axis = match &s.axis {
            None => 1,
            Some(e) => match self.eval(e) {
                Val::Int(Dim::Const(a)) if a >= 0 => a as usize,
                Val::Error => return Val::Error,
                other => {
                    return self.error(
                        "E0301",
                        e.span,
                        "an axis is a number from 0",
                        format!("this is {}", other.describe()),
                    );
                }
            },
        };
        let mut scanned = Vec::new();
        let mut length: Option<Dim> = None;
        for (name, e) in &s.elements {
            let Val::Tensor(t) = self.eval(e) else {
                return Val::Error;
            };
            let Some(size) = t.ty.shape.get(axis).cloned() else {
                return self.error(
                    "E0207",
                    e.span,
                    format!("{t} has no axis {axis} to scan along"),
                    "scanned here",
                );
            };
            if length.as_ref().is_some_and(|l| *l != size) {
                let d = Diagnostic::error(
                    "E0203",
                    format!(
                        "scanned tensors differ in length: {} and {size}",
                        length.expect("just seen")
                    ),
                )
                .label(e.span, format!("this is {t}"));
                return self.report(d);
            }
            length = Some(size);
            let mut perm: Vec<usize> = (0..t.ty.rank()).collect();
            perm.remove(axis);
            perm.insert(0, axis);
            let meaning = t.meaning.clone();
            let moved = if axis == 0 {
                Val::Tensor(t)
            } else {
                self.emit(Prim::Transpose(perm), &[&t], meaning, e.span)
            };
            let Val::Tensor(t) = moved else {
                return Val::Error;
            };
            scanned.push((name, t));
        }
        let Some(length) = length else {
            // The grammar asks for something to scan.
            return Val::Error;
        };
        let mut carries = Vec::new();
        for (name, e) in &s.carries {
            let v = self.eval(e);
            let Some(t) = self.as_tensor(&v, Elem::F32, e.span) else {
                return Val::Error;
            };
            carries.push((name, t, e.span));
        }

        let k = self.scans.len() as u32;
        self.scans.push(ScanScope {
            graph: Graph::new("body"),
            captured: Vec::new(),
            index: None,
            length: length.clone(),
        });
        self.frame().push_block();
        for (name, t, _) in &carries {
            self.body_input(k, name, t.ty.clone(), t.meaning.clone());
        }
        for (name, t) in &scanned {
            let mut ty = t.ty.clone();
            ty.shape.remove(0);
            self.body_input(k, name, ty, t.meaning.clone());
        }
        let stacked = self.block(&s.body);
        let mut outputs = Vec::new();
        let mut failed = false;
        for (name, t, at) in &carries {
            let v = self
                .top()
                .get(&name.text)
                .map_or(Val::Error, |v| v.val.clone());
            let Some(next) = self
                .as_tensor(&v, t.ty.elem, *at)
                .and_then(|n| self.cast(n, t.ty.elem, *at))
            else {
                failed = true;
                continue;
            };
            if next.ty != t.ty {
                if !(self.mode.generic && next.ty.rank() == t.ty.rank()) {
                    let d = Diagnostic::error(
                        "E0215",
                        format!("`{}` changes its type from step to step", name.text),
                    )
                    .label(*at, format!("it begins as {t}"))
                    .label(name.span, format!("and is {next} after a step"));
                    self.report(d);
                }
                failed = true;
                continue;
            }
            outputs.push(next);
        }
        let has_value = stacked.is_some();
        let meaning = match stacked {
            Some(Val::Error) => {
                failed = true;
                Meaning::Real
            }
            Some(v) => match self.as_tensor(&v, Elem::F32, span) {
                Some(t) => {
                    outputs.push(t.clone());
                    t.meaning
                }
                None => {
                    failed = true;
                    Meaning::Real
                }
            },
            None => Meaning::Real,
        };
        let mut values = Vec::new();
        for t in &outputs {
            match self.reach(t, span) {
                Some(v) => values.push(v),
                None => failed = true,
            }
        }
        self.frame().pop_block();
        let mut scope = self.scans.pop().expect("pushed above");
        if failed {
            return Val::Error;
        }
        for (i, v) in values.iter().enumerate() {
            scope.graph.output(&format!("o{i}"), OutputRole::Result, *v);
        }
        let mut args: Vec<Tensor> = carries
            .iter()
            .map(|(_, t, _)| t.clone())
            .chain(scanned.into_iter().map(|(_, t)| t))
            .collect();
        let mut scanned_count = args.len() - carries.len();
        if let Some(index) = scope.index {
            let iota = Prim::Iota {
                axis: 0,
                shape: Shape::from_iter([length.clone()]),
                elem: Elem::I32,
            };
            let Val::Tensor(t) = self.emit(iota, &[], Meaning::Real, span) else {
                return Val::Error;
            };
            let at = scope
                .graph
                .inputs
                .iter()
                .position(|i| i.value == index)
                .expect("the index is an input");
            let input = scope.graph.inputs.remove(at);
            scope.graph.inputs.insert(args.len(), input);
            args.push(t);
            scanned_count += 1;
        }
        args.extend(scope.captured.iter().map(|(t, _)| t.clone()));
        let prim = Prim::Scan(ScanPrim {
            body: Arc::new(scope.graph),
            carries: carries.len(),
            scanned: scanned_count,
            length,
            reverse: false,
        });
        let mut reached = Vec::new();
        for t in &args {
            let Some(v) = self.reach(t, span) else {
                return Val::Error;
            };
            reached.push(v);
        }
        let origin = self.origin(span);
        let results = match self.graph().push(prim, &reached, origin) {
            Ok(r) => r,
            Err(e) => return self.type_error(e, span),
        };
        let mut finals: Vec<Val> = Vec::new();
        for (i, (_, t, _)) in carries.iter().enumerate() {
            finals.push(Val::Tensor(self.tensor(results[i], t.meaning.clone())));
        }
        if has_value {
            let t = self.tensor(results[carries.len()], meaning.clone());
            let mut perm: Vec<usize> = (1..t.ty.rank()).collect();
            perm.insert(axis.min(t.ty.rank() - 1), 0);
            let stacked = if axis == 0 {
                Val::Tensor(t)
            } else {
                self.emit(Prim::Transpose(perm), &[&t], meaning, span)
            };
            finals.insert(0, stacked);
        }
        if finals.len() == 1 {
            return finals.remove(0);
        }
        Val::Tuple(Rc::new(finals.into_iter().map(|v| (None, v)).collect()))
    }

    fn body_input(&mut self, k: u32, name: &ast::Ident, ty: Type, meaning: Meaning) {
        let graph = &mut self.scans.last_mut().expect("inside a scan").graph;
        let value = graph.input(&name.text, Role::Plain, ty.clone());
        let t = Tensor {
            value,
            home: Home::Scan(k),
            ty,
            meaning,
        };
        self.frame()
            .bind(&name.text, Val::Tensor(t), name.span, VarRole::Local);
    }
}

/// Keras' fans: of a matrix its two sizes, of a convolution kernel the receptive
/// field times input and output channels, of a vector its size twice.
fn fans(shape: &Shape) -> Result<(Dim, Dim), crate::ir::DimError> {
    match shape.as_slice() {
        [] => Ok((Dim::ONE, Dim::ONE)),
        [n] => Ok((n.clone(), n.clone())),
        [field @ .., i, o] => {
            let mut area = Dim::ONE;
            for d in field {
                area = area.mul(d)?;
            }
            Ok((area.mul(i)?, area.mul(o)?))
        }
    }
}
