use crate::cli::common::Failure;
#[derive(clap::Args, Debug)]
pub struct Args {
    /// One JSON object a line on stdout
    #[arg(long)]
    pub json: bool,
}
pub fn check(_args: &Args) -> Result<u8, Failure> {
    Err(Failure::usage("not yet"))
}
