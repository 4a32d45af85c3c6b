//! A graph as CUDA C++ and what the host launches, in order.

use super::kernel;
use super::steps;
use super::target::Cuda;
use crate::backend::fusion::vir::Kernel;
use crate::backend::schedule::program::{Buf, Carry, Program, Step};

/// Threads of a block.
pub(super) const THREADS: usize = 256;

/// A grid of blocks of [`THREADS`] threads.
pub(super) struct Launch {
    pub blocks: usize,
    /// Whether threads of a block wait for each other.
    pub barriers: bool,
}

/// Blocks for one thread per element.
pub(super) fn blocks(elements: usize) -> usize {
    elements.div_ceil(THREADS)
}

/// A graph compiled to text. Kernels take one argument: the table of the bases that [`Place::base`] counts.
pub struct Source {
    /// A translation unit without the prelude.
    pub text: String,
    pub kernels: Vec<KernelInfo>,
    pub body: Body,
    /// Bytes of intermediate values.
    pub arena: usize,
}

/// A kernel of a [`Source`].
pub struct KernelInfo {
    pub name: String,
    pub blocks: usize,
    /// Whether threads of a block wait for each other.
    pub barriers: bool,
}

/// What runs, in order.
pub struct Body {
    pub nodes: Vec<Node>,
}

pub enum Node {
    /// By index in [`Source::kernels`].
    Launch(usize),
    Loop(Box<Loop>),
}

/// A byte offset from a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub base: usize,
    pub offset: usize,
}

/// A loop that the host unrolls: tables of bases for every iteration are known before anything runs.
pub struct Loop {
    pub body: Body,
    pub length: usize,
    pub reverse: bool,
    pub arena: Place,
    /// Initial value, spare, result: iterations write spare and result by turns, the last one the result.
    pub carries: Vec<[Place; 3]>,
    /// First slice, and bytes from one to the next.
    pub scanned: Vec<(Place, usize)>,
    pub constants: Vec<Place>,
    pub stacked: Vec<(Place, usize)>,
}

impl Source {
    /// Every launch in order, with its table of bases; `bases` are the arena, one that is not used, inputs, results.
    pub fn each_launch(&self, bases: &[*mut u8], launch: &mut dyn FnMut(&KernelInfo, &[*mut u8])) {
        self.launches_of(&self.body, bases, launch);
    }

    fn launches_of(
        &self,
        body: &Body,
        bases: &[*mut u8],
        launch: &mut dyn FnMut(&KernelInfo, &[*mut u8]),
    ) {
        for node in &body.nodes {
            match node {
                Node::Launch(kernel) => launch(&self.kernels[*kernel], bases),
                Node::Loop(l) => {
                    for turn in 0..l.length {
                        self.launches_of(&l.body, &l.bases(turn, bases), launch);
                    }
                }
            }
        }
    }
}

impl Loop {
    /// The bases of iteration `turn`, from those of the program around it.
    pub fn bases(&self, turn: usize, outside: &[*mut u8]) -> Vec<*mut u8> {
        let at = |p: Place| outside[p.base].wrapping_add(p.offset);
        let index = match self.reverse {
            true => self.length - 1 - turn,
            false => turn,
        };
        let slice = |(place, stride): (Place, usize)| at(place).wrapping_add(index * stride);
        let even = (self.length - 1 - turn).is_multiple_of(2);
        let both = |c: &[Place; 3]| if even { (c[2], c[1]) } else { (c[1], c[2]) };
        let read = |c: &[Place; 3]| if turn == 0 { c[0] } else { both(c).1 };
        let carried = self.carries.iter();
        let scanned = self.scanned.iter().map(|s| slice(*s));
        let constants = self.constants.iter().map(|c| at(*c));
        let stacked = self.stacked.iter().map(|s| slice(*s));
        [at(self.arena), std::ptr::null_mut()]
            .into_iter()
            .chain(carried.clone().map(|c| at(read(c))))
            .chain(scanned)
            .chain(constants)
            .chain(carried.map(|c| at(both(c).0)))
            .chain(stacked)
            .collect()
    }
}

/// The text of a program and of the loops in it.
pub(super) fn emit(program: &Program<Cuda>, kernels: &[Kernel], name: &str) -> Source {
    let mut emitter = Emitter {
        kernels,
        prefix: name,
        text: String::new(),
        infos: Vec::new(),
    };
    let body = emitter.body(program);
    Source {
        text: emitter.text,
        kernels: emitter.infos,
        body,
        arena: program.arena,
    }
}

struct Emitter<'a> {
    kernels: &'a [Kernel],
    prefix: &'a str,
    text: String,
    infos: Vec<KernelInfo>,
}

impl Emitter<'_> {
    fn body(&mut self, program: &Program<Cuda>) -> Body {
        let mut nodes = Vec::new();
        for (step, label) in program.steps.iter().zip(&program.labels) {
            match step {
                Step::Kernels(calls) => {
                    for (call, label) in calls.iter().zip(label.split(" | ")) {
                        let kernel = &self.kernels[call.kernel];
                        nodes.push(self.launch("fused", label, |name, out| {
                            kernel::emit(kernel, call, name, out)
                        }));
                    }
                }
                Step::Scan(scan) => {
                    let body = self.body(&scan.body);
                    nodes.push(Node::Loop(Box::new(Loop {
                        body,
                        length: scan.length,
                        reverse: scan.reverse,
                        arena: place(&scan.arena),
                        carries: scan.carries.iter().map(carry).collect(),
                        scanned: scan.scanned.iter().map(|(b, s)| (place(b), *s)).collect(),
                        constants: scan.constants.iter().map(place).collect(),
                        stacked: scan.stacked.iter().map(|(b, s)| (place(b), *s)).collect(),
                    })));
                }
                step => {
                    let kind = steps::kind(step);
                    nodes.push(self.launch(kind, label, |name, out| steps::emit(step, name, out)));
                }
            }
        }
        Body { nodes }
    }

    fn launch(
        &mut self,
        kind: &str,
        label: &str,
        emit: impl FnOnce(&str, &mut String) -> Launch,
    ) -> Node {
        let index = self.infos.len();
        let name = format!("{}_{index}_{kind}", self.prefix);
        let title = format!("// {kind} {label}");
        self.text += &format!("\n{}\n", title.trim_end());
        let launch = emit(&name, &mut self.text);
        self.infos.push(KernelInfo {
            name,
            blocks: launch.blocks,
            barriers: launch.barriers,
        });
        Node::Launch(index)
    }
}

fn place(buf: &Buf) -> Place {
    Place {
        base: usize::from(buf.base),
        offset: buf.offset,
    }
}

fn carry(c: &Carry) -> [Place; 3] {
    [place(&c.initial), place(&c.spare), place(&c.result)]
}
