use crate::cli::common::{Common, Failure};
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
}
pub fn summary(_args: &Args) -> Result<u8, Failure> {
    Err(Failure::usage("not yet"))
}
