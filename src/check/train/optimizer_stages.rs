//! What every optimizer takes beside its own arguments: clipping, decay, averages, ....
//!
//! The library writes it as optimizers that carry `@every_optimizer(grad)` or
//! `@every_optimizer(param)`, here called stages. A stage of the first kind gives the gradient
//! that later ones see; one of the second gives the parameter's new value, and computes the
//! optimizer's own with `update(param, grad, step, when)`. A named argument that an optimizer
//! has no parameter for goes to the stages that have one; a stage that gets none is left out,
//! so its defaults must leave things as they are.

use std::rc::Rc;
use std::sync::Arc;

use crate::ir::prim::{Binary, Reduce};
use crate::ir::{Elem, Prim};
use crate::span::Span;

use crate::check::elab::Elab;
use crate::check::elab::builtin::{Args, Builtin, builtin};
use crate::check::elab::state::{ConfiguredOptimizer, Gives, Running, StateInfo};
use crate::check::elab::value::{Configured, Home, Meaning, Tensor, Val};

/// What stages find in scope.
static STAGE: [Builtin; 3] = [
    builtin(
        "update",
        &["param", "grad", "step", "when?"],
        "new value of the parameter by the optimizer's own rule; where `when` is false, its states do not change",
        |el, a| el.own_update(a),
    ),
    builtin(
        "global_norm",
        &[],
        "norm of all gradients together",
        |el, a| el.global_norm(a.span),
    ),
    builtin(
        "at_end",
        &["state"],
        "sets the parameter to the value of a state when training ends",
        |el, a| el.at_end(a),
    ),
];

/// The names of [`STAGE`] with their values.
pub(crate) fn stage_names() -> impl Iterator<Item = (&'static str, Val)> {
    STAGE.iter().map(|b| (b.name, Val::Builtin(b)))
}

