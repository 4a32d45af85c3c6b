//! NVIDIA's run-time compiler, where it is: it needs neither a GPU nor a driver.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Text = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;

pub(crate) struct Nvrtc {
    create: Create,
    compile: Compile,
    log_size: Size,
    log: Text,
    cubin_size: Size,
    destroy: Destroy,
}

impl Nvrtc {
    /// The library of the PyPI package in `target/nvrtc`, or of `NNC_NVRTC`; says so where there is none.
    pub(crate) fn open() -> Option<Nvrtc> {
        let path = std::env::var_os("NNC_NVRTC").map_or_else(
            || PathBuf::from("target/nvrtc/nvidia/cu13/lib/libnvrtc.so.13"),
            PathBuf::from,
        );
        if !path.exists() {
            println!(
                "SKIPPED: no NVRTC, emitted CUDA kernels are not compiled \
                 (python3 -m pip install --target target/nvrtc nvidia-cuda-nvrtc==13.0.88)"
            );
            return None;
        }
        library(&path.with_file_name("libnvrtc-builtins.so.13.0"));
        let library = library(&path);
        let find = |name: &CStr| {
            // SAFETY: an open library and a name that ends in zero.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            assert!(!found.is_null(), "no {name:?}");
            found
        };
        // SAFETY: the types are those of nvrtc.h.
        unsafe {
            Some(Nvrtc {
                create: std::mem::transmute::<*mut c_void, Create>(find(c"nvrtcCreateProgram")),
                compile: std::mem::transmute::<*mut c_void, Compile>(find(c"nvrtcCompileProgram")),
                log_size: std::mem::transmute::<*mut c_void, Size>(find(c"nvrtcGetProgramLogSize")),
                log: std::mem::transmute::<*mut c_void, Text>(find(c"nvrtcGetProgramLog")),
                cubin_size: std::mem::transmute::<*mut c_void, Size>(find(c"nvrtcGetCUBINSize")),
                destroy: std::mem::transmute::<*mut c_void, Destroy>(find(c"nvrtcDestroyProgram")),
            })
        }
    }

    /// Compiles `text` for compute capability 9.0; panics with the log where it has an error.
    pub(crate) fn compile(&self, text: &str, name: &str) {
        let source = CString::new(text).expect("no zero byte");
        let options = [c"--gpu-architecture=sm_90", c"--fmad=false", c"-w"];
        let pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let mut program: Program = null_mut();
        // SAFETY: the pointers are valid for the calls.
        unsafe {
            let made = (self.create)(&raw mut program, source.as_ptr(), null(), 0, null(), null());
            assert_eq!(made, 0, "{name}");
            let result = (self.compile)(program, pointers.len() as c_int, pointers.as_ptr());
            let mut size = 0;
            (self.log_size)(program, &raw mut size);
            let mut log = vec![0u8; size.max(1)];
            (self.log)(program, log.as_mut_ptr().cast());
            assert_eq!(result, 0, "{name}: {}", String::from_utf8_lossy(&log));
            let mut bytes = 0;
            (self.cubin_size)(program, &raw mut bytes);
            assert!(bytes > 0, "{name}: no machine code");
            (self.destroy)(&raw mut program);
        }
    }
}

fn library(path: &Path) -> *mut c_void {
    let text = CString::new(path.to_str().expect("a path of text")).expect("no zero byte");
    // SAFETY: a path that ends in zero.
    let library = unsafe { libc::dlopen(text.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    assert!(!library.is_null(), "{} is no library", path.display());
    library
}
