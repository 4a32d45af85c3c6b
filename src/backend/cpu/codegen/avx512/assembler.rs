//! Instructions with labels, for `iced-x86`'s encoder. Its own `code_asm` has a method for every instruction
//! of the processor, and more than half of the crate's build time.

use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, IcedError, Instruction, InstructionBlock,
    MemoryOperand, Register,
};

/// A place that jumps can name before it is known.
#[derive(Clone, Copy)]
pub(super) struct Label(usize);

#[derive(Default)]
pub(super) struct Assembler {
    /// The `ip` of each is its index.
    instructions: Vec<Instruction>,
    /// Jumps by index.
    jumps: Vec<(usize, Label)>,
    /// Labels by number: the index of the instruction that they stand before.
    labels: Vec<Option<usize>>,
}

/// A general instruction with an immediate: the code for a byte, and the one for four.
pub(super) type Immediate = (Code, Code);

pub(super) const ADD: Immediate = (Code::Add_rm64_imm8, Code::Add_rm64_imm32);
pub(super) const AND: Immediate = (Code::And_rm64_imm8, Code::And_rm64_imm32);
pub(super) const CMP: Immediate = (Code::Cmp_rm64_imm8, Code::Cmp_rm64_imm32);
pub(super) const SUB: Immediate = (Code::Sub_rm64_imm8, Code::Sub_rm64_imm32);

impl Assembler {
    pub(super) fn add(&mut self, mut instruction: Instruction) {
        instruction.set_ip(self.instructions.len() as u64);
        self.instructions.push(instruction);
    }

    /// An instruction without operands.
    pub(super) fn plain(&mut self, code: Code) {
        self.add(Instruction::with(code));
    }

    pub(super) fn reg(&mut self, code: Code, a: Register) -> Result<(), IcedError> {
        self.add(Instruction::with1(code, a)?);
        Ok(())
    }

    pub(super) fn regs(&mut self, code: Code, a: Register, b: Register) -> Result<(), IcedError> {
        self.add(Instruction::with2(code, a, b)?);
        Ok(())
    }

    /// `value` in the shorter of the two encodings that holds it.
    pub(super) fn imm(&mut self, of: Immediate, a: Register, value: i32) -> Result<(), IcedError> {
        let code = if i8::try_from(value).is_ok() {
            of.0
        } else {
            of.1
        };
        self.add(Instruction::with2(code, a, value)?);
        Ok(())
    }

    /// `a = value`, for a register of 32 bits.
    pub(super) fn set(&mut self, a: Register, value: i32) -> Result<(), IcedError> {
        self.add(Instruction::with2(Code::Mov_r32_imm32, a, value)?);
        Ok(())
    }

    /// `a = base + displacement`, in 64 bits.
    pub(super) fn lea(&mut self, a: Register, base: Register, by: i32) -> Result<(), IcedError> {
        let at = MemoryOperand::with_base_displ(base, i64::from(by));
        self.add(Instruction::with2(Code::Lea_r64_m, a, at)?);
        Ok(())
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label stands before the next instruction.
    pub(super) fn here(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// A jump; `code` is the short form, which the encoder makes longer where it must.
    pub(super) fn jump(&mut self, code: Code, to: Label) -> Result<(), IcedError> {
        self.jumps.push((self.instructions.len(), to));
        self.add(Instruction::with_branch(code, 0)?);
        Ok(())
    }

    /// The machine code, for any address.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub(super) fn assemble(mut self) -> Result<Vec<u8>, IcedError> {
        for (jump, label) in self.jumps {
            let at = self.labels[label.0].expect("every label is placed");
            self.instructions[jump].set_near_branch64(at as u64);
        }
        let block = InstructionBlock::new(&self.instructions, 0);
        Ok(BlockEncoder::encode(64, block, BlockEncoderOptions::NONE)?.code_buffer)
    }
}
