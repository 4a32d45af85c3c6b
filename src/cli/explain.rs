//! `nnc explain CODE|NAME`: the page of an error code, or a definition of the standard library.

use crate::check::BUILTINS;
use crate::cli::common::{Failure, exit};
use crate::cli::console;
use crate::diag::{codes, did_you_mean};
use crate::library;
use crate::span::SourceId;
use crate::syntax::{self, ast};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A code such as E0203, or a name such as Dense
    #[arg(value_name = "CODE|NAME")]
    pub what: String,
}

pub fn explain(args: &Args) -> Result<u8, Failure> {
    let what = args.what.trim();
    let text = match codes::find(what) {
        Some(code) => code.page.trim_end().to_owned(),
        None => definitions(what)
            .or_else(|| builtin(what))
            .ok_or_else(|| unknown(what))?,
    };
    console::line(&text)?;
    Ok(exit::FINE)
}

fn unknown(what: &str) -> Failure {
    let known = codes::ALL.iter().map(|c| c.code).chain(library::names());
    Failure::Usage {
        message: format!("`{what}` is neither an error code nor a name of the standard library"),
        help: did_you_mean(what, known).map(|near| format!("did you mean `{near}`?")),
    }
}

/// Documentation, other names and source of every library definition called `name`.
fn definitions(name: &str) -> Option<String> {
    let mut found = Vec::new();
    for &i in library::index().get(name)? {
        let (path, text) = library::FILES[i];
        let (file, _) = syntax::parse(SourceId(0), text);
        for decl in &file.decls {
            let ast::DeclKind::Def(def) = &decl.kind else {
                continue;
            };
            let aliases = aliases(decl);
            if *def.name.text != *name && !aliases.contains(&name) {
                continue;
            }
            let mut page = format!("{} ({path})\n\n", def.name.text);
            if !decl.doc.is_empty() {
                page += &format!("{}\n\n", decl.doc.trim());
            }
            if !aliases.is_empty() {
                page += &format!("Also called {}.\n\n", aliases.join(", "));
            }
            page += text.get(decl.span.range()).unwrap_or_default();
            found.push(page);
        }
    }
    (!found.is_empty()).then(|| found.join("\n\n"))
}

/// A function that the compiler knows.
fn builtin(name: &str) -> Option<String> {
    let b = BUILTINS.iter().find(|b| b.name == name)?;
    Some(format!("{}({})\n\n{}", b.name, b.params.join(", "), b.doc))
}

/// The names in `@alias(...)`.
fn aliases(decl: &ast::Decl) -> Vec<&str> {
    let args = decl
        .attributes
        .iter()
        .filter(|a| &*a.name.text == "alias")
        .flat_map(|a| &a.args);
    args.filter_map(|a| match &a.value.kind {
        ast::ExprKind::Name(n) => Some(&*n.text),
        _ => None,
    })
    .collect()
}
