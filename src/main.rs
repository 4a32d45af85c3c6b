//! `nnc`: see `src/cli`.

#[global_allocator]
static HEAP: nnc::cli::Heap = nnc::cli::Heap;

fn main() -> std::process::ExitCode {
    nnc::cli::main()
}
