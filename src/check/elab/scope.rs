//! Names in scope while a body is elaborated.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::span::Span;

use super::value::Val;

#[derive(Clone, Debug)]
pub struct Var {
    pub val: Val,
    pub span: Span,
    pub role: VarRole,
}

/// What an assignment to the name means.
#[derive(Clone, Debug, PartialEq)]
pub enum VarRole {
    /// An ordinary binding: may be bound again.
    Local,
    /// A parameter of the definition or a size of its signature.
    Given,
    /// A trained parameter.
    Param,
    /// A layer's, optimizer's or metric's state, by full name: assignment gives its next value.
    State(Arc<str>),
}

/// One activation of a definition: its blocks' bindings, innermost last.
#[derive(Debug, Default)]
pub struct Frame {
    blocks: Vec<FxHashMap<Arc<str>, Var>>,
    /// The path of the layer it elaborates: parameters are named below it.
    pub path: Arc<str>,
    /// The definition's name, for messages.
    pub what: String,
    /// The body is in the standard library.
    pub library: bool,
    /// The call, in the caller's text.
    pub call: Option<Span>,
    /// The run of axes that `..` stands for in the signature.
    pub rest: Option<crate::ir::Shape>,
    /// Draws made so far, so that each has a site of its own.
    pub draws: u32,
    /// `trainable = false` of the layer: what is in it stays as it is.
    pub frozen: bool,
    /// Layers may declare parameters; functions may not.
    pub declares: Declares,
}

/// What `param` and `state` may do in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Declares {
    #[default]
    Nothing,
    /// `param` and `state`
    Layer,
    /// `state` as optimizer slots
    Slots,
    /// `state` as metric accumulators
    Metric,
}

impl Frame {
    pub fn new(path: Arc<str>, what: String, library: bool, call: Option<Span>) -> Frame {
        Frame {
            blocks: vec![FxHashMap::default()],
            path,
            what,
            library,
            call,
            ..Frame::default()
        }
    }
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.blocks.iter().rev().find_map(|b| b.get(name))
    }
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Var> {
        self.blocks.iter_mut().rev().find_map(|b| b.get_mut(name))
    }
    /// Binds in the innermost block.
    pub fn bind(&mut self, name: &Arc<str>, val: Val, span: Span, role: VarRole) {
        let block = self.blocks.last_mut().expect("a frame has a block");
        block.insert(name.clone(), Var { val, span, role });
    }
    /// Binds in the outermost block: sizes of a signature.
    pub fn bind_given(&mut self, name: &Arc<str>, val: Val, span: Span) {
        self.blocks[0].insert(
            name.clone(),
            Var {
                val,
                span,
                role: VarRole::Given,
            },
        );
    }
    pub fn push_block(&mut self) {
        self.blocks.push(FxHashMap::default());
    }
    pub fn pop_block(&mut self) {
        self.blocks.pop();
    }
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().flat_map(|b| b.keys().map(|k| &**k))
    }
}
