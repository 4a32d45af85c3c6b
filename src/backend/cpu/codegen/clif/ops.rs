//! One instruction of the vector IR as Cranelift instructions, for a vector or a single element.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::Ieee64;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, SigRef, Signature, Type, Value, types};

use super::{At, Emit, LANES, SCALAR, clif_type, plain, same};
use crate::backend::cpu::codegen::calls;
use crate::backend::fusion::vir::{self, Bin, Cmp, Func, Inst, Op, Store, Ty, Un, V};
use crate::ir::Elem;

impl Emit<'_> {
    pub(super) fn inst(&mut self, v: V, slot: usize, at: &At) {
        let Inst { op, ty } = self.k.inst(v);
        let to = clif_type(ty, slot);
        let value = match op {
            Op::F32(bits) => {
                let x = self.b.ins().f32const(f32::from_bits(bits));
                self.fill(x, slot, to)
            }
            Op::F64(bits) => self.b.ins().f64const(Ieee64::with_bits(bits)),
            Op::I32(x) => {
                let x = self.b.ins().iconst(types::I32, i64::from(x as u32));
                self.fill(x, slot, to)
            }
            Op::Mask(x) => {
                let x = self.b.ins().iconst(types::I8, i64::from(x));
                match slot {
                    SCALAR => x,
                    _ => self.splat(x, Ty::Mask),
                }
            }
            Op::Load(o) => self.load(o, slot, at),
            Op::Index(o) => self.index(o, slot, at),
            // Set when the reduction ends.
            Op::Reduced(_) => return,
            Op::Un(un, a) => {
                let from = self.k.inst(a).ty;
                let a = self.get(a, slot);
                self.un(un, a, from, slot)
            }
            Op::Bin(bin, x, y) => {
                let (x, y) = (self.get(x, slot), self.get(y, slot));
                self.bin(bin, x, y, ty, slot)
            }
            Op::Fma(x, y, z) => {
                let (x, y, z) = (self.get(x, slot), self.get(y, slot), self.get(z, slot));
                if self.fma {
                    self.b.ins().fma(x, y, z)
                } else {
                    let product = self.b.ins().fmul(x, y);
                    self.b.ins().fadd(product, z)
                }
            }
            Op::Cmp(cmp, x, y) => {
                let operand = self.k.inst(x).ty;
                let (x, y) = (self.get(x, slot), self.get(y, slot));
                match operand {
                    Ty::I32 => self.b.ins().icmp(int_condition(cmp), x, y),
                    _ => self.b.ins().fcmp(float_condition(cmp), x, y),
                }
            }
            Op::Select(c, x, y) => {
                let (c, x, y) = (self.get(c, slot), self.get(x, slot), self.get(y, slot));
                self.choose(c, x, y, slot)
            }
            Op::Call(f, x, y) => {
                let mut args = vec![self.get(x, slot)];
                if let Some(y) = y {
                    args.push(self.get(y, slot));
                }
                self.call(f, &args, ty)
            }
        };
        self.env[slot][v.0 as usize] = Some(value);
    }

    pub(super) fn fill(&mut self, x: Value, slot: usize, ty: Type) -> Value {
        match slot {
            SCALAR => x,
            _ => self.b.ins().splat(ty, x),
        }
    }

    pub(super) fn choose(&mut self, c: Value, x: Value, y: Value, slot: usize) -> Value {
        if slot == SCALAR {
            return self.b.ins().select(c, x, y);
        }
        let ty = self.b.func.dfg.value_type(x);
        let c = match ty {
            types::I32X4 => c,
            _ => self.b.ins().bitcast(ty, same(), c),
        };
        self.b.ins().bitselect(c, x, y)
    }

    fn un(&mut self, un: Un, a: Value, from: Ty, slot: usize) -> Value {
        let int = from == Ty::I32;
        match un {
            Un::Neg if int => self.b.ins().ineg(a),
            Un::Neg => self.b.ins().fneg(a),
            Un::Abs if int => self.b.ins().iabs(a),
            Un::Abs => self.b.ins().fabs(a),
            Un::Sqrt => self.b.ins().sqrt(a),
            Un::Floor => self.b.ins().floor(a),
            Un::Ceil => self.b.ins().ceil(a),
            Un::Round => self.b.ins().nearest(a),
            Un::Not if slot == SCALAR => {
                let one = self.b.ins().iconst(types::I8, 1);
                self.b.ins().bxor(a, one)
            }
            Un::Not => self.b.ins().bnot(a),
            Un::Bits => {
                let to = if int { Ty::F32 } else { Ty::I32 };
                self.b.ins().bitcast(clif_type(to, slot), same(), a)
            }
            Un::ToF32 if int => self.b.ins().fcvt_from_sint(clif_type(Ty::F32, slot), a),
            Un::ToF32 => self.b.ins().fdemote(types::F32, a),
            Un::ToF64 if int => self.b.ins().fcvt_from_sint(types::F64, a),
            Un::ToF64 => self.b.ins().fpromote(types::F64, a),
            Un::ToI32 => self.b.ins().fcvt_to_sint_sat(clif_type(Ty::I32, slot), a),
            Un::Shl(by) => {
                let by = self.b.ins().iconst(types::I32, i64::from(by));
                self.b.ins().ishl(a, by)
            }
            Un::Sra(by) => {
                let by = self.b.ins().iconst(types::I32, i64::from(by));
                self.b.ins().sshr(a, by)
            }
        }
    }

    pub(super) fn bin(&mut self, bin: Bin, x: Value, y: Value, ty: Ty, slot: usize) -> Value {
        let int = ty == Ty::I32;
        match bin {
            Bin::Add if int => self.b.ins().iadd(x, y),
            Bin::Add => self.b.ins().fadd(x, y),
            Bin::Sub if int => self.b.ins().isub(x, y),
            Bin::Sub => self.b.ins().fsub(x, y),
            Bin::Mul if int => self.b.ins().imul(x, y),
            Bin::Mul => self.b.ins().fmul(x, y),
            Bin::Div if int => self.int_call(false, x, y),
            Bin::Div => self.b.ins().fdiv(x, y),
            Bin::Rem => self.int_call(true, x, y),
            Bin::Max if int => self.b.ins().smax(x, y),
            Bin::Min if int => self.b.ins().smin(x, y),
            // Cranelift makes one instruction of this form.
            Bin::Max => {
                let more = self.b.ins().fcmp(FloatCC::LessThan, y, x);
                self.choose(more, x, y, slot)
            }
            Bin::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
                self.choose(less, x, y, slot)
            }
            Bin::And => self.b.ins().band(x, y),
            Bin::Or => self.b.ins().bor(x, y),
            Bin::Scale => self.scale(x, y, slot),
        }
    }

    /// In two steps, for exponents that one float's exponent cannot hold.
    fn scale(&mut self, x: Value, n: Value, slot: usize) -> Value {
        let (f, i) = (clif_type(Ty::F32, slot), clif_type(Ty::I32, slot));
        let magic = 12_582_912.0f32;
        let m = self.b.ins().f32const(magic);
        let m = self.fill(m, slot, f);
        let moved = self.b.ins().fadd(n, m);
        let bits = self.b.ins().bitcast(i, same(), moved);
        let m = self.b.ins().iconst(types::I32, i64::from(magic.to_bits()));
        let m = self.fill(m, slot, i);
        let n = self.b.ins().isub(bits, m);
        let one = self.b.ins().iconst(types::I32, 1);
        let half = self.b.ins().sshr(n, one);
        let rest = self.b.ins().isub(n, half);
        let bias = self.b.ins().iconst(types::I32, 127);
        let bias = self.fill(bias, slot, i);
        let by = self.b.ins().iconst(types::I32, 23);
        [half, rest].into_iter().fold(x, |x, e| {
            let e = self.b.ins().iadd(e, bias);
            let e = self.b.ins().ishl(e, by);
            let power = self.b.ins().bitcast(f, same(), e);
            self.b.ins().fmul(x, power)
        })
    }

    fn int_call(&mut self, remainder: bool, x: Value, y: Value) -> Value {
        let sig = self.signature(types::I32, 2);
        let address = self.int(calls::address_int(remainder) as i64);
        let call = self.b.ins().call_indirect(sig, address, &[x, y]);
        self.b.inst_results(call)[0]
    }

    fn call(&mut self, f: Func, args: &[Value], ty: Ty) -> Value {
        let sig = self.signature(types::F64, args.len());
        let wide: Vec<Value> = args
            .iter()
            .map(|a| match ty {
                Ty::F32 => self.b.ins().fpromote(types::F64, *a),
                _ => *a,
            })
            .collect();
        let address = self.int(calls::address64(f) as i64);
        let call = self.b.ins().call_indirect(sig, address, &wide);
        let result = self.b.inst_results(call)[0];
        match ty {
            Ty::F32 => self.b.ins().fdemote(types::F32, result),
            _ => result,
        }
    }

    fn signature(&mut self, ty: Type, args: usize) -> SigRef {
        let mut s = Signature::new(self.b.func.signature.call_conv);
        s.params = vec![AbiParam::new(ty); args];
        s.returns.push(AbiParam::new(ty));
        self.b.func.import_signature(s)
    }

    fn load(&mut self, o: u16, slot: usize, at: &At) -> Value {
        let operand = self.k.operand(o);
        let address = at.get(o as usize).copied().flatten();
        let address = address.unwrap_or(self.line[o as usize]);
        if slot == SCALAR || operand.col == 0 {
            let one = match operand.elem {
                Elem::F32 => self.b.ins().load(types::F32, plain(), address, 0),
                Elem::F64 => self.b.ins().load(types::F64, plain(), address, 0),
                Elem::I32 => self.b.ins().load(types::I32, plain(), address, 0),
                Elem::U8 => self.b.ins().uload8(types::I32, plain(), address, 0),
                Elem::Bool => {
                    let byte = self.b.ins().load(types::I8, plain(), address, 0);
                    let zero = self.b.ins().iconst(types::I8, 0);
                    self.b.ins().icmp(IntCC::NotEqual, byte, zero)
                }
            };
            return match slot {
                SCALAR => one,
                _ => self.splat(one, vir::reg_type(operand.elem)),
            };
        }
        let offset = (slot * LANES * operand.elem.size()) as i32;
        match operand.elem {
            Elem::F32 => self.b.ins().load(types::F32X4, plain(), address, offset),
            Elem::I32 => self.b.ins().load(types::I32X4, plain(), address, offset),
            Elem::F64 => unreachable!("doubles are not vectors"),
            Elem::U8 | Elem::Bool => {
                let four = self.b.ins().load(types::I32, plain(), address, offset);
                let v = self.b.ins().scalar_to_vector(types::I32X4, four);
                let v = self.b.ins().bitcast(types::I8X16, same(), v);
                let v = self.b.ins().uwiden_low(v);
                let v = self.b.ins().uwiden_low(v);
                if operand.elem == Elem::U8 {
                    return v;
                }
                let zero = self.b.ins().iconst(types::I32, 0);
                let zero = self.b.ins().splat(types::I32X4, zero);
                self.b.ins().icmp(IntCC::NotEqual, v, zero)
            }
        }
    }

    fn index(&mut self, o: u16, slot: usize, at: &At) -> Value {
        let operand = self.k.operand(o);
        let address = at.get(o as usize).copied().flatten();
        let address = address.unwrap_or(self.line[o as usize]);
        let first = self.b.ins().ireduce(types::I32, address);
        if slot == SCALAR {
            return first;
        }
        let first = self.b.ins().splat(types::I32X4, first);
        let lanes = (0..LANES).map(|i| (slot * LANES + i) as i32 * operand.col as i32);
        let bytes: Vec<u8> = lanes.flat_map(i32::to_le_bytes).collect();
        let constant = self
            .b
            .func
            .dfg
            .constants
            .insert(ir::ConstantData::from(&bytes[..]));
        let lanes = self.b.ins().vconst(types::I32X4, constant);
        self.b.ins().iadd(first, lanes)
    }

    pub(super) fn store(&mut self, s: Store, slot: usize, at: &At) {
        let operand = self.k.operand(s.operand);
        let address = at[s.operand as usize].unwrap_or(self.line[s.operand as usize]);
        let value = self.get(s.value, slot);
        let offset = match slot {
            SCALAR => 0,
            _ => (slot * LANES * operand.elem.size()) as i32,
        };
        let value = match (slot, operand.elem) {
            (_, Elem::F32 | Elem::F64 | Elem::I32) | (SCALAR, Elem::Bool) => value,
            (SCALAR, Elem::U8) => self.b.ins().ireduce(types::I8, value),
            (_, Elem::U8 | Elem::Bool) => {
                let half = self.b.ins().snarrow(value, value);
                let bytes = match operand.elem {
                    Elem::U8 => self.b.ins().unarrow(half, half),
                    _ => {
                        let bytes = self.b.ins().snarrow(half, half);
                        let one = self.b.ins().iconst(types::I8, 1);
                        let one = self.b.ins().splat(types::I8X16, one);
                        self.b.ins().band(bytes, one)
                    }
                };
                let words = self.b.ins().bitcast(types::I32X4, same(), bytes);
                self.b.ins().extractlane(words, 0)
            }
        };
        self.b.ins().store(plain(), value, address, offset);
    }
}

fn int_condition(cmp: Cmp) -> IntCC {
    match cmp {
        Cmp::Eq => IntCC::Equal,
        Cmp::Ne => IntCC::NotEqual,
        Cmp::Lt => IntCC::SignedLessThan,
        Cmp::Le => IntCC::SignedLessThanOrEqual,
        Cmp::Gt => IntCC::SignedGreaterThan,
        Cmp::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

fn float_condition(cmp: Cmp) -> FloatCC {
    match cmp {
        Cmp::Eq => FloatCC::Equal,
        Cmp::Ne => FloatCC::NotEqual,
        Cmp::Lt => FloatCC::LessThan,
        Cmp::Le => FloatCC::LessThanOrEqual,
        Cmp::Gt => FloatCC::GreaterThan,
        Cmp::Ge => FloatCC::GreaterThanOrEqual,
    }
}
