//! Kernels for people: operands, then every instruction with the stage and the level that it belongs to.

use std::fmt::{self, Display};

use super::{Kernel, Op, Store, V};

/// Over several lines; the last one has no line break.
impl Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, scratch lines {}", self.orient, self.scratch)?;
        for (i, o) in self.operands.iter().enumerate() {
            let (elem, row, col) = (o.elem.name(), o.row, o.col);
            write!(f, "\n  operand {i}: {elem} row {row} col {col}")?;
        }
        self.write_values(f, "once", &self.once)?;
        for (i, stage) in self.stages.iter().enumerate() {
            let (line, point) = (format!("{i} line "), format!("{i} point"));
            self.write_values(f, &line, &stage.line)?;
            write_stores(f, &line, &stage.line_stores)?;
            self.write_values(f, &point, &stage.body)?;
            write_stores(f, &point, &stage.stores)?;
            for acc in &stage.accs {
                let (op, value, id) = (acc.op.name(), acc.value.0, acc.id);
                write!(f, "\n  {i} reduce_{op} v{value} to {id}")?;
            }
        }
        Ok(())
    }
}

impl Kernel {
    fn write_values(&self, f: &mut fmt::Formatter<'_>, title: &str, values: &[V]) -> fmt::Result {
        for v in values {
            write!(f, "\n  {title} v{} = {}", v.0, self.inst(*v).op)?;
        }
        Ok(())
    }
}

fn write_stores(f: &mut fmt::Formatter<'_>, title: &str, stores: &[Store]) -> fmt::Result {
    for s in stores {
        write!(f, "\n  {title} store v{} to {}", s.value.0, s.operand)?;
    }
    Ok(())
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Op::F32(bits) => write!(f, "{:?}", f32::from_bits(bits)),
            Op::F64(bits) => write!(f, "{:?}f64", f64::from_bits(bits)),
            Op::I32(x) => write!(f, "{x}"),
            Op::Mask(x) => write!(f, "{x}"),
            Op::Load(o) => write!(f, "load {o}"),
            Op::Index(o) => write!(f, "index {o}"),
            Op::Reduced(id) => write!(f, "reduced {id}"),
            Op::Un(u, a) => write!(f, "{u:?} v{}", a.0),
            Op::Bin(b, x, y) => write!(f, "{b:?} v{} v{}", x.0, y.0),
            Op::Fma(x, y, z) => write!(f, "Fma v{} v{} v{}", x.0, y.0, z.0),
            Op::Cmp(c, x, y) => write!(f, "{c:?} v{} v{}", x.0, y.0),
            Op::Select(c, x, y) => write!(f, "Select v{} v{} v{}", c.0, x.0, y.0),
            Op::Call(func, x, None) => write!(f, "{func:?} v{}", x.0),
            Op::Call(func, x, Some(y)) => write!(f, "{func:?} v{} v{}", x.0, y.0),
        }
    }
}
