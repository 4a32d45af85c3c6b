//! The parser that pest derives from `grammar/nn.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/nn.pest"]
pub struct Grammar;
