//! The wide emitter: kernels of the vector IR as AVX-512 machine code, sixteen lanes, through `iced-x86`.
//!
//! Same calling convention and results as the portable emitter, for kernels of 32-bit lanes over contiguous or
//! broadcast operands. Tails are masked, so there is no scalar code. A pass is a loop over several vectors without
//! masks, then one over single vectors with the mask of what is left (k7).
//!
//! Values that are not of the point live in *homes*, 64 bytes each on the stack; before a pass, those that it reads most are
//! loaded into registers, the others are memory operands. Within a body, registers are given out
//! in order, and the value whose next use is farthest is evicted (Belady), to a home if it has none.
//!
//! ```text
//! rdi table of operands   rsi rows   rdx columns left   rcx column   rbx rows left
//! rax, r11 scratch   rdi, rbp, r8-r10, r12-r15 operands of the pass
//! k1-k5 masks   k6 scratch   k7 the tail
//! ```

mod ops;
mod regs;

use iced_x86::code_asm::{CodeAssembler, registers as r};
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use rustc_hash::FxHashMap;

use super::vir::{
    Acc, Bin, Inst, Kernel, Level, Op, Operand, Orient, Stage, Store, Ty, Un, V, each_arg,
};
use crate::ir::Elem;
use ops::{acc_needs_scratch, identity};
use regs::{Class, Registers, Uses};

const LANES: usize = 16;
/// Vectors of one turn of an unmasked loop, at most.
const SLOTS: usize = 4;
/// Bytes of a home.
const HOME: usize = 64;
/// The most stack that a kernel may take.
const MAX_FRAME: i64 = 128 << 10;
/// Registers that hold operands' addresses in a pass.
const POINTERS: [Register; 9] = [
    Register::RDI,
    Register::RBP,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const TAIL: Register = Register::K7;
const SCRATCH_MASK: Register = Register::K6;

/// Whether this emitter can do `kernel`.
pub fn supports(k: &Kernel) -> bool {
    let near = |o: &Operand| {
        let far = |s: isize| i32::try_from(s * (LANES * SLOTS) as isize).is_err();
        !far(o.row) && !far(o.col)
    };
    let flat = |o: Operand| o.col == 0 || o.col == o.elem.size() as isize;
    let fits = |v: V| {
        let Inst { op, ty } = k.inst(v);
        match op {
            Op::Call(..) | Op::F64(_) => false,
            Op::Bin(Bin::Div | Bin::Rem, ..) => ty == Ty::F32,
            Op::Load(o) => flat(k.operand(o)),
            _ => ty != Ty::F64,
        }
    };
    let mut stores = k
        .stages
        .iter()
        .flat_map(|s| s.stores.iter().chain(&s.line_stores));
    frame(k) < MAX_FRAME
        && k.operands.iter().all(|o| near(o) && o.elem != Elem::F64)
        && k.live().all(fits)
        && stores.all(|s| flat(k.operand(s.operand)))
}

/// The machine code of `kernel`, for any address.
///
/// # Errors
/// What the encoder refuses.
pub fn emit(kernel: &Kernel) -> Result<Vec<u8>> {
    let mut e = Emit::new(kernel)?;
    e.function()?;
    e.a.assemble(0)
}

type Result<T = ()> = std::result::Result<T, iced_x86::IcedError>;

/// How memory is addressed where instructions are emitted.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// At the start of the line; a lane or a broadcast.
    Line,
    /// In a pass.
    Point,
}

/// What a body is emitted for.
#[derive(Clone, Copy)]
struct Body {
    slot: usize,
    masked: bool,
    at: At,
}

struct Emit<'a> {
    k: &'a Kernel,
    a: CodeAssembler,
    /// Homes by value and slot, in bytes from rsp.
    homes: FxHashMap<(V, usize), i64>,
    specials: FxHashMap<Special, i64>,
    next_home: i64,
    frame: i64,
    /// Registers that hold operands in the current pass.
    pointers: FxHashMap<u16, Register>,
}

/// Vectors of constants that no instruction names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Special {
    Sign,
    NotSign,
    One,
    MaxInt,
    TwoTo31,
    /// Lane numbers times a stride.
    Lanes(i32),
}

