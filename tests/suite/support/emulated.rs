//! Emitted CUDA C++ on this machine's CPU: compiled by g++ with `cuda_emulator.h` in the place of CUDA.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::path::Path;
use std::process::Command;

use nnc::backend::cuda::{self, Source};
use nnc::backend::{Cost, Executable, run_on};
use nnc::ir::{Graph, Tensor};

type Kernel = *mut c_void;
type Launch = unsafe extern "C" fn(Kernel, c_long, c_int, *const *mut u8, u32);

/// Graphs that were compiled together.
pub(crate) struct Emulated {
    library: *mut c_void,
    launch: Launch,
    graphs: Vec<(Graph, Source)>,
}

/// Whether there is a C++ compiler; says so where there is none.
pub(crate) fn can_emulate() -> bool {
    let found = Command::new("g++").arg("--version").output().is_ok();
    if !found {
        println!("SKIPPED: no g++, emitted CUDA kernels are not run");
    }
    found
}

impl Emulated {
    /// Compiles `graphs`, which have no symbols and no gradients, each with its seed.
    pub(crate) fn new(graphs: Vec<(Graph, u64)>, more_flags: &[&str]) -> Emulated {
        let sources = graphs.into_iter().enumerate().map(|(i, (graph, seed))| {
            let source = cuda::source(&graph, seed, &format!("g{i}")).expect("a graph to compile");
            (graph, source)
        });
        let graphs: Vec<(Graph, Source)> = sources.collect();
        let folder = tempfile::tempdir().expect("a folder");
        let (text, library) = (folder.path().join("k.cpp"), folder.path().join("k.so"));
        let emulator = include_str!("cuda_emulator.h");
        let kernels: String = graphs.iter().map(|(_, s)| s.text.as_str()).collect();
        std::fs::write(&text, format!("{emulator}{}{kernels}", cuda::PRELUDE)).expect("written");
        let out = Command::new("g++")
            .args(["-O1", "-ffp-contract=off", "-w", "-shared", "-fPIC"])
            .args(["-U_FORTIFY_SOURCE", "-o"])
            .args([&library, &text])
            .args(more_flags)
            .output()
            .expect("g++");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let library = open(&library);
        let launch = symbol(library, "launch");
        // SAFETY: `launch` of the emulator has this type.
        let launch = unsafe { std::mem::transmute::<*mut c_void, Launch>(launch) };
        Emulated {
            library,
            launch,
            graphs,
        }
    }

    /// The outputs of a graph; `seed` turns the order of threads.
    pub(crate) fn run(&self, graph: usize, inputs: &[Tensor], seed: u32) -> Vec<Tensor> {
        let (graph, source) = &self.graphs[graph];
        let mut one = One {
            all: self,
            graph,
            source,
            seed,
            arena: vec![[0; 16]; source.arena.div_ceil(64) + 1],
        };
        run_on(&mut one, inputs)
    }
}

struct One<'a> {
    all: &'a Emulated,
    graph: &'a Graph,
    source: &'a Source,
    seed: u32,
    arena: Vec<[u32; 16]>,
}

// SAFETY: the library is used by one thread at a time.
unsafe impl Send for One<'_> {}

impl Executable for One<'_> {
    fn graph(&self) -> &Graph {
        self.graph
    }

    fn cost(&self) -> Cost {
        Cost::default()
    }

    unsafe fn run(&mut self, inputs: &[*mut u8], results: &[*mut u8]) {
        let arena = self.arena.as_mut_ptr().cast::<u8>();
        let bases: Vec<*mut u8> = [arena, std::ptr::null_mut()]
            .iter()
            .chain(inputs)
            .chain(results)
            .copied()
            .collect();
        let (all, seed) = (self.all, self.seed);
        self.source.each_launch(&bases, &mut |kernel, bases| {
            let function = symbol(all.library, &kernel.name);
            // SAFETY: the bases are those of the graph, by the contract of `run`.
            unsafe {
                (all.launch)(
                    function,
                    kernel.blocks as c_long,
                    c_int::from(kernel.barriers),
                    bases.as_ptr(),
                    seed,
                );
            }
        });
    }
}

fn open(path: &Path) -> *mut c_void {
    let path = CString::new(path.to_str().expect("a path of text")).expect("no zero byte");
    // SAFETY: a path that ends in zero.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!library.is_null(), "the library was just made");
    library
}

fn symbol(library: *mut c_void, name: &str) -> *mut c_void {
    let text = CString::new(name).expect("no zero byte");
    // SAFETY: an open library and a name that ends in zero.
    let found = unsafe { libc::dlsym(library, text.as_ptr().cast::<c_char>()) };
    assert!(!found.is_null(), "no {name}");
    found
}
