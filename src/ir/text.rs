//! The text form of graphs; [`text_parse`](super::text_parse) reads it back.
//!
//! ```text
//! graph train(
//!   %0: f32[B, 784] = data "image",
//!   %1: f32[784, 10] = param "dense/kernel",
//! ) {
//!   %2: f32[B, 10] = dot %0, %1 contract=[1:0]  # dense
//!   %3: f32[10] = reduce_sum %2 axes=[0]
//!   result "sums" = %3
//! }
//! ```
//!
//! Values are numbered in order: inputs first, then the results of the nodes.
//! After `#` comes the path of the node's origin, which is not read back; all else is.
//! Any graph is printed, the verifier's rejects included.

use std::fmt::{self, Display, Write};

use super::attributes::Attribute;
use super::graph::{Graph, Node, OutputRole, Value};
use super::prim::Prim;
use super::ty::ShapeText;
use super::verify::role_name;

/// See the module docs.
impl Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_graph(self, 0, f)
    }
}

/// In quotes, with `\"`, `\\`, `\n` and `\u{..}` for control characters.
pub(super) struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Letters, digits, `_`, `.` and `$`, not a digit first.
pub(super) fn is_word(text: &str) -> bool {
    text.chars().all(is_word_char) && text.starts_with(|c: char| !c.is_ascii_digit())
}

pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$')
}

fn write_graph(graph: &Graph, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = Names::of(graph);
    let indent = "  ".repeat(depth);
    if is_word(&graph.name) {
        write!(f, "graph {}(", graph.name)?;
    } else {
        write!(f, "graph {}(", Quoted(&graph.name))?;
    }
    for input in &graph.inputs {
        let (value, ty) = (names.of_value(input.value), graph.ty(input.value));
        let (role, name) = (role_name(&input.role), Quoted(&input.name));
        write!(f, "\n{indent}  {value}: {ty} = {role} {name},")?;
    }
    if !graph.inputs.is_empty() {
        write!(f, "\n{indent}")?;
    }
    writeln!(f, ") {{")?;
    for node in &graph.nodes {
        write!(f, "{indent}  ")?;
        write_node(graph, node, &names, depth, f)?;
    }
    for output in &graph.outputs {
        let keyword = match output.role {
            OutputRole::Update(_) => "update",
            OutputRole::Result => "result",
        };
        let (name, value) = (Quoted(&output.name), names.of_value(output.value));
        writeln!(f, "{indent}  {keyword} {name} = {value}")?;
    }
    writeln!(f, "{indent}}}")
}

fn write_node(
    graph: &Graph,
    node: &Node,
    names: &Names,
    depth: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (i, v) in node.values().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        write!(f, "{comma}{}: {}", names.of_value(v), graph.ty(v))?;
    }
    write!(f, " = {}", node.prim.name())?;
    for (i, arg) in node.args.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        write!(f, "{comma} {}", names.of_value(*arg))?;
    }
    write_attributes(&node.prim, f)?;
    let origin = graph.origins.get(node.origin.0 as usize);
    let path = origin.map_or("", |o| &o.path);
    if !path.is_empty() {
        write!(f, "  # {}", path.replace(['\n', '\r'], " "))?;
    }
    if let Prim::Scan(scan) = &node.prim {
        write!(f, "\n{}", "  ".repeat(depth + 2))?;
        return write_graph(&scan.body, depth + 2, f);
    }
    writeln!(f)
}

fn write_attributes(prim: &Prim, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut result = Ok(());
    prim.each_attribute(|key, value| {
        if result.is_ok() {
            result = write_attribute(key, &value, f);
        }
    });
    result
}

fn write_attribute(key: &str, value: &Attribute, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Attribute::Number(x) => write!(f, " {key}={x:?}"),
        Attribute::Elem(elem) => write!(f, " {key}={}", elem.name()),
        Attribute::Text(text) => write!(f, " {key}={}", Quoted(text)),
        Attribute::Dim(dim) => write!(f, " {key}={dim}"),
        Attribute::Shape(dims) => write!(f, " {key}={}", ShapeText(dims)),
        Attribute::Dims(dims) => write!(f, " {key}={}", ShapeText(dims)),
        Attribute::Count(count) => write!(f, " {key}={count}"),
        Attribute::Counts(counts) => write!(f, " {key}={counts:?}"),
        Attribute::Pairs(pairs) if pairs.is_empty() => Ok(()),
        Attribute::Pairs(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(i, j)| format!("{i}:{j}")).collect();
            write!(f, " {key}=[{}]", pairs.join(", "))
        }
        Attribute::Flag(false) => Ok(()),
        Attribute::Flag(true) => write!(f, " {key}=true"),
    }
}

/// Numbers in the order of the text; `None` for values that nothing defines.
struct Names(Vec<Option<usize>>);

impl Names {
    fn of(graph: &Graph) -> Names {
        let mut names = vec![None; graph.value_count()];
        let inputs = graph.inputs.iter().map(|i| i.value);
        let results = graph.nodes.iter().flat_map(Node::values);
        for (number, v) in inputs.chain(results).enumerate() {
            if let Some(name) = names.get_mut(v.0 as usize) {
                *name = Some(number);
            }
        }
        Names(names)
    }
    fn of_value(&self, v: Value) -> String {
        match self.0.get(v.0 as usize).copied().flatten() {
            Some(number) => format!("%{number}"),
            None => format!("%undefined.{}", v.0),
        }
    }
}
