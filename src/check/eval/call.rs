//! Calls: which definition is meant, arguments to parameters, layers and their names.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::span::Span;
use crate::syntax::ast::{self, Def, DefKind, Param};

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::pattern::{MeaningPattern, NONE, ParamType, param_type};
use crate::check::elab::scope::{Declares, Frame, VarRole};
use crate::check::elab::state::{Applied, LayerUse};
use crate::check::elab::value::{ArgVal, Bound, Configured, DefRef, Instance, Meaning, Val, lists};

use super::inner::configures_anew;

/// The definitions of a name that have all the named arguments; all of it if none has.
fn with_options(c: &Rc<Configured>, args: &[ArgVal]) -> Rc<Configured> {
    let has_all = |r: &&DefRef| {
        let mut names = args.iter().filter_map(|a| a.name.as_ref());
        names.all(|n| {
            let mut params = r.def.lists.iter().flatten();
            params.any(|p| p.name.text == n.text)
        })
    };
    let fitting: Vec<DefRef> = c.defs.iter().filter(has_all).cloned().collect();
    if fitting.is_empty() || fitting.len() == c.defs.len() {
        return c.clone();
    }
    Rc::new(Configured::new(fitting.into(), c.args.clone(), c.span))
}

/// What a definition of this kind finds in its scope and computes with: applied to a tensor
/// (`l2(0.1)(x)`, `after(step - 10)`), that is the tensor. Its configuration is made of numbers.
fn works_on(kind: DefKind) -> Option<&'static str> {
    match kind {
        DefKind::Schedule => Some("step"),
        DefKind::Regularizer | DefKind::Constraint => Some("param"),
        DefKind::Layer
        | DefKind::Fn
        | DefKind::Loss
        | DefKind::Metric
        | DefKind::Optimizer
        | DefKind::Initializer => None,
    }
}

/// Whether a call gives a definition its configuration; else it is applied to what is given.
pub(super) fn configures(c: &Configured, args: &[ArgVal]) -> bool {
    let def = &c.defs[0].def;
    let (config, inputs) = lists(def);
    match def.kind {
        DefKind::Optimizer
        | DefKind::Schedule
        | DefKind::Regularizer
        | DefKind::Constraint
        | DefKind::Initializer => return true,
        DefKind::Fn if config.is_empty() => return false,
        DefKind::Layer | DefKind::Fn | DefKind::Loss | DefKind::Metric => {}
    }
    let mut given = args.iter().filter(|a| a.name.is_none());
    if inputs.is_empty() {
        return true;
    }
    // What a loss compares comes by place, its configuration mostly by name.
    let compares = matches!(def.kind, DefKind::Loss | DefKind::Metric);
    if compares && given.clone().any(|a| a.val.is_error()) {
        return false;
    }
    if inputs.last().is_some_and(|p| p.variadic)
        && given.clone().any(|a| tensors_of(&a.val).is_some())
    {
        return false;
    }
    if config.is_empty() {
        // What failed may have been an input; a number or a tuple is one that is not a tensor.
        let takes_any = |p: &Param| !matches!(param_type(p.ty.as_ref()), Ok(ParamType::Tensor(_)));
        let mut slots = inputs.iter().map(takes_any).chain(std::iter::repeat(false));
        return !given
            .any(|a| slots.next() == Some(true) || matches!(a.val, Val::Tensor(_) | Val::Error));
    }
    // `add(y)`: the first list may take tensors too.
    let keeps = |p: &Param| matches!(param_type(p.ty.as_ref()), Ok(ParamType::Tensor(_)));
    let mut slots = config.iter().map(|p| c.args.is_empty() && keeps(p));
    given.all(|a| slots.next() == Some(true) || !matches!(a.val, Val::Tensor(_)))
}

/// Whether one name is made of the first letters of the other's words: `lr` of `learning_rate`.
pub(crate) fn abbreviates(short: &str, long: &str) -> bool {
    long.contains('_')
        && long
            .split('_')
            .filter_map(|w| w.chars().next())
            .eq(short.chars())
}

