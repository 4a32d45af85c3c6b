//! The loops of a kernel: over rows, or over groups of columns, and the passes within.

use iced_x86::{Code, Instruction, Register};

use super::assembler::{ADD, CMP, SUB};
use super::ops::{acc_needs_scratch, identity};
use super::regs::{Class, Registers, Uses};
use super::{At, Body, Emit, LANES, POINTERS, Result, TAIL, mem};
use crate::backend::fusion::vir::{Kernel, Level, Op, Orient, Stage, Store, Ty, V, each_arg};

impl Emit<'_> {
    pub(super) fn rows(&mut self) -> Result {
        let k = self.k;
        let (again, done) = (self.a.label(), self.a.label());
        self.a
            .regs(Code::Mov_r64_rm64, Register::RBX, Register::RSI)?;
        self.a
            .regs(Code::Test_rm64_r64, Register::RBX, Register::RBX)?;
        self.a.jump(Code::Je_rel8_64, done)?;
        self.a.here(again);
        let line = Body {
            slot: 0,
            masked: false,
            at: At::Line,
        };
        for stage in &k.stages {
            self.lines(&stage.line, &stage.line_stores, line)?;
            if stage.has_pass() {
                self.row_pass(stage)?;
            }
        }
        for (i, o) in k.operands.iter().enumerate().filter(|(_, o)| o.row != 0) {
            self.advance(self.line_slot(i), o.row)?;
        }
        self.a.reg(Code::Dec_rm64, Register::RBX)?;
        self.a.jump(Code::Jne_rel8_64, again)?;
        self.a.here(done);
        Ok(())
    }

    pub(super) fn row_pass(&mut self, stage: &Stage) -> Result {
        self.load_pointers(stage, false)?;
        let slots = self.slots(stage);
        let mut regs = Registers::new();
        let sums = self.start_sums(stage, slots, &mut regs)?;
        self.preload(stage, 1, &mut regs)?;
        let (wide, rest) = (self.a.label(), self.a.label());
        let done = self.a.label();
        self.a
            .regs(Code::Xor_r32_rm32, Register::ECX, Register::ECX)?;
        self.a.here(wide);
        self.a
            .lea(Register::RAX, Register::RCX, (LANES * slots) as i32)?;
        self.a
            .regs(Code::Cmp_r64_rm64, Register::RAX, Register::RDX)?;
        self.a.jump(Code::Ja_rel8_64, rest)?;
        for (slot, sums) in sums.iter().enumerate() {
            let body = Body {
                slot,
                masked: false,
                at: At::Point,
            };
            self.body(stage, body, &mut regs.clone(), sums)?;
        }
        self.a.imm(ADD, Register::RCX, (LANES * slots) as i32)?;
        self.a.jump(Code::Jmp_rel8_64, wide)?;
        self.a.here(rest);
        self.a
            .regs(Code::Mov_r64_rm64, Register::RAX, Register::RDX)?;
        self.a
            .regs(Code::Sub_r64_rm64, Register::RAX, Register::RCX)?;
        self.a.jump(Code::Jbe_rel8_64, done)?;
        self.tail_mask()?;
        let body = Body {
            slot: 0,
            masked: true,
            at: At::Point,
        };
        self.body(stage, body, &mut regs.clone(), &sums[0])?;
        self.a.imm(ADD, Register::RCX, LANES as i32)?;
        self.a.jump(Code::Jmp_rel8_64, rest)?;
        self.a.here(done);
        for (i, acc) in stage.accs.iter().enumerate() {
            let parts: Vec<Register> = sums.iter().map(|s| s[i]).collect();
            let total = self.fold(acc, &parts)?;
            self.butterfly(acc, total)?;
            self.keep_reduced(acc, 0, total)?;
        }
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Result {
        let slots = self
            .k
            .stages
            .iter()
            .map(|s| self.slots(s))
            .min()
            .unwrap_or(1);
        let (wide, rest) = (self.a.label(), self.a.label());
        let done = self.a.label();
        let step = (LANES * slots) as i32;
        self.a.here(wide);
        self.a.imm(CMP, Register::RDX, step)?;
        self.a.jump(Code::Jb_rel8_64, rest)?;
        self.column_group(slots, false)?;
        self.a.imm(SUB, Register::RDX, step)?;
        self.a.jump(Code::Jmp_rel8_64, wide)?;
        self.a.here(rest);
        self.a
            .regs(Code::Test_rm64_r64, Register::RDX, Register::RDX)?;
        self.a.jump(Code::Je_rel8_64, done)?;
        let again = self.a.label();
        self.a.here(again);
        self.a
            .regs(Code::Mov_r64_rm64, Register::RAX, Register::RDX)?;
        self.tail_mask()?;
        self.column_group(1, true)?;
        self.a.imm(SUB, Register::RDX, LANES as i32)?;
        self.a.jump(Code::Ja_rel8_64, again)?;
        self.a.here(done);
        Ok(())
    }

    /// All stages for the next `slots` vectors of columns.
    pub(super) fn column_group(&mut self, slots: usize, masked: bool) -> Result {
        let k = self.k;
        for stage in &k.stages {
            for slot in 0..slots {
                let line = Body {
                    slot,
                    masked,
                    at: At::Line,
                };
                self.lines(&stage.line, &stage.line_stores, line)?;
            }
            if !stage.has_pass() {
                continue;
            }
            self.load_pointers(stage, true)?;
            let mut regs = Registers::new();
            let sums = self.start_sums(stage, slots, &mut regs)?;
            self.preload(stage, slots, &mut regs)?;
            let (again, done) = (self.a.label(), self.a.label());
            self.a
                .regs(Code::Mov_r64_rm64, Register::RBX, Register::RSI)?;
            self.a
                .regs(Code::Test_rm64_r64, Register::RBX, Register::RBX)?;
            self.a.jump(Code::Je_rel8_64, done)?;
            self.a.here(again);
            for (slot, sums) in sums.iter().enumerate() {
                let body = Body {
                    slot,
                    masked,
                    at: At::Point,
                };
                self.body(stage, body, &mut regs.clone(), sums)?;
            }
            for o in operands_of(k, stage) {
                let row = k.operand(o).row;
                match self.pointers.get(&o) {
                    _ if row == 0 => {}
                    Some(&reg) => {
                        let add = Instruction::with2(Code::Add_rm64_imm32, reg, row as i32)?;
                        self.a.add(add);
                    }
                    None => self.advance(self.current_slot(usize::from(o)), row)?,
                }
            }
            self.a.reg(Code::Dec_rm64, Register::RBX)?;
            self.a.jump(Code::Jne_rel8_64, again)?;
            self.a.here(done);
            for (slot, sums) in sums.iter().enumerate() {
                for (acc, &sum) in stage.accs.iter().zip(sums) {
                    self.keep_reduced(acc, slot, sum)?;
                }
            }
        }
        for (i, o) in k.operands.iter().enumerate().filter(|(_, o)| o.col != 0) {
            self.advance(self.line_slot(i), o.col * (LANES * slots) as isize)?;
        }
        Ok(())
    }

    /// k7 = the mask of the lanes below rax.
    pub(super) fn tail_mask(&mut self) -> Result {
        let full = self.a.label();
        self.a.set(Register::R11D, -1)?;
        self.a.imm(CMP, Register::RAX, LANES as i32)?;
        self.a.jump(Code::Jae_rel8_64, full)?;
        self.op3(
            Code::VEX_Bzhi_r32_rm32_r32,
            Register::R11D,
            Register::R11D,
            Register::EAX,
        )?;
        self.a.here(full);
        self.op2(Code::VEX_Kmovw_kr_r32, TAIL, Register::R11D)
    }

    /// Values of a line (or of the kernel): each gets a home.
    pub(super) fn lines(&mut self, values: &[V], stores: &[Store], body: Body) -> Result {
        let uses = Uses::new(self.k, values, stores.iter().map(|s| s.value));
        let mut regs = Registers::new();
        for (at, &v) in values.iter().enumerate() {
            self.inst(v, at, body, &uses, &mut regs)?;
            let is_reduced = matches!(self.k.inst(v).op, Op::Reduced(_));
            if let (Some(reg), false) = (regs.of(v), is_reduced) {
                let home = self.home_of(v, body.slot);
                self.save(reg, home)?;
                regs.set_home(v);
            }
            regs.release(&uses, at);
        }
        for (i, s) in stores.iter().enumerate() {
            self.store(*s, values.len() + i, body, &uses, &mut regs)?;
        }
        Ok(())
    }

    /// The points of one vector.
    pub(super) fn body(
        &mut self,
        stage: &Stage,
        body: Body,
        regs: &mut Registers,
        sums: &[Register],
    ) -> Result {
        // Spills end with the body.
        let mark = self.next_home;
        let last = stage.accs.iter().map(|a| a.value);
        let last = last.chain(stage.stores.iter().map(|s| s.value));
        let uses = Uses::new(self.k, &stage.body, last);
        for (at, &v) in stage.body.iter().enumerate() {
            self.inst(v, at, body, &uses, regs)?;
            regs.release(&uses, at);
        }
        let mut at = stage.body.len();
        for (acc, &sum) in stage.accs.iter().zip(sums) {
            let v = self.read(acc.value, at, body, &uses, regs)?;
            let masked = body.masked && self.k.orient == Orient::Rows;
            let t = match acc_needs_scratch(acc) {
                true => Some(self.fresh(Class::Vector, at, &uses, regs)?),
                false => None,
            };
            self.accumulate(acc, sum, v, masked, t)?;
            if let Some(t) = t {
                regs.free(t);
            }
            regs.release(&uses, at);
            at += 1;
        }
        for s in &stage.stores {
            self.store(*s, at, body, &uses, regs)?;
            regs.release(&uses, at);
            at += 1;
        }
        self.next_home = mark;
        Ok(())
    }

    pub(super) fn start_sums(
        &mut self,
        stage: &Stage,
        slots: usize,
        regs: &mut Registers,
    ) -> Result<Vec<Vec<Register>>> {
        let mut sums = vec![Vec::new(); slots];
        for sums in &mut sums {
            for acc in &stage.accs {
                let reg = regs.reserve();
                let bits = identity(acc);
                match bits {
                    0 => self.op3(Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32, reg, reg, reg)?,
                    _ => {
                        self.a.set(Register::EAX, bits)?;
                        self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, reg, Register::EAX)?;
                    }
                }
                sums.push(reg);
            }
        }
        Ok(sums)
    }

    /// Loads what the body reads most and is not of the point, as far as registers go.
    pub(super) fn preload(&mut self, stage: &Stage, slots: usize, regs: &mut Registers) -> Result {
        let mut counts: Vec<(V, usize)> = Vec::new();
        let mut count = |v: V| {
            // Several groups of columns have several values of the line.
            let one = match self.k.level(v) {
                Level::Once => true,
                Level::Line => slots == 1,
                Level::Point => false,
            };
            if !one || self.k.inst(v).ty == Ty::Mask {
                return;
            }
            match counts.iter_mut().find(|c| c.0 == v) {
                Some(c) => c.1 += 1,
                None => counts.push((v, 1)),
            }
        };
        for &v in &stage.body {
            each_arg(self.k.inst(v).op, &mut count);
        }
        stage.accs.iter().for_each(|a| count(a.value));
        stage.stores.iter().for_each(|s| count(s.value));
        counts.sort_by_key(|c| std::cmp::Reverse(c.1));
        let last = stage.accs.iter().map(|a| a.value);
        let last = last.chain(stage.stores.iter().map(|s| s.value));
        let needed = Uses::new(self.k, &stage.body, last).pressure(self.k, &stage.body) + 3;
        let room = regs.available().saturating_sub(needed);
        for (v, _) in counts.into_iter().take(room) {
            let reg = regs.pin(v);
            let home = self.home_of(v, 0);
            self.get(
                Code::EVEX_Vmovups_zmm_k1z_zmmm512,
                reg,
                mem(Register::RSP, home),
            )?;
        }
        Ok(())
    }

    pub(super) fn load_pointers(&mut self, stage: &Stage, moving: bool) -> Result {
        self.pointers.clear();
        for (i, o) in operands_of(self.k, stage).into_iter().enumerate() {
            let line = self.line_slot(usize::from(o));
            match POINTERS.get(i) {
                Some(&reg) => {
                    self.pointers.insert(o, reg);
                    self.get(Code::Mov_r64_rm64, reg, line)?;
                }
                None if moving => {
                    self.get(Code::Mov_r64_rm64, Register::RAX, line)?;
                    let at = self.current_slot(usize::from(o));
                    self.put(Code::Mov_rm64_r64, &[], at, Register::RAX)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Operands that a pass touches, most used first.
fn operands_of(k: &Kernel, stage: &Stage) -> Vec<u16> {
    let mut list: Vec<u16> = stage
        .body
        .iter()
        .filter_map(|v| match k.inst(*v).op {
            Op::Load(o) | Op::Index(o) => Some(o),
            _ => None,
        })
        .chain(stage.stores.iter().map(|s| s.operand))
        .collect();
    list.sort_unstable();
    list.dedup();
    list
}
