//! `param` and `state`: shapes, names, initial values, penalties.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, OutputRole, Prim, Role, Shape, Type};
use crate::span::Span;
use crate::syntax::ast::{self, DimExpr, Expr, ParamDecl, StateDecl, TypeKind};

use crate::check::elab::Elab;
use crate::check::elab::scope::{Declares, VarRole};
use crate::check::elab::state::{Fit, ParamInfo, StateInfo};
use crate::check::elab::type_errors::describe;
use crate::check::elab::value::{Configured, DefId, Home, Meaning, Tensor, Val};
use crate::check::elab::world::Purpose;

use super::collected::collected;

impl Elab<'_> {
    pub(super) fn param(&mut self, p: &ParamDecl, span: Span) {
        if self.top().declares != Declares::Layer {
            let d = Diagnostic::error(
                Code::E0403,
                "only a layer or a model can declare parameters",
            )
            .label(span, "declared here")
            .help("make this definition a `layer`");
            self.diagnose(d);
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
            let d = Diagnostic::error(Code::E0408, format!("`{full}` is shared, but used with two shapes"))
                .label(span, format!("but {} here", crate::ir::ty::ShapeText(&shape)))
                .label(known.span, format!("it is {} here", crate::ir::ty::ShapeText(&known.tensor.ty.shape)))
                .help("a layer bound to a name has one set of weights, so its inputs must have the same sizes; use two layers if they differ");
            self.diagnose(d);
            return None;
        }
        for d in &shape {
            if d.mentions("B") && !self.mode.generic {
                let d = Diagnostic::error(
                    Code::E0409,
                    format!("the shape of `{full}` depends on the batch size"),
                )
                .label(
                    p.ty.span,
                    format!(
                        "this is {}: `B` is the batch",
                        crate::ir::ty::ShapeText(&shape)
                    ),
                );
                self.diagnose(d);
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
            let d = describe(&e).label(
                p.ty.span,
                format!("`{full}` is {}", crate::ir::ty::ShapeText(&ty.shape)),
            );
            self.diagnose(d);
            return None;
        }
        let value = self.step.input(&full, Role::Param, ty.clone());
        let tensor = Tensor {
            value,
            home: Home::Step,
            ty: ty.clone(),
            meaning: Meaning::Real,
            mask: None,
        };
        let mut info = ParamInfo {
            tensor: tensor.clone(),
            span: self.user_span(span),
            trainable: !self.is_frozen(&full),
            constraint: None,
        };
        let mut penalty = None;
        for o in &p.options {
            let v = self.eval(&o.value);
            match o.name.as_ref().map(|n| &*n.text) {
                Some("regularizer") => penalty = Some((v, o.span)),
                Some("constraint") => match v {
                    Val::Def(_) => info.constraint = Some(v),
                    Val::None | Val::Error => {}
                    other => {
                        self.error(
                            Code::E0301,
                            o.span,
                            "`constraint` must be a constraint",
                            format!("this is {}", other.describe()),
                        );
                    }
                },
                Some("trainable") => match v {
                    Val::Bool(b) => info.trainable &= b,
                    Val::Unknown(_) | Val::Error => {}
                    other => {
                        self.error(
                            Code::E0301,
                            o.span,
                            "`trainable` must be true or false",
                            format!("this is {}", other.describe()),
                        );
                    }
                },
                _ => {
                    let d = Diagnostic::error(
                        Code::E0104,
                        "a parameter takes `regularizer`, `constraint` and `trainable`",
                    )
                    .label(o.span, "unknown option");
                    self.diagnose(d);
                }
            }
        }
        // As in Keras, what is not trained is not penalized.
        if let Some((v, span)) = penalty
            && (info.trainable || !matches!(v, Val::Def(_)))
        {
            self.regularize(&tensor, v, span);
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
                        Code::E0403,
                        format!("a parameter must hold real numbers, not `{}`", n.text),
                    )
                    .label(ty.span, "write only the shape");
                    self.diagnose(d);
                    return None;
                }
                let dims: &[DimExpr] = brackets.first().map_or(&[], |b| b.as_slice());
                self.shape_of(dims)
            }
            TypeKind::Tuple(_) => {
                self.error(
                    Code::E0403,
                    ty.span,
                    "a parameter must be a single tensor",
                    "this is a tuple",
                );
                None
            }
        }
    }

    /// The unconfigured initializer that an expression names, and the type: another value that
    /// begins so says nothing new.
    fn initializer_of(&self, init: &Expr, ty: &Type) -> Option<(DefId, Type)> {
        let ast::ExprKind::Name(name) = &init.kind else {
            return None;
        };
        let def = match self.top().get(&name.text).map(|v| &v.val) {
            Some(Val::Def(c)) if c.args.is_empty() => c.defs[0].id(),
            None if !self.world.globals.contains_key(&name.text) => {
                self.world.library(&name.text)?[0].id()
            }
            _ => return None,
        };
        Some((def, ty.clone()))
    }

    /// Computes an initial value in the init graph and makes it a result there.
    fn initial(&mut self, full: &Arc<str>, ty: &Type, init: Option<&Expr>, span: Span) {
        // A training step has them all, and its are the ones that are kept.
        if !(self.mode.training || self.mode.generic) || !self.initialized.insert(full.clone()) {
            return;
        }
        let alike = match init {
            Some(e) if self.world.purpose == Purpose::Report => self.initializer_of(e, ty),
            _ => None,
        };
        if let Some(uses) = alike.as_ref().and_then(|a| self.initialized_types.get(a)) {
            self.count_uses(*uses, span);
            return;
        }
        let before = self.uses();
        let scans = std::mem::take(&mut self.scans);
        let base = std::mem::replace(&mut self.base, Home::Init);
        let v = match init {
            Some(e) => {
                let v = self.eval(e);
                self.initial_tensor(v, ty, e.span, full)
            }
            None => {
                let d = Diagnostic::error(Code::E0410, format!("`{full}` has no initial value"))
                    .label(span, "add `= zeros`, or a different initializer");
                self.diagnose(d);
                None
            }
        };
        if let Some(t) = v
            && let Some(value) = self.reach(&t, span)
        {
            self.init.output(full, OutputRole::Result, value);
            let uses = self.uses() - before;
            self.initialized_types.extend(alike.map(|a| (a, uses)));
        }
        self.base = base;
        self.scans = scans;
    }

    /// A value as an initial tensor of a type: an initializer is run, a number fills.
    fn initial_tensor(&mut self, v: Val, ty: &Type, span: Span, full: &str) -> Option<Tensor> {
        let t = match v {
            Val::Def(c) if c.defs[0].def.kind == ast::DefKind::Initializer => {
                let v = self.named_initializer(&c, &ty.shape, span, full);
                self.drawn(v, &c, ty.elem, span)?
            }
            Val::Error => return None,
            Val::Fitted(fit) => self.fitted_vectors(&fit, ty, span, full)?,
            Val::Int(_) | Val::Float(_) | Val::Tensor(_) | Val::Unknown(_) => {
                self.as_tensor(&v, ty.elem, span)?
            }
            other => {
                let d = Diagnostic::error(
                    Code::E0410,
                    "an initial value must be an initializer, a number or a tensor",
                )
                .label(span, format!("this is {}", other.describe()));
                self.diagnose(d);
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
                    Code::E0410,
                    format!("the initial value is {t}, but `{full}` is {ty}"),
                )
                .label(span, format!("this is {t}"));
                self.diagnose(d);
            }
            return None;
        }
        Some(t)
    }

    /// What an initializer returns: a number fills the shape.
    pub fn drawn(&mut self, v: Val, c: &Configured, elem: Elem, span: Span) -> Option<Tensor> {
        match v {
            Val::Int(_) | Val::Float(_) | Val::Unknown(_) => self.as_tensor(&v, elem, span),
            v => self.returned_tensor(v, c, span),
        }
    }

    /// Word vectors as an initial tensor, of the parameter's type: a size that only the file
    /// tells fits any until it is known.
    fn fitted_vectors(&mut self, fit: &str, ty: &Type, span: Span, full: &str) -> Option<Tensor> {
        let Some(Fit::Vectors { words, dim }) = self.world.fit(fit) else {
            let what = "an initial value must be an initializer, a number or a tensor";
            let d = Diagnostic::error(Code::E0410, what)
                .label(span, format!("this is the fitted `{fit}`"))
                .help("for word vectors, write `fit vectors = word_vectors(\"glove.txt\", vocab)`");
            self.diagnose(d);
            return None;
        };
        let found = [words, dim];
        let differ = |(a, b): (&Dim, &Dim)| matches!((a.as_const(), b.as_const()), (Some(a), Some(b)) if a != b);
        if ty.rank() != 2 || ty.shape.iter().zip(&found).any(differ) {
            let found = crate::ir::ty::ShapeText(&found).to_string();
            let what = format!("the vectors of `{fit}` are {found}, but `{full}` is {ty}");
            let d = Diagnostic::error(Code::E0410, what)
                .label(span, format!("this is {found}"))
                .help(
                    "there is one row per id of the vocabulary, and one column per number of a vector",
                );
            self.diagnose(d);
            return None;
        }
        let name = format!("{fit}.vectors");
        let known = self.init.inputs.iter().find(|i| *i.name == *name);
        let value = match known.map(|i| i.value) {
            Some(value) if self.init.ty(value) == ty => value,
            Some(value) => {
                let d = Diagnostic::error(Code::E0408, format!("`{fit}` is used with two shapes"))
                    .label(
                        span,
                        format!("{ty} here, but {} before", self.init.ty(value)),
                    );
                self.diagnose(d);
                return None;
            }
            None => self.init.input(&name, Role::Fit, ty.clone()),
        };
        Some(Tensor {
            value,
            home: Home::Init,
            ty: ty.clone(),
            meaning: Meaning::Real,
            mask: None,
        })
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

    /// Runs a configured definition whose body sees `given` beside its configuration. Its
    /// mistakes are shown where it was configured.
    pub fn run_with(&mut self, c: &Configured, given: &[(&str, Val)], span: Span) -> Val {
        let r = c.defs[0].clone();
        if self.failed_defs.contains(&r.id()) || !self.enter(span) {
            return Val::Error;
        }
        let (path, draws) = (self.top().path.clone(), self.top().draws);
        self.push_frame(&r, path, c.span);
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
                    Code::E0301,
                    span,
                    "`regularizer` must be a regularizer",
                    format!("this is {}", other.describe()),
                );
            }
        }
    }

    /// Adds the sum of a tensor to the training loss.
    pub(super) fn penalize(&mut self, v: Val, span: Span) {
        let Val::Tensor(t) = v else {
            if !matches!(
                v,
                Val::Error | Val::Int(_) | Val::Float(_) | Val::Unknown(_)
            ) {
                self.error(
                    Code::E0312,
                    span,
                    "a penalty must be a tensor",
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

    pub(super) fn state(&mut self, d: &StateDecl) {
        let declares = self.top().declares;
        let v = match declares {
            Declares::Layer => self.layer_state(d),
            Declares::Slots => self.slot(d),
            Declares::Metric => self.metric_state(d),
            Declares::Nothing => {
                let report = Diagnostic::error(
                    Code::E0403,
                    "only a layer, an optimizer or a metric can have a state",
                )
                .label(d.span, "declared here");
                self.diagnose(report);
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
                Code::E0403,
                format!("the state `{}` needs a shape", d.name.text),
            )
            .label(d.span, format!("write `state {}: [..] = ..`", d.name.text));
            self.diagnose(report);
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
        if let Some(e) = collected(&d.init) {
            return self.collected_state(d, e);
        }
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
            mask: None,
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

impl Elab<'_> {
    /// Makes 0 the initial value of an F64 accumulator.
    pub fn zero(&mut self, full: &Arc<str>) {
        if self.initialized.insert(full.clone()) {
            let zero = self.init.constant(0.0, Elem::F64);
            self.init.output(full, OutputRole::Result, zero);
        }
    }
}