impl<'a> Emit<'a> {
    fn new(k: &'a Kernel) -> Result<Emit<'a>> {
        let tables = 2 * 8 * k.operands.len() as i64;
        let mut e = Emit {
            k,
            a: CodeAssembler::new(64)?,
            homes: FxHashMap::default(),
            specials: FxHashMap::default(),
            next_home: (8 + tables + 63) & !63,
            frame: frame(k),
            pointers: FxHashMap::default(),
        };
        for v in k.live().filter(|v| k.level(*v) != Level::Point) {
            (0..SLOTS).for_each(|slot| {
                e.home_of(v, slot);
            });
        }
        Ok(e)
    }

    fn function(&mut self) -> Result {
        let saved = [r::rbx, r::rbp, r::r12, r::r13, r::r14, r::r15];
        for reg in saved {
            self.a.push(reg)?;
        }
        self.a.mov(r::rax, r::rsp)?;
        self.a.sub(r::rsp, self.frame as i32)?;
        self.a.and(r::rsp, -64)?;
        self.put(
            Code::Mov_rm64_r64,
            &[],
            mem(Register::RSP, 0),
            Register::RAX,
        )?;
        for i in 0..self.k.operands.len() {
            self.get(
                Code::Mov_r64_rm64,
                Register::RAX,
                mem(Register::RDI, 8 * i as i64),
            )?;
            self.put(Code::Mov_rm64_r64, &[], self.line_slot(i), Register::RAX)?;
        }
        self.constants()?;
        let once = Body {
            slot: 0,
            masked: false,
            at: At::Line,
        };
        self.lines(&self.k.once, &[], once)?;
        match self.k.orient {
            Orient::Rows => self.rows()?,
            Orient::Columns => self.columns()?,
        }
        self.get(Code::Mov_r64_rm64, Register::RSP, mem(Register::RSP, 0))?;
        for reg in saved.into_iter().rev() {
            self.a.pop(reg)?;
        }
        self.a.vzeroupper()?;
        self.a.ret()
    }

    /// Fills the homes of the special constants that the kernel needs.
    fn constants(&mut self) -> Result {
        let mut needed = Vec::new();
        for v in self.k.live() {
            match self.k.inst(v).op {
                Op::Un(Un::Neg, a) if self.k.inst(a).ty == Ty::F32 => needed.push(Special::Sign),
                Op::Un(Un::Abs, a) if self.k.inst(a).ty == Ty::F32 => needed.push(Special::NotSign),
                Op::Un(Un::ToI32, _) => needed.extend([Special::MaxInt, Special::TwoTo31]),
                Op::Index(o) => needed.push(Special::Lanes(self.k.operand(o).col as i32)),
                _ => {}
            }
        }
        if self.k.operands.iter().any(|o| o.elem == Elem::Bool) {
            needed.push(Special::One);
        }
        for special in needed {
            if self.specials.contains_key(&special) {
                continue;
            }
            let home = self.home();
            self.specials.insert(special, home);
            let lane = |i: i32| match special {
                Special::Sign => i32::MIN,
                Special::NotSign | Special::MaxInt => i32::MAX,
                Special::One => 1,
                Special::TwoTo31 => 2147483648.0f32.to_bits() as i32,
                Special::Lanes(stride) => i.wrapping_mul(stride),
            };
            if let Special::Lanes(_) = special {
                for i in 0..LANES as i32 {
                    let at = mem(Register::RSP, home + 4 * i64::from(i));
                    self.a.add_instruction(Instruction::with2(
                        Code::Mov_rm32_imm32,
                        at,
                        lane(i),
                    )?)?;
                }
            } else {
                self.a.mov(r::eax, lane(0))?;
                self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, zmm(0), Register::EAX)?;
                self.put(
                    Code::EVEX_Vmovups_zmmm512_k1z_zmm,
                    &[],
                    mem(Register::RSP, home),
                    zmm(0),
                )?;
            }
        }
        Ok(())
    }

    fn rows(&mut self) -> Result {
        let k = self.k;
        let (mut again, mut done) = (self.a.create_label(), self.a.create_label());
        self.a.mov(r::rbx, r::rsi)?;
        self.a.test(r::rbx, r::rbx)?;
        self.a.jz(done)?;
        self.a.set_label(&mut again)?;
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
        self.a.dec(r::rbx)?;
        self.a.jnz(again)?;
        self.a.set_label(&mut done)
    }