impl Elab<'_> {
    /// `callee(args)`.
    pub(super) fn call(
        &mut self,
        callee: Val,
        args: Vec<ArgVal>,
        span: Span,
        hint: Option<Arc<str>>,
    ) -> Val {
        match callee {
            Val::Error => Val::Error,
            Val::Builtin(b) => (b.run)(
                self,
                &Args {
                    builtin: b,
                    args,
                    span,
                },
            ),
            Val::Layer(instance) if configures_anew(&instance, &args) => {
                self.reconfigured(&instance, args, span, hint)
            }
            Val::Layer(instance) => self.apply_layer(&instance, args, span),
            Val::Def(c) => self.call_def(&c, args, span, hint),
            Val::Model(m) => self.apply_model(&m, args, span),
            other => {
                let what = other.describe();
                let d = Diagnostic::error(Code::E0311, format!("{what} cannot be called"))
                    .label(span, "called here");
                self.diagnose(d)
            }
        }
    }

    fn call_def(
        &mut self,
        c: &Rc<Configured>,
        args: Vec<ArgVal>,
        span: Span,
        hint: Option<Arc<str>>,
    ) -> Val {
        let c = &with_options(c, &args);
        let def = c.defs[0].def.clone();
        if let Some(given) = works_on(def.kind)
            && let [
                ArgVal {
                    name: None,
                    val: Val::Tensor(t),
                    ..
                },
            ] = args.as_slice()
        {
            return self.run_with(c, &[(given, Val::Tensor(t.clone()))], span);
        }
        // `zeros([B, n])` draws; `random_uniform(-1, 1)` configures.
        if def.kind == DefKind::Initializer
            && let [
                ArgVal {
                    val: Val::List(_),
                    name: None,
                    ..
                },
            ] = args.as_slice()
        {
            return self.initial_of(c, &args[0], span);
        }
        let configures = configures(c, &args);
        let configured = |args| Rc::new(Configured::new(c.defs.clone(), args, span));
        match (def.kind, configures) {
            (DefKind::Layer, true) => {
                let all = c.args.iter().cloned().chain(args).collect();
                self.instance(configured(all), span, hint)
            }
            (DefKind::Layer, false) => match self.instance(c.clone(), span, hint) {
                Val::Layer(instance) => self.apply_layer(&instance, args, span),
                other => other,
            },
            (_, true) => {
                if !c.args.is_empty() {
                    return self.error(
                        Code::E0311,
                        span,
                        format!("`{}` is already configured", def.name.text),
                        "configured again here",
                    );
                }
                let made = configured(args);
                // Mistakes in the configuration are found where it is written.
                if !self.check_config(&made) {
                    Val::Error
                } else {
                    Val::Def(made)
                }
            }
            (_, false) => self.apply(c, args, span, "".into()),
        }
    }

    /// A layer with a name: that of its binding, or Keras' automatic one.
    pub(super) fn instance(
        &mut self,
        configured: Rc<Configured>,
        span: Span,
        hint: Option<Arc<str>>,
    ) -> Val {
        if !self.check_config(&configured) {
            return Val::Error;
        }
        let named = hint.is_some();
        let name = match hint {
            Some(n) => n.to_string(),
            None => self.auto_name(&configured.defs[0].def.name.text),
        };
        let path = self.full_name(&name);
        Val::Layer(Rc::new(Instance {
            configured,
            path,
            named,
            span,
        }))
    }

    pub(super) fn apply_layer(
        &mut self,
        instance: &Rc<Instance>,
        args: Vec<ArgVal>,
        span: Span,
    ) -> Val {
        self.reset_names(&instance.path);
        let outer = self.top().path.is_empty() || self.frames.len() <= 2;
        let input = match args.as_slice() {
            [
                ArgVal {
                    val: Val::Tensor(t),
                    ..
                },
            ] => Some(t.clone()),
            _ => None,
        };
        let result = self.apply(&instance.configured, args, span, instance.path.clone());
        // Of several values the first is the output; the others are states.
        let output = match &result {
            Val::Tuple(items) => items.first().map(|(_, v)| v),
            v => Some(v),
        };
        if let (true, Some(Val::Tensor(t))) = (outer, output) {
            self.applied.push(Applied {
                instance: instance.clone(),
                span: self.user_span(span),
                input,
                output: t.clone(),
            });
            let class = instance.configured.defs[0].def.name.text.to_string();
            let record = LayerUse {
                path: instance.path.clone(),
                class,
                output: t.to_string(),
                shape: t.ty.shape.to_vec(),
                span: self.user_span(span),
            };
            self.layers.push(record);
        }
        result
    }

    /// Runs a definition on its inputs; with several of the name, the first whose types fit.
    pub fn apply(&mut self, c: &Configured, args: Vec<ArgVal>, span: Span, path: Arc<str>) -> Val {
        if self.unresolved(&args) {
            self.check_others(c, args, span);
            self.require_alone(c, span);
            return Val::Error;
        }
        let chosen = if c.defs.len() == 1 {
            &c.defs[0]
        } else {
            self.choose(c, &args)
        };
        if self.failed_defs.contains(&chosen.id()) {
            return Val::Error;
        }
        let chosen = chosen.clone();
        if !self.enter(span) {
            return Val::Error;
        }
        let path = if path.is_empty() {
            self.top().path.clone()
        } else {
            path
        };
        let draws = self.top().draws;
        self.push_frame(&chosen, path, span);
        if chosen.def.kind == DefKind::Layer {
            // Each application of a layer draws anew.
            let path = self.top().path.clone();
            let application = self.application(&path);
            self.frame().draws = application << 16;
            self.frame().frozen = self.freezes(c);
        } else {
            self.frame().draws = draws;
        }
        if chosen.def.kind == DefKind::Loss {
            self.bound_target(&chosen, &args);
        }
        let result = if self.bind_config(c, &chosen)
            && self.adopt_layers(&chosen)
            && self.bind_inputs(&chosen, args, span)
        {
            self.run_body(&chosen)
        } else {
            Val::Error
        };
        let done = self.frames.pop().expect("pushed above");
        if chosen.def.kind != DefKind::Layer {
            self.frame().draws = done.draws;
        }
        self.leave();
        result
    }

    /// Checks the arguments beside those that failed, where it is known what they are for.
    fn check_others(&mut self, c: &Configured, args: Vec<ArgVal>, span: Span) {
        let [only] = c.defs.as_slice() else { return };
        if args.len() < 2 || self.failed_defs.contains(&only.id()) || !self.enter(span) {
            return;
        }
        let path = self.top().path.clone();
        self.push_frame(only, path, span);
        if self.bind_config(c, only) {
            self.bind_inputs(only, args, span);
        }
        self.frames.pop();
        self.leave();
    }

    /// Whether an argument has no value; names that stand for nothing are reported.
    pub(super) fn unresolved(&mut self, args: &[ArgVal]) -> bool {
        let mut any = false;
        for a in args.iter().filter(|a| a.val.is_error()) {
            any = true;
            if let Some(name) = &a.symbol {
                self.unknown_name(&name.clone());
            }
        }
        any
    }

    /// The same for one argument, in the frame of what is called: the name is the caller's.
    pub(super) fn unresolved_of_call(&mut self, a: &ArgVal) -> bool {
        let frame = self.frames.pop();
        let failed = self.unresolved(std::slice::from_ref(a));
        self.frames.extend(frame);
        failed
    }

    /// Among overloads, the first whose inputs fit, without reports; else the first.
    pub fn choose<'c>(&mut self, c: &'c Configured, args: &[ArgVal]) -> &'c DefRef {
        for candidate in c.defs.iter() {
            let (_, inputs) = lists(&candidate.def);
            self.push_frame(candidate, "".into(), c.span);
            let any = inputs.last().filter(|p| p.variadic);
            let slots = inputs.iter().chain(any.into_iter().cycle());
            let fits = (any.is_some() || inputs.len() >= args.len())
                && slots
                    .zip(args)
                    .all(|(p, a)| match (param_type(p.ty.as_ref()), &a.val) {
                        (Ok(ParamType::Tensor(pattern)), Val::Tensor(t)) => {
                            let meaning = match &pattern.meaning {
                                MeaningPattern::Prob => t.meaning == Meaning::Prob,
                                MeaningPattern::Class(_) => matches!(t.meaning, Meaning::Class(_)),
                                MeaningPattern::Token(_) => matches!(t.meaning, Meaning::Token(_)),
                                MeaningPattern::Real => !t.meaning.is_id(),
                                MeaningPattern::Any
                                | MeaningPattern::Int
                                | MeaningPattern::Bool
                                | MeaningPattern::U8 => true,
                            };
                            let quiet = self.diags.len();
                            let ok = meaning && self.unify(&pattern, t.clone(), a.span).is_ok();
                            self.diags.truncate(quiet);
                            ok
                        }
                        _ => true,
                    });
            self.frames.pop();
            if fits {
                return candidate;
            }
        }
        let meaning =
            |a: &ArgVal| matches!(&a.val, Val::Tensor(t) if matches!(t.meaning, Meaning::Class(_)));
        let classes = args.iter().any(meaning);
        let close = c.defs.iter().find(|d| {
            lists(&d.def).1.iter().any(|p| {
                matches!(param_type(p.ty.as_ref()), Ok(ParamType::Tensor(p)) if matches!(p.meaning, MeaningPattern::Class(_)))
            }) == classes
        });
        close.unwrap_or(&c.defs[0])
    }

    pub fn push_frame(&mut self, r: &DefRef, path: Arc<str>, call: Span) {
        let mut frame = Frame::new(path, r.def.name.text.to_string(), r.library, Some(call));
        frame.declares = match r.def.kind {
            DefKind::Layer => Declares::Layer,
            DefKind::Optimizer => Declares::Slots,
            DefKind::Metric => Declares::Metric,
            _ => Declares::Nothing,
        };
        self.frames.push(frame);
    }

    /// Binds the configuration in the frame just pushed; what it gave once, it gives again.
    pub fn bind_config(&mut self, c: &Configured, r: &DefRef) -> bool {
        let first = Arc::ptr_eq(&r.def, &c.defs[0].def);
        if let (true, Some(bound)) = (first, c.bound.get()) {
            let frame = self.frame();
            for b in bound {
                frame.bind(&b.name, b.val.clone(), b.span, VarRole::Given);
            }
            return true;
        }
        let (config, _) = lists(&r.def);
        if !self.bind_params(config, &c.args, c.span, r) {
            return false;
        }
        // A tensor's type also binds the sizes it names.
        let plain = |p: &Param| !matches!(param_type(p.ty.as_ref()), Ok(ParamType::Tensor(_)));
        if first && config.iter().all(plain) {
            let frame = self.top();
            let bound = config.iter().filter_map(|p| {
                let var = frame.get(&p.name.text)?;
                Some(Bound {
                    name: p.name.text.clone(),
                    val: var.val.clone(),
                    span: var.span,
                })
            });
            // Kept by the first use; another has the same values.
            let _ = c.bound.set(bound.collect());
        }
        true
    }

    pub fn bind_inputs(&mut self, r: &DefRef, args: Vec<ArgVal>, span: Span) -> bool {
        let (_, inputs) = lists(&r.def);
        if !inputs.last().is_some_and(|p| p.variadic) {
            return self.bind_params(inputs, &args, span, r);
        }
        // `Add([a, b])` is `Add(a, b)`.
        let each = args.into_iter().flat_map(|a| match tensors_of(&a.val) {
            Some(items) if a.name.is_none() => items
                .iter()
                .map(|val| ArgVal {
                    val: val.clone(),
                    ..a.clone()
                })
                .collect(),
            _ => vec![a],
        });
        let each: Vec<ArgVal> = each.collect();
        self.bind_params(inputs, &each, span, r)
    }

    /// Checks a configuration by binding it in a frame of its own.
    fn check_config(&mut self, c: &Configured) -> bool {
        let r = c.defs[0].clone();
        // A default may name the definition itself.
        if !self.descend(c.span) {
            return false;
        }
        let path = self.top().path.clone();
        self.push_frame(&r, path, c.span);
        let mut ok = self.bind_config(c, &r);
        self.frames.pop();
        self.leave();
        if r.def.kind == DefKind::Optimizer {
            for (_, stage) in self.staged(c) {
                self.push_frame(&stage.defs[0], "".into(), c.span);
                ok &= self.bind_config(&stage, &stage.defs[0]);
                self.frames.pop();
            }
        }
        ok
    }

    /// Evaluates the body in the frame on top and checks the declared result.
    fn run_body(&mut self, r: &DefRef) -> Val {
        let value = self.block(&r.def.body);
        let Some(value) = value else {
            return self.no_value(&r.def.name, &r.def.body);
        };
        match &r.def.result {
            Some(ty) => self.declared_result(value, ty, r),
            None => value,
        }
    }

    /// A configured initializer drawn as a tensor of a given shape.
    fn initial_of(&mut self, c: &Configured, shape: &ArgVal, span: Span) -> Val {
        let Val::List(items) = &shape.val else {
            return Val::Error;
        };
        let mut dims = crate::ir::Shape::new();
        for v in items.iter() {
            let Some(d) = self.positive_size(v.clone(), shape.span) else {
                return Val::Error;
            };
            dims.push(d);
        }
        self.run_initializer(c, &dims, span)
    }

    /// Reports a mistake in a call: its places are the caller's, so the callee's frame steps aside.
    pub(super) fn diagnose_call(&mut self, d: Diagnostic) -> Val {
        let frame = self.frames.pop();
        let v = self.diagnose(d);
        self.frames.extend(frame);
        v
    }
}

