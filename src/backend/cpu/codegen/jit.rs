//! Kernels to machine code: which emitter, and who owns the code.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::Module;

use super::clif;
use crate::backend::cpu::machine::features::{Features, Isa};
use crate::backend::fusion::vir::Kernel;

/// The machine-code generator failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine-code generator failed: {0}")]
pub struct JitError(String);

/// A compiled kernel: addresses of the operands, rows, columns.
pub(crate) type Entry = unsafe extern "C" fn(*const *mut u8, usize, usize);

/// Machine code, freed when dropped.
pub(crate) struct Code {
    entries: Vec<Entry>,
    module: Option<JITModule>,
    _wide: Option<Pages>,
}

// SAFETY: the module is used by nobody but its owner, and the code it holds is never written again.
unsafe impl Send for Code {}
// SAFETY: as above; through a shared reference only the addresses can be read.
unsafe impl Sync for Code {}

impl Code {
    pub(crate) fn entry(&self, kernel: usize) -> Entry {
        self.entries[kernel]
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: `entries` are copied out only for calls that end before the owner does.
            unsafe { module.free_memory() }
        }
    }
}

/// Compiles `kernels` in order: each by the widest emitter that can do it.
///
/// # Errors
/// What an emitter refuses, and memory that cannot be had.
pub(crate) fn compile(kernels: &[Kernel], features: Features) -> Result<Code, JitError> {
    let wide: Vec<Option<Vec<u8>>> = kernels
        .iter()
        .map(|k| wide(k, features))
        .collect::<Result<_, _>>()?;
    let narrow: Vec<&Kernel> = kernels
        .iter()
        .zip(&wide)
        .filter(|(_, w)| w.is_none())
        .map(|(k, _)| k)
        .collect();
    let (module, narrow) = match narrow.is_empty() {
        true => (None, Vec::new()),
        false => {
            let (module, addresses) = compile_narrow(&narrow, features)?;
            (Some(module), addresses)
        }
    };
    let pages = Pages::of(wide.iter().flatten())?;
    let mut narrow = narrow.into_iter();
    let mut at = 0;
    let mut entries = Vec::with_capacity(kernels.len());
    for code in &wide {
        let address = match (code, &pages) {
            (Some(code), Some(pages)) => {
                let start = pages.at.cast_const().wrapping_add(at);
                at += code.len().next_multiple_of(CODE_ALIGN);
                start
            }
            _ => narrow
                .next()
                .ok_or_else(|| JitError("a kernel is missing".into()))?,
        };
        // SAFETY: both emitters write functions of this signature, in the target's own convention.
        entries.push(unsafe { std::mem::transmute::<*const u8, Entry>(address) });
    }
    Ok(Code {
        entries,
        module,
        _wide: pages,
    })
}

fn compile_narrow(
    kernels: &[&Kernel],
    features: Features,
) -> Result<(JITModule, Vec<*const u8>), JitError> {
    let (isa, fma) = isa(features)?;
    let builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    let mut module = JITModule::new(builder);
    let mut context = module.make_context();
    let mut function_context = FunctionBuilderContext::new();
    let config = module.target_config();
    let mut ids = Vec::with_capacity(kernels.len());
    for kernel in kernels {
        context.func.signature = clif::signature(config.default_call_conv);
        clif::emit(
            kernel,
            &mut context.func,
            &mut function_context,
            config,
            fma,
        );
        let id = module
            .declare_anonymous_function(&context.func.signature)
            .map_err(failure)?;
        module
            .define_function(id, &mut context)
            .map_err(|e| match e {
                cranelift_module::ModuleError::Compilation(e) => JitError(format!("{e:?}")),
                e => failure(e),
            })?;
        module.clear_context(&mut context);
        ids.push(id);
    }
    module.finalize_definitions().map_err(failure)?;
    let addresses = ids
        .iter()
        .map(|id| module.get_finalized_function(*id))
        .collect();
    Ok((module, addresses))
}