    fn row_pass(&mut self, stage: &Stage) -> Result {
        self.load_pointers(stage, false)?;
        let slots = self.slots(stage);
        let mut regs = Registers::new();
        let sums = self.start_sums(stage, slots, &mut regs)?;
        self.preload(stage, 1, &mut regs)?;
        let (mut wide, mut rest) = (self.a.create_label(), self.a.create_label());
        let mut done = self.a.create_label();
        self.a.xor(r::ecx, r::ecx)?;
        self.a.set_label(&mut wide)?;
        self.a.lea(r::rax, r::rcx + (LANES * slots) as i32)?;
        self.a.cmp(r::rax, r::rdx)?;
        self.a.ja(rest)?;
        for (slot, sums) in sums.iter().enumerate() {
            let body = Body {
                slot,
                masked: false,
                at: At::Point,
            };
            self.body(stage, body, &mut regs.clone(), sums)?;
        }
        self.a.add(r::rcx, (LANES * slots) as i32)?;
        self.a.jmp(wide)?;
        self.a.set_label(&mut rest)?;
        self.a.mov(r::rax, r::rdx)?;
        self.a.sub(r::rax, r::rcx)?;
        self.a.jbe(done)?;
        self.tail_mask()?;
        let body = Body {
            slot: 0,
            masked: true,
            at: At::Point,
        };
        self.body(stage, body, &mut regs.clone(), &sums[0])?;
        self.a.add(r::rcx, LANES as i32)?;
        self.a.jmp(rest)?;
        self.a.set_label(&mut done)?;
        for (i, acc) in stage.accs.iter().enumerate() {
            let parts: Vec<Register> = sums.iter().map(|s| s[i]).collect();
            let total = self.fold(acc, &parts)?;
            self.butterfly(acc, total)?;
            self.keep_reduced(acc, 0, total)?;
        }
        Ok(())
    }

    fn columns(&mut self) -> Result {
        let slots = self
            .k
            .stages
            .iter()
            .map(|s| self.slots(s))
            .min()
            .unwrap_or(1);
        let (mut wide, mut rest) = (self.a.create_label(), self.a.create_label());
        let mut done = self.a.create_label();
        let step = (LANES * slots) as i32;
        self.a.set_label(&mut wide)?;
        self.a.cmp(r::rdx, step)?;
        self.a.jb(rest)?;
        self.column_group(slots, false)?;
        self.a.sub(r::rdx, step)?;
        self.a.jmp(wide)?;
        self.a.set_label(&mut rest)?;
        self.a.test(r::rdx, r::rdx)?;
        self.a.jz(done)?;
        let mut again = self.a.create_label();
        self.a.set_label(&mut again)?;
        self.a.mov(r::rax, r::rdx)?;
        self.tail_mask()?;
        self.column_group(1, true)?;
        self.a.sub(r::rdx, LANES as i32)?;
        self.a.ja(again)?;
        self.a.set_label(&mut done)
    }

