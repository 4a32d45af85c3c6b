//! From fused units to a program: buffers get their places, units become steps.

use rustc_hash::FxHashMap;

use super::program::{Body, FIRST_INPUT, Kernels, Program, Settings};
use super::steps::Placement;
use super::target::Target;
use crate::backend::fusion::LowerError;
use crate::backend::fusion::buffers::Buffers;
use crate::backend::fusion::kernel;
use crate::backend::fusion::ops::{Kind, MapOp, Ops};
use crate::backend::fusion::units::{self, Fused, Unit};
use crate::ir::Graph;
use crate::ir::prim::Prim;
use crate::passes::memory;

/// Makes the program of `graph`. In a loop's body every output is a result.
pub(crate) fn plan<T: Target>(
    graph: &Graph,
    is_body: bool,
    settings: &Settings<T>,
    kernels: &mut Kernels,
) -> Result<Program<T>, LowerError> {
    let limits = &T::LIMITS;
    let mut ops = Ops::of(graph, limits)?;
    ops.remove_dead();
    let fused = units::fuse(&ops, limits);
    let mut planner = Planner {
        buffers: Buffers::of(graph, is_body, &ops, &fused),
        ops: &ops,
        fused: &fused,
        settings,
        kernels,
        inputs: graph.inputs.len(),
    };
    planner.program()
}

struct Planner<'a, T> {
    ops: &'a Ops,
    fused: &'a Fused,
    buffers: Buffers<'a>,
    settings: &'a Settings<T>,
    kernels: &'a mut Kernels,
    inputs: usize,
}

impl<T: Target> Planner<'_, T> {
    fn program(&mut self) -> Result<Program<T>, LowerError> {
        let mut bodies = self.bodies()?;
        let arena = memory::plan(&self.buffers.requests);
        let place = Placement {
            ops: self.ops,
            homes: &self.buffers.homes,
            offsets: &arena.offsets,
            inputs: self.inputs,
            settings: self.settings,
        };
        let results = self.buffers.results;
        let mut program = Program {
            steps: Vec::new(),
            labels: Vec::new(),
            inputs: self.inputs,
            results,
            arena: arena.bytes,
            scratch: 0,
            flops: 0,
            bases: usize::from(FIRST_INPUT) + self.inputs + results,
        };
        for (u, unit) in self.fused.units.iter().enumerate() {
            if unit.is_kernel {
                let outputs = self.buffers.outputs(u);
                let built = kernel::build(self.ops, unit, &self.fused.places, &outputs, &T::LIMITS);
                let call = place.call(built, self.kernels);
                program.kernel(call, label(self.ops, unit));
                continue;
            }
            let op = &self.ops.ops[unit.ops[0]];
            match &op.kind {
                Kind::Place { places, fill } => {
                    place.place(op, places, *fill, self.kernels, &mut program);
                }
                Kind::Dot(dims) => place.dot(dims, op, self.kernels, &mut program),
                Kind::Other(Prim::Scan(scan)) => {
                    if let Some(body) = bodies.remove(&u) {
                        place.scan(scan, op, body, self.kernels, &mut program)?;
                    }
                }
                Kind::Other(prim) => {
                    if let Some(step) = place.other(prim, op, &mut program)? {
                        program.push(step, String::new());
                    }
                }
                Kind::Map(_) | Kind::Reduce { .. } => unreachable!("a unit of these is a kernel"),
            }
        }
        place.final_copies(&self.buffers.final_copies, self.kernels, &mut program);
        Ok(program)
    }

    /// Loops by unit. They have their own arenas and spare carries, which live for one step.
    fn bodies(&mut self) -> Result<FxHashMap<usize, Body<T>>, LowerError> {
        let mut bodies = FxHashMap::default();
        for (u, unit) in self.fused.units.iter().enumerate() {
            let op = &self.ops.ops[unit.ops[0]];
            if let Kind::Other(Prim::Scan(scan)) = &op.kind {
                let program = plan(&scan.body, true, self.settings, self.kernels)?;
                let arena = self.buffers.request(program.arena, u, u);
                let carries = &op.results[..scan.carries];
                let spares = carries
                    .iter()
                    .map(|&v| self.buffers.request(self.buffers.bytes(v), u, u))
                    .collect();
                let body = Body {
                    program,
                    arena,
                    spares,
                };
                bodies.insert(u, body);
            }
        }
        Ok(bodies)
    }
}

/// Names of a unit's operations, in order.
fn label(ops: &Ops, unit: &Unit) -> String {
    let names = unit.ops.iter().map(|&o| match &ops.ops[o].kind {
        Kind::Map(MapOp::Copy) => "copy".to_string(),
        Kind::Map(MapOp::Unary(u)) => u.name().to_string(),
        Kind::Map(MapOp::Binary(b)) => b.name().to_string(),
        Kind::Map(MapOp::Compare(c)) => c.name().to_string(),
        Kind::Map(MapOp::Select) => "select".to_string(),
        Kind::Map(MapOp::Cast(e)) => format!("cast {}", e.name()),
        Kind::Reduce { op, .. } => format!("reduce_{}", op.name()),
        Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => String::new(),
    });
    names.collect::<Vec<_>>().join(" ")
}
