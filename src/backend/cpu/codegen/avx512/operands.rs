//! Where values are while a kernel runs: addresses of operands, homes on the stack, registers.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::regs::{Class, Registers, Uses};
use super::{At, Body, Emit, HOME, LANES, Result, SLOTS, Source, Special, mem};
use crate::backend::fusion::vir::{Acc, Level, Op, Orient, Stage, Ty, V};

impl Emit<'_> {
    /// The address of operand `o` where `body` is.
    pub(super) fn address(&mut self, o: u16, body: Body) -> Result<MemoryOperand> {
        let operand = self.k.operand(o);
        let columns = self.k.orient == Orient::Columns;
        let (pointer, slot) = match (body.at, self.pointers.get(&o)) {
            (At::Point, Some(&reg)) => (reg, None),
            (At::Point, None) if columns => {
                (Register::RAX, Some(self.current_slot(usize::from(o))))
            }
            _ => (Register::RAX, Some(self.line_slot(usize::from(o)))),
        };
        if let Some(slot) = slot {
            self.get(Code::Mov_r64_rm64, Register::RAX, slot)?;
        }
        let moved = (body.slot * LANES) as i64 * operand.col as i64;
        Ok(match (body.at, columns) {
            (At::Point, false) if operand.col != 0 => MemoryOperand::new(
                pointer,
                Register::RCX,
                operand.elem.size() as u32,
                moved,
                1,
                false,
                Register::None,
            ),
            _ => mem(pointer, moved),
        })
    }

    pub(super) fn keep_reduced(&mut self, acc: &Acc, slot: usize, sum: Register) -> Result {
        for i in 0..self.k.insts.len() {
            let v = V(i as u32);
            if self.k.inst(v).op == Op::Reduced(acc.id) && self.homes.contains_key(&(v, 0)) {
                let home = self.home_of(v, slot);
                self.save(sum, home)?;
            }
        }
        Ok(())
    }

    /// A register that holds `v`.
    pub(super) fn read(
        &mut self,
        v: V,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result<Register> {
        if let Some(reg) = regs.of(v) {
            regs.lock(reg, at);
            return Ok(reg);
        }
        let class = match self.k.inst(v).ty {
            Ty::Mask => Class::Mask,
            _ => Class::Vector,
        };
        let home = match regs.spill(v) {
            Some(spilled) => spilled,
            None => self.home_of(v, self.home_slot(v, body)),
        };
        let reg = self.fresh(class, at, uses, regs)?;
        let from = mem(Register::RSP, home);
        match class {
            Class::Vector => self.get(Code::EVEX_Vmovups_zmm_k1z_zmmm512, reg, from)?,
            Class::Mask => self.get(Code::VEX_Kmovw_kr_km16, reg, from)?,
        }
        regs.set(v, reg);
        regs.set_home(v);
        regs.lock(reg, at);
        Ok(reg)
    }

    /// `v` as a last operand: a register, or its home.
    pub(super) fn source(
        &mut self,
        v: V,
        at: usize,
        body: Body,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result<Source> {
        let in_memory = regs.of(v).is_none()
            && regs.spill(v).is_none()
            && self.k.level(v) != Level::Point
            && self.k.inst(v).ty != Ty::Mask;
        if in_memory {
            return Ok(Source::Home(self.home_of(v, self.home_slot(v, body))));
        }
        Ok(Source::Reg(self.read(v, at, body, uses, regs)?))
    }

    /// A free register; evicts what is needed last.
    pub(super) fn fresh(
        &mut self,
        class: Class,
        at: usize,
        uses: &Uses,
        regs: &mut Registers,
    ) -> Result<Register> {
        if let Some(reg) = regs.take(class, at) {
            return Ok(reg);
        }
        let (v, reg) = regs.victim(class, at, uses);
        if !regs.has_home(v) && self.k.level(v) == Level::Point {
            let home = self.home();
            self.save(reg, home)?;
            regs.set_spill(v, home);
        }
        regs.evict(v);
        regs.claim(reg, at);
        Ok(reg)
    }

    /// Lines are by slot in columns only; what is of the kernel has one home.
    pub(super) fn home_slot(&self, v: V, body: Body) -> usize {
        match (self.k.orient, self.k.level(v)) {
            (Orient::Columns, Level::Line) => body.slot,
            _ => 0,
        }
    }

    pub(super) fn home_of(&mut self, v: V, slot: usize) -> i64 {
        let slot = match (self.k.orient, self.k.level(v)) {
            (Orient::Columns, Level::Line) => slot,
            _ => 0,
        };
        if let Some(&home) = self.homes.get(&(v, slot)) {
            return home;
        }
        let home = self.home();
        self.homes.insert((v, slot), home);
        home
    }

    pub(super) fn home(&mut self) -> i64 {
        let home = self.next_home;
        self.next_home += HOME as i64;
        home
    }

    pub(super) fn special(&self, special: Special) -> MemoryOperand {
        mem(Register::RSP, self.specials[&special])
    }

    pub(super) fn line_slot(&self, operand: usize) -> MemoryOperand {
        mem(Register::RSP, 8 + 8 * operand as i64)
    }

    pub(super) fn current_slot(&self, operand: usize) -> MemoryOperand {
        mem(
            Register::RSP,
            8 + 8 * (self.k.operands.len() + operand) as i64,
        )
    }

    pub(super) fn advance(&mut self, slot: MemoryOperand, by: isize) -> Result {
        let add = Instruction::with2(Code::Add_rm64_imm32, slot, by as i32)?;
        self.a.add(add);
        Ok(())
    }

    pub(super) fn save(&mut self, reg: Register, home: i64) -> Result {
        let to = mem(Register::RSP, home);
        match reg.is_k() {
            true => self.put(Code::VEX_Kmovw_m16_kr, &[], to, reg),
            false => self.put(Code::EVEX_Vmovups_zmmm512_k1z_zmm, &[], to, reg),
        }
    }

    pub(super) fn slots(&self, stage: &Stage) -> usize {
        match (stage.body.len(), stage.accs.len()) {
            (0..=24, 0..=2) => SLOTS,
            (0..=48, 0..=4) => 2,
            _ => 1,
        }
    }

    pub(super) fn op2(&mut self, code: Code, d: Register, x: Register) -> Result {
        self.a.add(Instruction::with2(code, d, x)?);
        Ok(())
    }
    pub(super) fn op3(&mut self, code: Code, d: Register, x: Register, y: Register) -> Result {
        self.a.add(Instruction::with3(code, d, x, y)?);
        Ok(())
    }
    pub(super) fn op3s(&mut self, code: Code, d: Register, x: Register, y: Source) -> Result {
        let i = match y {
            Source::Reg(y) => Instruction::with3(code, d, x, y)?,
            Source::Home(y) => Instruction::with3(code, d, x, mem(Register::RSP, y))?,
        };
        self.a.add(i);
        Ok(())
    }
    pub(super) fn get(&mut self, code: Code, d: Register, from: MemoryOperand) -> Result {
        self.a.add(Instruction::with2(code, d, from)?);
        Ok(())
    }
    pub(super) fn put(
        &mut self,
        code: Code,
        masks: &[Register],
        to: MemoryOperand,
        v: Register,
    ) -> Result {
        let mut i = Instruction::with2(code, to, v)?;
        masks.iter().for_each(|m| i.set_op_mask(*m));
        self.a.add(i);
        Ok(())
    }
}
