//! Gradients by the parameters and the optimizer's update of each.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::diag::Code;
use crate::ir::{Dim, Elem, Graph, OutputRole, Prim, Role, Type, Value};
use crate::span::Span;
use crate::spec::{Rate, names};
use crate::syntax::ast::{self, DefKind, Ident, Setting};

use crate::check::elab::Elab;
use crate::check::elab::scope::VarRole;
use crate::check::elab::value::{
    ArgVal, Configured, DefRef, Home, Kind, Meaning, Tensor, Val, float, lists,
};
use crate::check::elab::world::Purpose;
use crate::check::eval::block::requirements;

use super::frozen::Chosen;
use super::settings::Run;

impl Elab<'_> {
    /// The gradient of `total` by the parameters, and the optimizer's update of each.
    pub(super) fn optimize(
        &mut self,
        setting: &Setting,
        total: &Tensor,
        params: &[Arc<str>],
        run: Run,
    ) {
        let Some(chosen) = self.optimizers_of(setting) else {
            self.train.incomplete = true;
            return;
        };
        if run != Run::Train {
            return;
        }
        let span = chosen[0].span;
        let trained: Vec<Arc<str>> = params
            .iter()
            .filter(|p| self.params[*p].trainable)
            .cloned()
            .collect();
        if trained.is_empty() {
            self.error(
                Code::E0607,
                setting.span,
                "everything is frozen",
                "there is nothing to learn here",
            );
            return;
        }
        if !self.check_reached(total, &trained, setting.span) {
            return;
        }
        let Some(places) = self.assigned(&chosen, &trained, setting) else {
            return;
        };
        let mut args = vec![total.value];
        args.extend(trained.iter().map(|p| self.params[p].tensor.value));
        let origin = self.origin(span);
        self.optimizer.gradients.push(self.step.nodes.len());
        let grads: Vec<Value> = match self.step.push(Prim::Gradient, &args, origin) {
            Ok(g) => g.to_vec(),
            Err(e) => {
                self.type_error(e, span);
                return;
            }
        };
        let done = self.step_counter();
        let Some(done) = self.cast(done, Elem::F32, span) else {
            return;
        };
        let Val::Tensor(step) = self.binary(
            ast::BinaryOp::Add,
            Val::Tensor(done),
            Val::Int(Dim::ONE),
            span,
        ) else {
            return;
        };
        for (i, one) in chosen.iter().enumerate() {
            let mine = trained.iter().zip(&grads).zip(&places);
            let mine = mine.filter(|(_, place)| **place == i);
            let (names, grads) = mine
                .map(|((name, value), _)| {
                    let grad = Tensor {
                        value: *value,
                        ..self.params[name].tensor.clone()
                    };
                    (name.clone(), grad)
                })
                .unzip();
            if self.apply_rule(one, &step, names, grads).is_none() {
                self.train.incomplete = true;
                return;
            }
        }
    }

    /// The updates of one optimizer's parameters.
    fn apply_rule(
        &mut self,
        one: &Chosen,
        step: &Tensor,
        names: Vec<Arc<str>>,
        mut grads: Vec<Tensor>,
    ) -> Option<()> {
        let (c, span) = (one.rule.clone(), one.span);
        let class = self.auto_name(&c.defs[0].def.name.text.to_lowercase());
        let rule = self.rule(c, class, step.clone(), span)?;
        self.prepare(&rule, &names, &mut grads)?;
        // Types of parameters, with the definitions that an update uses.
        let mut updated: FxHashMap<Type, usize> = FxHashMap::default();
        for (name, grad) in names.iter().zip(&grads) {
            let info = self.params[name].clone();
            let alike = match info.constraint {
                None => updated.get(&info.tensor.ty).copied(),
                Some(_) => None,
            };
            if let (Some(uses), Purpose::Report) = (alike, self.world.purpose) {
                if !self.count_uses(uses, span) {
                    return None;
                }
                continue;
            }
            let before = self.uses();
            let mut next = self.update(&rule, 0, name, &info.tensor, grad, &rule.step)?;
            updated.insert(info.tensor.ty.clone(), self.uses() - before);
            if let Some(Val::Def(k)) = &info.constraint {
                next = self.constrained(k, next)?;
            }
            if next.ty != info.tensor.ty {
                let r = &rule.own.defs[0].def.name;
                self.error(
                    Code::E0213,
                    r.span,
                    format!(
                        "`{}` returns {next} for a parameter of type {}",
                        r.text, info.tensor.ty
                    ),
                    "the new value must have the parameter's type",
                );
                return None;
            }
            self.params.get_mut(name).expect("listed above").tensor = Tensor {
                value: next.value,
                ..info.tensor
            };
        }
        Some(())
    }

    /// The new value of a parameter as its constraint leaves it.
    fn constrained(&mut self, k: &Configured, next: Tensor) -> Option<Tensor> {
        let v = self.run_with(k, &[("param", Val::Tensor(next.clone()))], k.span);
        let t = self.returned_tensor(v, k, k.span)?;
        if t.ty == next.ty {
            return Some(t);
        }
        let name = &k.defs[0].def.name.text;
        self.error(
            Code::E0213,
            k.span,
            format!("`{name}` returns {t} for a parameter of type {}", next.ty),
            "a constraint must return a tensor of the parameter's type",
        );
        None
    }

    /// Runs the body of an optimizer, or of a stage of every optimizer, for one parameter;
    /// `given` is bound beside its configuration. What it declares is named below `path`;
    /// messages call it `what`.
    pub(super) fn run_rule(
        &mut self,
        c: &Configured,
        what: &str,
        path: Arc<str>,
        given: &[(&str, Val)],
        span: Span,
    ) -> Option<Tensor> {
        let r = c.defs[0].clone();
        if !self.enter(span) {
            return None;
        }
        self.push_frame(&r, path, span);
        self.frame().what = what.into();
        for (n, v) in given {
            self.frame()
                .bind_given(&Arc::from(*n), v.clone(), r.def.name.span);
        }
        let value = if self.bind_config(c, &r) {
            self.block_from(&r.def.body, requirements(&r.def).len())
        } else {
            None
        };
        self.frames.pop();
        self.leave();
        match value? {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            other => {
                let name = &r.def.name;
                self.error(
                    Code::E0312,
                    name.span,
                    format!("`{}` must return the new value of the parameter", name.text),
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    /// What a schedule gives, apart: `step` (`F32[]`) -> `rate` (`F32[]`).
    pub(super) fn schedule_graph(&mut self, c: &Configured, span: Span) -> Option<Graph> {
        let mut own = Elab::new(self.world, self.mode, "rate");
        own.failed_defs = self.failed_defs.clone();
        let ty = Type::scalar(Elem::F32);
        let value = own.step.input("step", Role::Plain, ty.clone());
        let step = Tensor {
            value,
            home: Home::Step,
            ty: ty.clone(),
            meaning: Meaning::Real,
            mask: None,
        };
        let rate = match own.run_with(c, &[("step", Val::Tensor(step))], span) {
            Val::Tensor(t) if t.ty == ty => Some(t),
            Val::Tensor(t) => {
                own.error(
                    Code::E0213,
                    span,
                    "a schedule must return a single number",
                    format!("this returns {t}"),
                );
                None
            }
            v @ (Val::Float(_) | Val::Int(_)) => own.as_tensor(&v, Elem::F32, span),
            v => own.returned_tensor(v, c, span),
        };
        self.diags.append(&mut own.diags);
        own.step.output("rate", OutputRole::Result, rate?.value);
        Some(own.take_step("rate"))
    }

    /// Makes a runtime number of a constant `lr`, and a graph of a schedule.
    pub(super) fn with_rates(
        &mut self,
        c: &Rc<Configured>,
        class: &str,
        step: &Tensor,
        span: Span,
    ) -> Option<Rc<Configured>> {
        let r = c.defs[0].clone();
        self.push_frame(&r, "".into(), span);
        let ok = self.bind_config(c, &r) && self.require_of(&r);
        let bound: Vec<(Ident, Val)> = lists(&r.def)
            .0
            .iter()
            .filter_map(|p| Some((p.name.clone(), self.top().get(&p.name.text)?.val.clone())))
            .collect();
        self.frames.pop();
        if !ok {
            return None;
        }
        let mut args = Vec::new();
        for (name, v) in bound {
            let val = match &v {
                Val::Def(s) if s.defs[0].def.kind == DefKind::Schedule => {
                    self.optimizer.scheduled.get_or_insert(s.span);
                    if &*name.text == "lr"
                        && let Some(rate) = self.schedule_graph(s, span)
                    {
                        self.optimizer.rates.push(Rate {
                            name: names::rate_of_optimizer(class),
                            graph: rate,
                            span: s.span,
                        });
                    }
                    self.run_with(s, &[("step", Val::Tensor(step.clone()))], span)
                }
                Val::Float(_) | Val::Int(_) if &*name.text == "lr" => {
                    self.advise_rate(float(&v)?, c.span);
                    let full = names::rate_of_optimizer(class);
                    let ty = Type::scalar(Elem::F32);
                    let value = self.step.input(&full, Role::Hyper, ty.clone());
                    if self.initialized.insert(full.as_str().into()) {
                        let x = float(&v)?;
                        let init = self.init.constant(x, Elem::F32);
                        self.init.output(&full, OutputRole::Result, init);
                    }
                    Val::Tensor(Tensor {
                        value,
                        home: Home::Step,
                        ty,
                        meaning: Meaning::Real,
                        mask: None,
                    })
                }
                _ => v,
            };
            if val.is_error() {
                return None;
            }
            args.push(ArgVal {
                name: Some(name),
                val,
                span,
                symbol: None,
            });
        }
        Some(Rc::new(Configured::new(c.defs.clone(), args, c.span)))
    }

    /// The requirements of an optimizer, its configuration bound in the frame on top. A rate
    /// that changes is any rate.
    pub(super) fn require_of(&mut self, r: &DefRef) -> bool {
        self.frame().push_block();
        for p in lists(&r.def).0 {
            let name = &p.name;
            if let Some(Val::Def(_) | Val::Tensor(_)) = self.top().get(&name.text).map(|v| &v.val) {
                let any = Val::Unknown(Kind::Float);
                self.frame()
                    .bind(&name.text, any, name.span, VarRole::Given);
            }
        }
        let met = requirements(&r.def).iter().all(|s| self.stmt(s));
        self.frame().pop_block();
        met
    }
}
