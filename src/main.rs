//! `nnc`: see `src/cli`.

fn main() -> std::process::ExitCode {
    nnc::cli::main()
}