/// The items of a list of tensors.
fn tensors_of(v: &Val) -> Option<&[Val]> {
    match v {
        Val::List(items) if !items.is_empty() => items
            .iter()
            .all(|v| matches!(v, Val::Tensor(_)))
            .then_some(items.as_slice()),
        _ => None,
    }
}

/// The word that an expression may be among those of `symbol[..]`.
pub(crate) fn option_word(e: &ast::Expr) -> Option<Arc<str>> {
    match &e.kind {
        ast::ExprKind::Name(n) => Some(n.text.clone()),
        ast::ExprKind::None => Some(NONE.into()),
        _ => None,
    }
}

/// `Dense(units, activation = .., ...)`: what a call may name.
pub(crate) fn signature_note(def: &Def) -> String {
    let lists: Vec<String> = def
        .lists
        .iter()
        .map(|l| {
            let names: Vec<String> = l
                .iter()
                .map(|p| match (&p.default, p.variadic) {
                    (Some(_), _) => format!("{} = ..", p.name.text),
                    (None, true) => format!("...{}", p.name.text),
                    (None, false) => p.name.text.to_string(),
                })
                .collect();
            format!("({})", names.join(", "))
        })
        .collect();
    format!("its signature is {}{}", def.name.text, lists.concat())
}

impl Elab<'_> {
    /// `trainable` of a layer's arguments.
    fn freezes(&self, c: &Configured) -> bool {
        let mut args = c.args.iter();
        args.any(|a| {
            let named = a.name.as_ref().is_some_and(|n| &*n.text == "trainable");
            named && matches!(a.val, Val::Bool(false))
        })
    }
}
