//! What a number is, a definition that is checked for every use does not know. So each layer of the
//! library and each layer and model of models/ is wrapped in a layer whose parameters stand for its
//! numbers, all at once and one at a time, and must still be right.
//!
//! The uses come from the library's own examples: a new layer takes part, or the test fails.

use std::collections::BTreeSet;

use nnc::check::find_mistakes;
use nnc::diag::render::{Style, render};
use nnc::library::reference::{Entry, entries};
use nnc::span::{SourceId, Span};
use nnc::syntax::ast::*;
use nnc::syntax::parse;
use nnc::syntax::visit::{Visitor, walk_expr};

use crate::support::trainer::Sources;

/// The whole numbers of a block, and the places where a layer is named.
#[derive(Default)]
struct Found<'a> {
    numbers: Vec<Span>,
    calls: Vec<&'a Expr>,
}

impl<'a> Visitor<'a> for Found<'a> {
    fn expr(&mut self, e: &'a Expr) {
        match &e.kind {
            ExprKind::Int(_) => self.numbers.push(e.span),
            ExprKind::Call { .. } | ExprKind::Name(_) => self.calls.push(e),
            _ => {}
        }
        walk_expr(self, e);
    }
}

fn found(block: &Block) -> Found<'_> {
    let mut found = Found::default();
    found.block(block);
    found
}

/// `text` within `within`, some of its places replaced.
fn replaced(text: &str, within: Span, changes: &[(Span, String)]) -> String {
    let mut changes: Vec<&(Span, String)> = changes.iter().collect();
    changes.sort_by_key(|(s, _)| s.start);
    let (mut out, mut at) = (String::new(), within.start as usize);
    for (span, new) in changes {
        out += &text[at..span.start as usize];
        out += new;
        at = span.end as usize;
    }
    out + &text[at..within.end as usize]
}

/// A layer that does what a model does; `changes` are of its body.
fn of_model(text: &str, model: &Model, names: &[String], changes: &[(Span, String)]) -> String {
    let inputs: Vec<String> = model
        .inputs
        .iter()
        .map(|p| format!("{}: {}", p.name.text, for_a_batch(text, p)))
        .collect();
    layer(
        names,
        &inputs.join(", "),
        &replaced(text, model.body.span, changes),
    )
}

fn layer(names: &[String], inputs: &str, body: &str) -> String {
    let names: Vec<String> = names.iter().map(|n| format!("{n}: int")).collect();
    format!("layer _Each({})({inputs}) {body}\n", names.join(", "))
}

/// The type of a model's input as a layer has it: over a batch, with names for sizes.
fn for_a_batch(text: &str, p: &Param) -> String {
    let Some(ty) = &p.ty else {
        return "[..]".into();
    };
    let source = &text[ty.span.range()];
    let TypeKind::Plain { name, brackets } = &ty.kind else {
        return source.into();
    };
    // Of `class[10][5]` the last brackets have the sizes, of `class[10]` none.
    let kind = name.as_ref().map_or("", |n| &n.text);
    let counted = matches!(kind, "class" | "token");
    let (before, sizes) = match brackets.split_last() {
        Some((last, before)) if !counted || !before.is_empty() => (before, &**last),
        _ => (&brackets[..], &[][..]),
    };
    let before: String = before
        .iter()
        .flatten()
        .map(|d| match d {
            DimExpr::Expr(e) => format!("[{}]", &text[e.span.range()]),
            DimExpr::Rest(_) => "[..]".into(),
        })
        .collect();
    // What is of one size stays so.
    let size = |(i, d): (usize, &DimExpr)| match d {
        DimExpr::Expr(Expr {
            kind: ExprKind::Int(n),
            ..
        }) => format!(", n{n}"),
        _ => format!(", {}_{i}", p.name.text),
    };
    let sizes: String = sizes.iter().enumerate().map(size).collect();
    format!("{kind}{before}[B{sizes}]")
}

/// What is said of `text` with the layer; nothing where it is right.
fn mistakes(text: &str, layer: &str) -> String {
    let whole = format!("{text}{layer}");
    let report = find_mistakes(&Sources(Some(&whole)), "case.nn", &[]);
    let wrong: Vec<_> = report.diagnostics;
    match wrong.is_empty() {
        true => String::new(),
        false => format!("{layer}{}\n", render(&wrong, &report.map, Style::plain())),
    }
}

fn all_numbers(numbers: &[Span]) -> (Vec<String>, Vec<(Span, String)>) {
    let names: Vec<String> = (0..numbers.len()).map(|i| format!("k{i}")).collect();
    let changes = numbers.iter().copied().zip(names.iter().cloned());
    (names.clone(), changes.collect())
}

fn models(file: &File) -> impl Iterator<Item = &Model> {
    file.decls.iter().filter_map(|d| match &d.kind {
        DeclKind::Model(m) => Some(&**m),
        _ => None,
    })
}