impl Elab<'_> {
    /// An optimizer with its rates and its stages; their requirements are decided here.
    pub(super) fn rule(
        &mut self,
        c: Rc<Configured>,
        class: String,
        step: Tensor,
        span: Span,
    ) -> Option<Rc<ConfiguredOptimizer>> {
        let stages = self.staged(&c);
        for (_, stage) in &stages {
            let r = stage.defs[0].clone();
            self.push_frame(&r, "".into(), span);
            // The message names the optimizer that was written.
            self.frame().what = c.defs[0].def.name.text.to_string();
            let met = self.bind_config(stage, &r) && self.require_of(&r);
            self.frames.pop();
            if !met {
                return None;
            }
        }
        let own = self.with_rates(&c, &class, &step, span)?;
        let rate = own.args.iter().find(|a| {
            let name = a.name.as_ref();
            name.is_some_and(|n| &*n.text == "lr")
        });
        let rate = rate.map_or(Val::None, |a| a.val.clone());
        Some(Rc::new(ConfiguredOptimizer {
            own,
            stages,
            class,
            rate,
            step,
            span,
        }))
    }

    /// Runs the stages that give gradients, each for all parameters before the next.
    pub(super) fn prepare(
        &mut self,
        rule: &Rc<ConfiguredOptimizer>,
        params: &[Arc<str>],
        grads: &mut [Tensor],
    ) -> Option<()> {
        for (at, (gives, _)) in rule.stages.iter().enumerate() {
            let mut norm = None;
            let all: Rc<[Tensor]> = (*grads).into();
            for (name, grad) in params.iter().zip(grads.iter_mut()) {
                if *gives != Gives::Grad {
                    continue;
                }
                let param = self.params[name].tensor.clone();
                self.optimizer.running.push(Running {
                    rule: rule.clone(),
                    at,
                    param: name.clone(),
                    grads: all.clone(),
                    norm: norm.take(),
                });
                let value = self.run_stage(rule, at, name, &param, grad, &rule.step);
                norm = self.optimizer.running.pop().and_then(|r| r.norm);
                *grad = value?;
            }
        }
        Some(())
    }

    /// The new value of a parameter by the stages from `at` on, then the optimizer's own rule.
    pub(super) fn update(
        &mut self,
        rule: &Rc<ConfiguredOptimizer>,
        at: usize,
        name: &Arc<str>,
        param: &Tensor,
        grad: &Tensor,
        step: &Tensor,
    ) -> Option<Tensor> {
        let next = (at..rule.stages.len()).find(|i| rule.stages[*i].0 == Gives::Param);
        if let Some(at) = next {
            self.optimizer.running.push(Running {
                rule: rule.clone(),
                at,
                param: name.clone(),
                grads: Rc::new([]),
                norm: None,
            });
            let value = self.run_stage(rule, at, name, param, grad, step);
            self.optimizer.running.pop();
            return value;
        }
        let given = seen_by_rules(param, grad, step);
        let path = format!("{}/{name}", rule.class);
        self.run_rule(&rule.own, rule.name(), path.into(), &given, rule.span)
    }

    fn run_stage(
        &mut self,
        rule: &Rc<ConfiguredOptimizer>,
        at: usize,
        name: &Arc<str>,
        param: &Tensor,
        grad: &Tensor,
        step: &Tensor,
    ) -> Option<Tensor> {
        let mut given = Vec::from(seen_by_rules(param, grad, step));
        given.push(("lr", rule.rate.clone()));
        given.extend(stage_names());
        let path = format!("{}/{name}/options", rule.class);
        self.run_rule(
            &rule.stages[at].1,
            rule.name(),
            path.into(),
            &given,
            rule.span,
        )
    }

    /// `update(param, grad, step, when)` of a stage.
    fn own_update(&mut self, a: &Args) -> Val {
        let (Some(param), Some(grad), Some(step)) = (
            self.tensor_at(a, "param"),
            self.tensor_at(a, "grad"),
            self.tensor_at(a, "step"),
        ) else {
            return Val::Error;
        };
        let when = self.arg(a, "when").map(|w| w.val.clone());
        let Some(running) = self.optimizer.running.last().cloned() else {
            // A generic check: any tensor of the parameter's type stands for it.
            return Val::Tensor(param);
        };
        let known = self.states.len();
        let (rule, at) = (running.rule, running.at + 1);
        let Some(next) = self.update(&rule, at, &running.param, &param, &grad, &step) else {
            return Val::Error;
        };
        if let Some(Val::Tensor(when)) = when
            && self.hold(known, &when, a.span).is_none()
        {
            return Val::Error;
        }
        Val::Tensor(next)
    }

    /// States declared since there were `known` of them keep their values where `when` is false.
    fn hold(&mut self, known: usize, when: &Tensor, span: Span) -> Option<()> {
        for i in known..self.states.len() {
            let (_, info) = self.states.get_index(i)?;
            let (ty, now) = (info.ty.clone(), info.current.clone());
            let before = Tensor {
                value: self.step.inputs[info.input].value,
                home: Home::Step,
                ty: ty.clone(),
                meaning: Meaning::Real,
                mask: None,
            };
            let when = self.stretch(when.clone(), &ty.shape, span)?;
            let args = [&when, &now, &before];
            let Val::Tensor(kept) = self.emit(Prim::Select, &args, Meaning::Real, span) else {
                return None;
            };
            self.states.get_index_mut(i)?.1.current = kept;
        }
        Some(())
    }

    /// `global_norm()`: the root of the sum of all squares.
    fn global_norm(&mut self, span: Span) -> Val {
        let Some(running) = self.optimizer.running.last() else {
            return Val::Tensor(self.constant(1.0, Elem::F32));
        };
        if let Some(norm) = &running.norm {
            return Val::Tensor(norm.clone());
        }
        let mut total: Option<Tensor> = None;
        for g in running.grads.clone().iter() {
            let axes = (0..g.ty.rank()).collect();
            let mul = Prim::Binary(Binary::Mul);
            let Val::Tensor(square) = self.emit(mul, &[g, g], Meaning::Real, span) else {
                return Val::Error;
            };
            let Val::Tensor(sum) = self.reduce_over(&square, Reduce::Sum, axes, false, span) else {
                return Val::Error;
            };
            total = match total {
                None => Some(sum),
                Some(t) => {
                    let add = Prim::Binary(Binary::Add);
                    match self.emit(add, &[&t, &sum], Meaning::Real, span) {
                        Val::Tensor(t) => Some(t),
                        _ => return Val::Error,
                    }
                }
            };
        }
        let Some(total) = total else {
            return Val::Error;
        };
        let root = Prim::Unary(crate::ir::prim::Unary::Sqrt);
        let norm = self.emit(root, &[&total], Meaning::Real, span);
        if let (Val::Tensor(t), Some(running)) = (&norm, self.optimizer.running.last_mut()) {
            running.norm = Some(t.clone());
        }
        norm
    }

    /// `at_end(state)`: a copy that the end of training makes.
    fn at_end(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "state") else {
            return Val::Error;
        };
        if let Some(running) = self.optimizer.running.last() {
            let held = |s: &StateInfo| s.current.value == t.value;
            let states = self.states.iter().rev();
            if let Some((state, _)) = states.into_iter().find(|(_, s)| held(s)) {
                self.optimizer
                    .final_copies
                    .push((running.param.to_string(), state.to_string()));
            }
        }
        Val::None
    }
}

/// What an update rule sees of a parameter.
fn seen_by_rules(param: &Tensor, grad: &Tensor, step: &Tensor) -> [(&'static str, Val); 3] {
    let given = [("param", param), ("grad", grad), ("step", step)];
    given.map(|(name, tensor)| (name, Val::Tensor(tensor.clone())))
}
