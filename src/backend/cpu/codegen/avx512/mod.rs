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

mod assembler;
mod loops;
mod operands;
mod ops;
mod regs;

use iced_x86::{Code, Instruction, MemoryOperand, Register};
use rustc_hash::FxHashMap;

use self::assembler::{AND, Assembler, SUB};
use crate::backend::fusion::vir::{Bin, Inst, Kernel, Level, Op, Operand, Orient, Ty, Un, V};
use crate::ir::Elem;

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
pub(super) fn supports(k: &Kernel) -> bool {
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
pub(super) fn emit(kernel: &Kernel) -> Result<Vec<u8>> {
    let mut e = Emit::new(kernel);
    e.function()?;
    e.a.assemble()
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
    a: Assembler,
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
    fn new(k: &'a Kernel) -> Emit<'a> {
        let tables = 2 * 8 * k.operands.len() as i64;
        let mut e = Emit {
            k,
            a: Assembler::default(),
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
        e
    }

    fn function(&mut self) -> Result {
        let saved = [
            Register::RBX,
            Register::RBP,
            Register::R12,
            Register::R13,
            Register::R14,
            Register::R15,
        ];
        for reg in saved {
            self.a.reg(Code::Push_r64, reg)?;
        }
        self.a
            .regs(Code::Mov_r64_rm64, Register::RAX, Register::RSP)?;
        self.a.imm(SUB, Register::RSP, self.frame as i32)?;
        self.a.imm(AND, Register::RSP, -64)?;
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
            self.a.reg(Code::Pop_r64, reg)?;
        }
        self.a.plain(Code::VEX_Vzeroupper);
        self.a.plain(Code::Retnq);
        Ok(())
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
                    let code = Code::Mov_rm32_imm32;
                    self.a.add(Instruction::with2(code, at, lane(i))?);
                }
            } else {
                self.a.set(Register::EAX, lane(0))?;
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