/// The parameters of a layer that take whole numbers, with their places.
fn integers(def: &Def) -> Vec<(usize, &str)> {
    let config = match &*def.lists {
        [config, _] => &**config,
        _ => &[],
    };
    let is_int = |p: &Param| match (&p.ty, &p.default) {
        (
            Some(TypeExpr {
                kind: TypeKind::Plain { name: Some(n), .. },
                ..
            }),
            _,
        ) => &*n.text == "int",
        (None, Some(d)) => matches!(d.kind, ExprKind::Int(_)),
        _ => false,
    };
    let all = config.iter().enumerate().filter(|(_, p)| is_int(p));
    all.map(|(i, p)| (i, &*p.name.text)).collect()
}

/// How the body of a model changes where the layer that it names at `call` takes `k` for a parameter.
fn with_argument(call: &Expr, model: &Model, place: usize, name: &str) -> (Span, String) {
    let ExprKind::Call {
        callee,
        args,
        args_span,
    } = &call.kind
    else {
        let end = call.span.end as usize;
        return (
            Span::new(call.span.source, end, end),
            format!("({name} = k)"),
        );
    };
    let input = |a: &Arg| match &a.value.kind {
        ExprKind::Name(n) => model.inputs.iter().any(|p| p.name.text == n.text),
        _ => false,
    };
    if args.iter().any(input) {
        let end = callee.span.end as usize;
        let at = Span::new(call.span.source, end, end);
        return (at, format!("({name} = k)"));
    }
    let named = args
        .iter()
        .find(|a| a.name.as_ref().is_some_and(|n| &*n.text == name));
    let placed = args.get(place).filter(|a| a.name.is_none());
    if let Some(arg) = named.or(placed) {
        return (arg.value.span, "k".into());
    }
    let close = args_span.end as usize - 1;
    let comma = if args.is_empty() { "" } else { ", " };
    let at = Span::new(call.span.source, close, close);
    (at, format!("{comma}{name} = k"))
}

/// What is wrong where one parameter of the layer is a name, in the models of an example.
fn one_at_a_time(entry: &Entry, text: &str, file: &File) -> String {
    let mut wrong = String::new();
    let own =
        |n: &Ident| n.text == entry.def.name.text || entry.aliases.contains(&n.text.to_string());
    for model in models(file) {
        let calls = found(&model.body).calls;
        let named = |e: &&&Expr| match &e.kind {
            ExprKind::Call { callee, .. } => matches!(&callee.kind, ExprKind::Name(n) if own(n)),
            ExprKind::Name(n) => own(n),
            _ => false,
        };
        // The call before the name in it.
        let Some(call) = calls.iter().find(named) else {
            continue;
        };
        for (place, name) in integers(&entry.def) {
            let change = with_argument(call, model, place, name);
            let layer = of_model(text, model, &["k".into()], &[change]);
            wrong += &mistakes(text, &layer);
        }
    }
    wrong
}

#[test]
fn numbers_of_library_layers_may_be_names() {
    let mut wrong = String::new();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut layers: BTreeSet<String> = BTreeSet::new();
    let all = entries();
    for entry in all
        .iter()
        .filter(|e| e.def.kind == DefKind::Layer && e.public())
    {
        layers.insert(entry.def.name.text.to_string());
        for example in &entry.doc.examples {
            let (file, _) = parse(SourceId(0), example);
            wrong += &one_at_a_time(entry, example, &file);
            for model in models(&file) {
                let (names, changes) = all_numbers(&found(&model.body).numbers);
                wrong += &mistakes(example, &of_model(example, model, &names, &changes));
                used.insert(entry.def.name.text.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let missing: Vec<&String> = layers.difference(&used).collect();
    assert!(
        missing.is_empty(),
        "no model of their examples uses {missing:?}"
    );
}

#[test]
fn numbers_of_the_models_may_be_names() {
    let mut wrong = String::new();
    let mut count = 0;
    for entry in std::fs::read_dir("models").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (file, _) = parse(SourceId(0), &text);
        for decl in &file.decls {
            let layer = match &decl.kind {
                DeclKind::Model(model) => {
                    let (names, changes) = all_numbers(&found(&model.body).numbers);
                    of_model(&text, model, &names, &changes)
                }
                DeclKind::Def(def) if def.kind == DefKind::Layer => of_layer(&text, def),
                _ => continue,
            };
            let said = mistakes(&text, &layer);
            if !said.is_empty() {
                wrong += &format!("{}: {said}", path.display());
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 10, "{count}");
}

/// The layer under another name, with more parameters: names for the numbers of its body.
fn of_layer(text: &str, def: &Def) -> String {
    let (mut names, changes) = all_numbers(&found(&def.body).numbers);
    let source = |p: &Param| text[p.span.range()].to_owned();
    let inputs: Vec<String> = def.lists.last().into_iter().flatten().map(source).collect();
    if let [config, _] = &*def.lists {
        let numbers = names.iter().map(|n| format!("{n}: int"));
        names = numbers.chain(config.iter().map(source)).collect();
    } else {
        names = names.iter().map(|n| format!("{n}: int")).collect();
    }
    format!(
        "layer _Each({})({}) {}\n",
        names.join(", "),
        inputs.join(", "),
        replaced(text, def.body.span, &changes)
    )
}