    /// All stages for the next `slots` vectors of columns.
    fn column_group(&mut self, slots: usize, masked: bool) -> Result {
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
            let (mut again, mut done) = (self.a.create_label(), self.a.create_label());
            self.a.mov(r::rbx, r::rsi)?;
            self.a.test(r::rbx, r::rbx)?;
            self.a.jz(done)?;
            self.a.set_label(&mut again)?;
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
                        self.a.add_instruction(add)?;
                    }
                    None => self.advance(self.current_slot(usize::from(o)), row)?,
                }
            }
            self.a.dec(r::rbx)?;
            self.a.jnz(again)?;
            self.a.set_label(&mut done)?;
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
    fn tail_mask(&mut self) -> Result {
        let mut full = self.a.create_label();
        self.a.mov(r::r11d, -1)?;
        self.a.cmp(r::rax, LANES as i32)?;
        self.a.jae(full)?;
        self.a.bzhi(r::r11d, r::r11d, r::eax)?;
        self.a.set_label(&mut full)?;
        self.a.kmovw(r::k7, r::r11d)
    }

    /// Values of a line (or of the kernel): each gets a home.
    fn lines(&mut self, values: &[V], stores: &[Store], body: Body) -> Result {
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
    fn body(
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

    fn start_sums(
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
                        self.a.mov(r::eax, bits)?;
                        self.op2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, reg, Register::EAX)?;
                    }
                }
                sums.push(reg);
            }
        }
        Ok(sums)
    }

    /// Loads what the body reads most and is not of the point, as far as registers go.
    fn preload(&mut self, stage: &Stage, slots: usize, regs: &mut Registers) -> Result {
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

    fn load_pointers(&mut self, stage: &Stage, moving: bool) -> Result {
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

    /// The address of operand `o` where `body` is.
    fn address(&mut self, o: u16, body: Body) -> Result<MemoryOperand> {
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

    fn keep_reduced(&mut self, acc: &Acc, slot: usize, sum: Register) -> Result {
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
    fn read(
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
    fn source(
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
    fn fresh(
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
    fn home_slot(&self, v: V, body: Body) -> usize {
        match (self.k.orient, self.k.level(v)) {
            (Orient::Columns, Level::Line) => body.slot,
            _ => 0,
        }
    }

    fn home_of(&mut self, v: V, slot: usize) -> i64 {
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

    fn home(&mut self) -> i64 {
        let home = self.next_home;
        self.next_home += HOME as i64;
        home
    }

    fn special(&self, special: Special) -> MemoryOperand {
        mem(Register::RSP, self.specials[&special])
    }

    fn line_slot(&self, operand: usize) -> MemoryOperand {
        mem(Register::RSP, 8 + 8 * operand as i64)
    }

    fn current_slot(&self, operand: usize) -> MemoryOperand {
        mem(
            Register::RSP,
            8 + 8 * (self.k.operands.len() + operand) as i64,
        )
    }

    fn advance(&mut self, slot: MemoryOperand, by: isize) -> Result {
        let add = Instruction::with2(Code::Add_rm64_imm32, slot, by as i32)?;
        self.a.add_instruction(add)
    }

    fn save(&mut self, reg: Register, home: i64) -> Result {
        let to = mem(Register::RSP, home);
        match reg.is_k() {
            true => self.put(Code::VEX_Kmovw_m16_kr, &[], to, reg),
            false => self.put(Code::EVEX_Vmovups_zmmm512_k1z_zmm, &[], to, reg),
        }
    }

    fn slots(&self, stage: &Stage) -> usize {
        match (stage.body.len(), stage.accs.len()) {
            (0..=24, 0..=2) => SLOTS,
            (0..=48, 0..=4) => 2,
            _ => 1,
        }
    }

    fn op2(&mut self, code: Code, d: Register, x: Register) -> Result {
        self.a.add_instruction(Instruction::with2(code, d, x)?)
    }
    fn op3(&mut self, code: Code, d: Register, x: Register, y: Register) -> Result {
        self.a.add_instruction(Instruction::with3(code, d, x, y)?)
    }
    fn op3s(&mut self, code: Code, d: Register, x: Register, y: Source) -> Result {
        let i = match y {
            Source::Reg(y) => Instruction::with3(code, d, x, y)?,
            Source::Home(y) => Instruction::with3(code, d, x, mem(Register::RSP, y))?,
        };
        self.a.add_instruction(i)
    }
    fn get(&mut self, code: Code, d: Register, from: MemoryOperand) -> Result {
        self.a.add_instruction(Instruction::with2(code, d, from)?)
    }
    fn put(&mut self, code: Code, masks: &[Register], to: MemoryOperand, v: Register) -> Result {
        let mut i = Instruction::with2(code, to, v)?;
        masks.iter().for_each(|m| i.set_op_mask(*m));
        self.a.add_instruction(i)
    }
}

/// Bytes of stack: tables of addresses, homes of what is not of the point, special constants, spills of one body.
fn frame(k: &Kernel) -> i64 {
    let kept = k.live().filter(|v| k.level(*v) != Level::Point).count();
    let bodies = k.stages.iter().map(|s| s.body.len() + 8).max().unwrap_or(0);
    let homes = kept * SLOTS + 8 + k.operands.len() + bodies;
    (homes * HOME + 16 * k.operands.len() + 128) as i64
}

/// A last operand.
#[derive(Clone, Copy)]
enum Source {
    Reg(Register),
    Home(i64),
}

fn mem(base: Register, displacement: i64) -> MemoryOperand {
    MemoryOperand::with_base_displ(base, displacement)
}

fn zmm(i: u32) -> Register {
    Register::ZMM0 + i
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
