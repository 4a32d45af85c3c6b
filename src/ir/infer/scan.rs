//! Loops.

use super::expect::{equal, same};
use super::{Result, TypeError, Types};
use crate::ir::prim::Scan;
use crate::ir::ty::Type;

pub(super) fn scan(s: &Scan, args: &[&Type]) -> Result<Types> {
    let body = &s.body;
    if body.inputs.len() != args.len()
        || args.len() < s.carries + s.scanned
        || body.outputs.len() < s.carries
    {
        return Err(TypeError::Arity {
            expected: body.inputs.len(),
            found: args.len(),
        });
    }
    for (i, arg) in args.iter().enumerate() {
        let mut found = (*arg).clone();
        if (s.carries..s.carries + s.scanned).contains(&i) {
            if found.rank() == 0 {
                return Err(TypeError::Rank {
                    argument: i,
                    found: 0,
                    expected: 1,
                });
            }
            equal(i, 0, &found.shape.remove(0), &s.length)?;
        }
        let expected = body.ty(body.inputs[i].value);
        if found != *expected {
            return Err(TypeError::Type {
                argument: i,
                found,
                expected: expected.clone(),
            });
        }
    }
    let mut results = Types::new();
    for (i, output) in body.outputs.iter().enumerate() {
        let ty = body.ty(output.value);
        if i < s.carries {
            same(&[ty], 0, args[i])?;
            results.push(ty.clone());
        } else {
            let stacked = std::iter::once(&s.length).chain(&ty.shape).cloned();
            results.push(Type::new(ty.elem, stacked));
        }
    }
    Ok(results)
}
