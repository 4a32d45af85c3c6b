//! One instruction of the vector IR as machine instructions; sums within and across vectors.

use iced_x86::{Code, Instruction, Register};

use super::regs::{Class, Registers, Uses};
use super::{At, Body, Emit, LANES, Result, SCRATCH_MASK, Source, Special, TAIL, mem, zmm};
use crate::backend::fusion::vir::{Acc, Bin, Cmp, Inst, Op, Orient, Store, Ty, Un, V};
use crate::ir::Elem;
use crate::ir::prim::Reduce;

impl Emit<'_> {
    pub(super) fn inst(
        &mut self,
        v: V,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result {
        let Inst { op, ty } = self.k.inst(v);
        let class = if ty == Ty::Mask {
            Class::Mask
        } else {
            Class::Vector
        };
        match op {
            Op::Reduced(_) => Ok(()),
            Op::F32(bits) => self.constant(v, bits as i32, at, uses, regs),
            Op::I32(x) => self.constant(v, x, at, uses, regs),
            Op::Mask(x) => {
                let d = self.fresh(class, at, uses, regs)?;
                let code = if x {
                    Code::VEX_Kxnorw_kr_kr_kr
                } else {
                    Code::VEX_Kxorw_kr_kr_kr
                };
                self.op3(code, d, d, d)?;
                regs.set(v, d);
                Ok(())
            }
            Op::F64(_) | Op::Call(..) => unreachable!("refused by `supports`"),
            Op::Load(o) => self.load(v, o, at, body, uses, regs),
            Op::Index(o) => self.index(v, o, at, body, uses, regs),
            Op::Un(un, x) => {
                let x_ty = self.k.inst(x).ty;
                let x = self.read(x, at, body, uses, regs)?;
                let d = self.fresh(class, at, uses, regs)?;
                self.un(un, d, x, x_ty)?;
                regs.set(v, d);
                Ok(())
            }
            Op::Bin(bin, x, y) => {
                let x = self.read(x, at, body, uses, regs)?;
                if class == Class::Mask {
                    let y = self.read(y, at, body, uses, regs)?;
                    let d = self.fresh(class, at, uses, regs)?;
                    let code = match bin {
                        Bin::Or => Code::VEX_Korw_kr_kr_kr,
                        _ => Code::VEX_Kandw_kr_kr_kr,
                    };
                    self.op3(code, d, x, y)?;
                    regs.set(v, d);
                    return Ok(());
                }
                let y = self.source(y, at, body, uses, regs)?;
                let d = self.fresh(class, at, uses, regs)?;
                self.op3s(bin_code(bin, ty), d, x, y)?;
                regs.set(v, d);
                Ok(())
            }
            Op::Fma(x, y, z) => {
                let (rx, ry) = (
                    self.read(x, at, body, uses, regs)?,
                    self.read(y, at, body, uses, regs)?,
                );
                let dies = |v: V, regs: &Registers| uses.dies(v, at) && !regs.is_pinned(v);
                if dies(z, regs) && regs.of(z).is_some() && z != x && z != y {
                    let rz = self.read(z, at, body, uses, regs)?;
                    self.op3(Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er, rz, rx, ry)?;
                    regs.rename(z, v);
                    return Ok(());
                }
                let sz = self.source(z, at, body, uses, regs)?;
                for (dying, other) in [(x, ry), (y, rx)] {
                    let twice = x == y || dying == z;
                    if dies(dying, regs) && !twice {
                        let d = self.read(dying, at, body, uses, regs)?;
                        self.op3s(
                            Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
                            d,
                            other,
                            sz,
                        )?;
                        regs.rename(dying, v);
                        return Ok(());
                    }
                }
                let d = self.fresh(class, at, uses, regs)?;
                self.op2(Code::EVEX_Vmovaps_zmm_k1z_zmmm512, d, rx)?;
                self.op3s(Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er, d, ry, sz)?;
                regs.set(v, d);
                Ok(())
            }
            Op::Cmp(cmp, x, y) => {
                let x_ty = self.k.inst(x).ty;
                let x = self.read(x, at, body, uses, regs)?;
                let y = self.source(y, at, body, uses, regs)?;
                let d = self.fresh(class, at, uses, regs)?;
                let (code, how) = match x_ty {
                    Ty::I32 => (
                        Code::EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8,
                        int_predicate(cmp),
                    ),
                    _ => (
                        Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae,
                        float_predicate(cmp),
                    ),
                };
                let i = match y {
                    Source::Reg(y) => Instruction::with4(code, d, x, y, how)?,
                    Source::Home(y) => Instruction::with4(code, d, x, mem(Register::RSP, y), how)?,
                };
                self.a.add(i);
                regs.set(v, d);
                Ok(())
            }
            Op::Select(c, x, y) => {
                let c = self.read(c, at, body, uses, regs)?;
                let y = self.read(y, at, body, uses, regs)?;
                let x = self.source(x, at, body, uses, regs)?;
                let d = self.fresh(class, at, uses, regs)?;
                let code = Code::EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32;
                let mut i = match x {
                    Source::Reg(x) => Instruction::with3(code, d, y, x)?,
                    Source::Home(x) => Instruction::with3(code, d, y, mem(Register::RSP, x))?,
                };
                i.set_op_mask(c);
                self.a.add(i);
                regs.set(v, d);
                Ok(())
            }
        }
    }

    fn constant(
        &mut self,
        v: V,
        bits: i32,
        at: usize,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result {
        let d = self.fresh(Class::Vector, at, uses, regs)?;
        if bits == 0 {
            self.op3(Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32, d, d, d)?;
        } else {
            self.a.set(Register::EAX, bits)?;
            self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, d, Register::EAX)?;
        }
        regs.set(v, d);
        Ok(())
    }

    fn un(&mut self, un: Un, d: Register, x: Register, from: Ty) -> Result {
        let int = from == Ty::I32;
        let xor = Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32;
        let round = |e: &mut Self, how: u32| {
            let code = Code::EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae;
            e.a.add(Instruction::with3(code, d, x, how)?);
            Ok(())
        };
        match un {
            Un::Neg if int => {
                self.op3(xor, d, d, d)?;
                self.op3(Code::EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32, d, d, x)
            }
            Un::Neg => {
                let sign = self.special(Special::Sign);
                self.a.add(Instruction::with3(xor, d, x, sign)?);
                Ok(())
            }
            Un::Abs if int => self.op2(Code::EVEX_Vpabsd_zmm_k1z_zmmm512b32, d, x),
            Un::Abs => {
                let rest = self.special(Special::NotSign);
                let and = Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32;
                self.a.add(Instruction::with3(and, d, x, rest)?);
                Ok(())
            }
            Un::Sqrt => self.op2(Code::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er, d, x),
            Un::Floor => round(self, 9),
            Un::Ceil => round(self, 10),
            Un::Round => round(self, 8),
            Un::Not => self.op2(Code::VEX_Knotw_kr_kr, d, x),
            Un::Bits => self.op2(Code::EVEX_Vmovaps_zmm_k1z_zmmm512, d, x),
            Un::ToF32 => self.op2(Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er, d, x),
            Un::ToI32 => {
                // What does not fit comes out as the least integer: corrected for large numbers and NaN.
                self.op2(Code::EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae, d, x)?;
                let compare = Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
                let (limit, most) = (
                    self.special(Special::TwoTo31),
                    self.special(Special::MaxInt),
                );
                self.a
                    .add(Instruction::with4(compare, SCRATCH_MASK, x, limit, 13)?);
                let load = Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512;
                let mut large = Instruction::with2(load, d, most)?;
                large.set_op_mask(SCRATCH_MASK);
                self.a.add(large);
                self.a
                    .add(Instruction::with4(compare, SCRATCH_MASK, x, x, 3)?);
                let mut zero = Instruction::with3(xor, d, d, d)?;
                zero.set_op_mask(SCRATCH_MASK);
                self.a.add(zero);
                Ok(())
            }
            Un::Shl(by) => {
                let code = Code::EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8;
                self.a.add(Instruction::with3(code, d, x, u32::from(by))?);
                Ok(())
            }
            Un::Sra(by) => {
                let code = Code::EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8;
                self.a.add(Instruction::with3(code, d, x, u32::from(by))?);
                Ok(())
            }
            Un::ToF64 => unreachable!("refused by `supports`"),
        }
    }

    fn load(
        &mut self,
        v: V,
        o: u16,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result {
        let operand = self.k.operand(o);
        let t = self.fresh(Class::Vector, at, uses, regs)?;
        let from = self.address(o, body)?;
        if operand.col == 0 {
            match operand.elem {
                Elem::F32 | Elem::I32 => {
                    self.get(Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32, t, from)?;
                }
                _ => {
                    self.get(Code::Movzx_r32_rm8, Register::EAX, from)?;
                    self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, t, Register::EAX)?;
                }
            }
        } else {
            let code = match operand.elem {
                Elem::F32 | Elem::I32 => Code::EVEX_Vmovups_zmm_k1z_zmmm512,
                _ => Code::EVEX_Vpmovzxbd_zmm_k1z_xmmm128,
            };
            let mut i = Instruction::with2(code, t, from)?;
            if body.masked {
                i.set_op_mask(TAIL);
                i.set_zeroing_masking(true);
            }
            self.a.add(i);
        }
        if operand.elem != Elem::Bool {
            regs.set(v, t);
            return Ok(());
        }
        let d = self.fresh(Class::Mask, at, uses, regs)?;
        self.op3(Code::EVEX_Vptestmd_kr_k1_zmm_zmmm512b32, d, t, t)?;
        regs.free(t);
        regs.set(v, d);
        Ok(())
    }

    fn index(
        &mut self,
        v: V,
        o: u16,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result {
        let col = self.k.operand(o).col as i32;
        let d = self.fresh(Class::Vector, at, uses, regs)?;
        let columns = self.k.orient == Orient::Columns;
        match (body.at, self.pointers.get(&o)) {
            (At::Point, Some(&reg)) => {
                self.a
                    .add(Instruction::with2(Code::Mov_r64_rm64, Register::RAX, reg)?);
            }
            (At::Point, None) if columns => {
                let slot = self.current_slot(usize::from(o));
                self.get(Code::Mov_r64_rm64, Register::RAX, slot)?;
            }
            _ => self.get(
                Code::Mov_r64_rm64,
                Register::RAX,
                self.line_slot(usize::from(o)),
            )?,
        }
        if body.at == At::Point && !columns && col != 0 {
            let scaled = Instruction::with3(
                Code::Imul_r32_rm32_imm32,
                Register::R11D,
                Register::ECX,
                col,
            )?;
            self.a.add(scaled);
            self.op2(Code::Add_r32_rm32, Register::EAX, Register::R11D)?;
        }
        let moved = (body.slot * LANES) as i32 * col;
        if moved != 0 {
            self.a.add(Instruction::with2(
                Code::Add_rm32_imm32,
                Register::EAX,
                moved,
            )?);
        }
        self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, d, Register::EAX)?;
        let lanes = self.special(Special::Lanes(col));
        let add = Code::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32;
        self.a.add(Instruction::with3(add, d, d, lanes)?);
        regs.set(v, d);
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        s: Store,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result {
        let operand = self.k.operand(s.operand);
        let mut v = self.read(s.value, at, body, uses, regs)?;
        let mut temporary = None;
        if operand.elem == Elem::Bool {
            let t = self.fresh(Class::Vector, at, uses, regs)?;
            let one = self.special(Special::One);
            let mut i = Instruction::with2(Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512, t, one)?;
            i.set_op_mask(v);
            i.set_zeroing_masking(true);
            self.a.add(i);
            (v, temporary) = (t, Some(t));
        }
        // A line's value in rows is the same in all lanes: one of them is stored.
        let single = body.at == At::Line && self.k.orient == Orient::Rows;
        let mask = match (single, body.masked) {
            (true, _) => {
                self.a.set(Register::EAX, 1)?;
                self.op2(Code::VEX_Kmovw_kr_r32, SCRATCH_MASK, Register::EAX)?;
                vec![SCRATCH_MASK]
            }
            (false, true) => vec![TAIL],
            (false, false) => vec![],
        };
        let to = self.address(s.operand, body)?;
        let code = match operand.elem {
            Elem::F32 | Elem::I32 => Code::EVEX_Vmovups_zmmm512_k1z_zmm,
            _ => Code::EVEX_Vpmovdb_xmmm128_k1z_zmm,
        };
        self.put(code, &mask, to, v)?;
        if let Some(t) = temporary {
            regs.free(t);
        }
        Ok(())
    }

    pub(super) fn accumulate(
        &mut self,
        acc: &Acc,
        sum: Register,
        v: Register,
        masked: bool,
        scratch: Option<Register>,
    ) -> Result {
        let bin = match acc.op {
            Reduce::Sum => Bin::Add,
            Reduce::Prod => Bin::Mul,
            Reduce::Max => Bin::Max,
            Reduce::Min => Bin::Min,
        };
        let code = bin_code(bin, acc.ty);
        let masks: &[Register] = if masked { &[TAIL] } else { &[] };
        let Some(t) = scratch else {
            let mut i = Instruction::with3(code, sum, sum, v)?;
            masks.iter().for_each(|m| i.set_op_mask(*m));
            self.a.add(i);
            return Ok(());
        };
        // NaN stays once it is there.
        self.op3(code, t, sum, v)?;
        let compare = Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
        self.a
            .add(Instruction::with4(compare, SCRATCH_MASK, sum, sum, 3)?);
        let mov = Code::EVEX_Vmovaps_zmm_k1z_zmmm512;
        let mut keep = Instruction::with2(mov, t, sum)?;
        keep.set_op_mask(SCRATCH_MASK);
        self.a.add(keep);
        let mut i = Instruction::with2(mov, sum, t)?;
        masks.iter().for_each(|m| i.set_op_mask(*m));
        self.a.add(i);
        Ok(())
    }

    /// Pairs of slots into one.
    pub(super) fn fold(&mut self, acc: &Acc, parts: &[Register]) -> Result<Register> {
        let mut parts = parts.to_vec();
        // The pass is over: registers outside the sums are free.
        let t = acc_needs_scratch(acc).then(|| zmm(31));
        while parts.len() > 1 {
            for pair in parts.chunks(2) {
                if let [x, y] = *pair {
                    self.accumulate(acc, x, y, false, t)?;
                }
            }
            parts = parts.iter().copied().step_by(2).collect();
        }
        Ok(parts[0])
    }

    /// The sum over the lanes, in every lane.
    pub(super) fn butterfly(&mut self, acc: &Acc, sum: Register) -> Result {
        let t = acc_needs_scratch(acc).then(|| zmm(31));
        let other = zmm(30);
        for step in 0..4 {
            let i = match step {
                0 | 1 => {
                    let how = if step == 0 { 0x4e } else { 0xb1 };
                    let code = Code::EVEX_Vshuff64x2_zmm_k1z_zmm_zmmm512b64_imm8;
                    Instruction::with4(code, other, sum, sum, how)?
                }
                _ => {
                    let how = if step == 2 { 0x4e } else { 0xb1 };
                    Instruction::with3(
                        Code::EVEX_Vpermilps_zmm_k1z_zmmm512b32_imm8,
                        other,
                        sum,
                        how,
                    )?
                }
            };
            self.a.add(i);
            self.accumulate(acc, sum, other, false, t)?;
        }
        Ok(())
    }
}

pub(super) fn acc_needs_scratch(acc: &Acc) -> bool {
    acc.ty == Ty::F32 && matches!(acc.op, Reduce::Max | Reduce::Min)
}

fn bin_code(bin: Bin, ty: Ty) -> Code {
    let int = ty == Ty::I32;
    match bin {
        Bin::Add if int => Code::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32,
        Bin::Add => Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
        Bin::Sub if int => Code::EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32,
        Bin::Sub => Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
        Bin::Mul if int => Code::EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32,
        Bin::Mul => Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
        Bin::Max if int => Code::EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32,
        Bin::Max => Code::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
        Bin::Min if int => Code::EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32,
        Bin::Min => Code::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
        Bin::And => Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
        Bin::Or => Code::EVEX_Vpord_zmm_k1z_zmm_zmmm512b32,
        Bin::Scale => Code::EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er,
        Bin::Div => Code::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
        Bin::Rem => unreachable!("refused by `supports`"),
    }
}

fn int_predicate(cmp: Cmp) -> u32 {
    match cmp {
        Cmp::Eq => 0,
        Cmp::Lt => 1,
        Cmp::Le => 2,
        Cmp::Ne => 4,
        Cmp::Ge => 5,
        Cmp::Gt => 6,
    }
}

fn float_predicate(cmp: Cmp) -> u32 {
    match cmp {
        Cmp::Eq => 0,
        Cmp::Lt => 1,
        Cmp::Le => 2,
        Cmp::Ne => 4,
        Cmp::Ge => 13,
        Cmp::Gt => 14,
    }
}

pub(super) fn identity(acc: &Acc) -> i32 {
    let x = match acc.op {
        Reduce::Sum => 0.0f32,
        Reduce::Prod => 1.0,
        Reduce::Max => f32::NEG_INFINITY,
        Reduce::Min => f32::INFINITY,
    };
    match acc.ty {
        Ty::F32 => x.to_bits() as i32,
        // Saturates to the least and the greatest.
        _ => x as i32,
    }
}