/// The code of `kernel` for the widest vectors, where there are any and the kernel fits them.
#[cfg(all(target_arch = "x86_64", unix))]
fn wide(kernel: &Kernel, features: Features) -> Result<Option<Vec<u8>>, JitError> {
    use super::avx512;
    if features.isa() < Isa::Avx512 || !avx512::supports(kernel) {
        return Ok(None);
    }
    avx512::emit(kernel).map(Some).map_err(failure)
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn wide(_: &Kernel, _: Features) -> Result<Option<Vec<u8>>, JitError> {
    Ok(None)
}

/// Bytes to which every kernel is aligned.
const CODE_ALIGN: usize = 64;

/// Pages of code that may be read and run, not written.
struct Pages {
    at: *mut u8,
    bytes: usize,
}

#[cfg(unix)]
impl Pages {
    fn of<'a>(code: impl Iterator<Item = &'a Vec<u8>> + Clone) -> Result<Option<Pages>, JitError> {
        let bytes = code
            .clone()
            .map(|c| c.len().next_multiple_of(CODE_ALIGN))
            .sum();
        if bytes == 0 {
            return Ok(None);
        }
        let (access, how) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, at a place of the system's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, how, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(failure(std::io::Error::last_os_error()));
        }
        let pages = Pages {
            at: at.cast(),
            bytes,
        };
        let mut to = pages.at;
        for c in code {
            // SAFETY: the mapping is as long as all code together.
            unsafe {
                std::ptr::copy_nonoverlapping(c.as_ptr(), to, c.len());
                to = to.add(c.len().next_multiple_of(CODE_ALIGN));
            }
        }
        // SAFETY: the mapping is ours.
        let refused = unsafe { libc::mprotect(at, bytes, libc::PROT_READ | libc::PROT_EXEC) } != 0;
        if refused {
            return Err(failure(std::io::Error::last_os_error()));
        }
        Ok(Some(pages))
    }
}

#[cfg(unix)]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`; nobody calls into it any more.
        unsafe { libc::munmap(self.at.cast(), self.bytes) };
    }
}

#[cfg(not(unix))]
impl Pages {
    fn of<'a>(_: impl Iterator<Item = &'a Vec<u8>>) -> Result<Option<Pages>, JitError> {
        Ok(None)
    }
}

/// One kernel as Cranelift reads it.
///
/// # Errors
/// A processor that Cranelift does not know.
pub(crate) fn clif_text(kernel: &Kernel, features: Features) -> Result<String, JitError> {
    Ok(clif_context(kernel, features)?.1.func.display().to_string())
}

/// The disassembly of one kernel, by the emitter that it gets.
///
/// # Errors
/// As [`compile`].
pub(crate) fn asm_text(kernel: &Kernel, features: Features) -> Result<String, JitError> {
    if let Some(code) = wide(kernel, features)? {
        return Ok(disassemble(&code));
    }
    let (isa, mut context) = clif_context(kernel, features)?;
    context.set_disasm(true);
    let compiled = context
        .compile(&*isa, &mut Default::default())
        .map_err(|e| JitError(format!("{:?}", e.inner)))?;
    Ok(compiled.vcode.clone().unwrap_or_default())
}

fn clif_context(
    kernel: &Kernel,
    features: Features,
) -> Result<(OwnedTargetIsa, cranelift_codegen::Context), JitError> {
    let (isa, fma) = isa(features)?;
    let mut context = cranelift_codegen::Context::new();
    context.func.signature = clif::signature(isa.default_call_conv());
    let mut function_context = FunctionBuilderContext::new();
    let config = isa.frontend_config();
    clif::emit(
        kernel,
        &mut context.func,
        &mut function_context,
        config,
        fma,
    );
    Ok((isa, context))
}

#[cfg(target_arch = "x86_64")]
fn disassemble(code: &[u8]) -> String {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    let mut out = String::new();
    let mut formatter = IntelFormatter::new();
    for instruction in Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        out.push_str(&format!("{:5x}  ", instruction.ip()));
        formatter.format(&instruction, &mut out);
        out.push('\n');
    }
    out
}

#[cfg(not(target_arch = "x86_64"))]
fn disassemble(_: &[u8]) -> String {
    String::new()
}

fn isa(features: Features) -> Result<(cranelift_codegen::isa::OwnedTargetIsa, bool), JitError> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("opt_level", "speed"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
    ] {
        flags.set(name, value).map_err(failure)?;
    }
    let mut builder = cranelift_native::builder().map_err(|e| JitError(e.into()))?;
    let mut fma = cfg!(target_arch = "aarch64");
    if cfg!(target_arch = "x86_64") {
        fma = features.isa() >= Isa::Avx2;
        if !fma {
            for name in ["has_avx", "has_avx2", "has_fma"] {
                builder.set(name, "false").map_err(failure)?;
            }
        }
    }
    let isa = builder
        .finish(settings::Flags::new(flags))
        .map_err(failure)?;
    Ok((isa, fma))
}

fn failure(error: impl std::fmt::Display) -> JitError {
    JitError(error.to_string())
}
