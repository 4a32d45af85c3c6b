//! The parser that pest derives from `grammar/nn.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/nn.pest"]
pub(super) struct Grammar;

#[cfg(test)]
mod tests {
    use pest::Parser;

    use super::{Grammar, Rule};
    use crate::span::SourceId;
    use crate::syntax::layout::layout;

    /// The rule that states the whole language agrees with reading piece by piece.
    #[test]
    fn whole_files_follow_the_grammar() {
        for text in [
            include_str!("../../tests/syntax/ok/everything.nn"),
            include_str!("../../tests/syntax/ok/imdb.nn"),
            include_str!("../../tests/syntax/ok/optimizer.nn"),
            include_str!("../library/recurrent.nn"),
        ] {
            let text = layout(SourceId(0), text).text;
            if let Err(error) = Grammar::parse(Rule::file, &text) {
                panic!("{error}");
            }
        }
    }
}
