//! Names that stand for nothing.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::syntax::ast::Ident;

use super::Elab;
use super::value::Val;

impl Elab<'_> {
    pub fn unknown_name(&mut self, n: &Ident) -> Val {
        let mut d = Diagnostic::error(Code::E0101, format!("unknown name `{}`", n.text))
            .label(n.span, "not declared anywhere");
        let known = self.world.names();
        let local: Vec<String> = self.top().names().map(String::from).collect();
        let all = local
            .iter()
            .map(String::as_str)
            .chain(known.iter().map(|k| &**k));
        if let Some(near) = did_you_mean(&n.text, all) {
            d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
        }
        self.report(d)
    }

    pub fn unknown_type(&mut self, word: &Ident) {
        let known = [
            "real", "int", "bool", "u8", "prob", "class", "token", "any", "float", "text", "list",
            "fn", "layer",
        ];
        let mut d = Diagnostic::error(Code::E0314, format!("unknown type `{}`", word.text))
            .label(word.span, "there is no such type");
        // Words of other languages.
        let meant = match &*word.text {
            "integer" | "int32" | "int64" | "i32" | "i64" => Some("int"),
            "f32" | "f64" | "float32" | "float64" | "double" | "number" => Some("real"),
            "str" | "string" => Some("text"),
            "boolean" => Some("bool"),
            "uint8" | "byte" => Some("u8"),
            _ => None,
        };
        if matches!(&*word.text, "class" | "token") {
            d = d.help(format!("write `{}[n]`, where n is their number", word.text));
        } else if let Some(meant) = meant {
            d = d
                .help(format!("replace it with `{meant}`"))
                .fix(word.span, meant);
        } else if matches!(
            &*word.text,
            "tensor" | "Tensor" | "vector" | "matrix" | "array"
        ) {
            d = d.help("write only the sizes for a tensor of numbers, as in `[B, n]`");
        } else if let Some(near) = did_you_mean(&word.text, known) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(word.span, near);
        }
        self.report(d);
    }
}
