//! Floating-point operations of a graph, as a size over its symbols.
//!
//! Conventions:
//! - A multiply-add counts 2, so a product `[m, k] x [k, n]` counts `2 m k n`. A convolution counts its products,
//!   those with padding included, and so do its two gradients.
//! - Arithmetic counts 1 an element, be it an addition, a division or an exponential; so does a maximum.
//! - A reduction counts its argument's elements, a window its taps, a scatter the elements it adds.
//! - A scan counts its length times its body.
//! - Everything else counts nothing: integers, logic, comparisons, selection, conversion, what moves or makes
//!   elements, and gradients that have not been derived.

use super::dim::{Dim, DimError};
use super::graph::{Graph, Node};
use super::infer::{TypeError, count};
use super::prim::{Class, Prim, WindowDims};
use super::ty::{Shape, Type};

type Result<T> = std::result::Result<T, TypeError>;

/// Operations of one run of `graph`.
///
/// # Errors
/// If the number overflows 64 bits.
pub fn flops(graph: &Graph) -> Result<Dim> {
    let mut sum = Dim::ZERO;
    for node in &graph.nodes {
        sum = sum.add(&node_flops(graph, node)?)?;
    }
    Ok(sum)
}

/// Operations of one run of a graph without symbols, the cost that a back end reports;
/// the largest number if they overflow or a symbol is left.
pub fn known_flops(graph: &Graph) -> u64 {
    let flops = flops(graph).ok().and_then(|n| n.as_const());
    flops
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or(u64::MAX)
}

/// Operations of one node of `graph`.
///
/// # Errors
/// If the number overflows 64 bits.
pub fn node_flops(graph: &Graph, node: &Node) -> Result<Dim> {
    let arg = |i: usize| graph.ty(node.args[i]);
    match &node.prim {
        Prim::Unary(_) | Prim::Binary(_) | Prim::Reduce { .. } => arithmetic(arg(0)),
        Prim::ScatterAdd { .. } => arithmetic(arg(1)),
        Prim::Dot(dims) => {
            let contracted = dims.contract.iter().map(|&(i, _)| arg(0).shape[i].clone());
            let contracted: Shape = contracted.collect();
            product(&[
                &Dim::Const(2),
                &elements(graph, node)?,
                &count(&contracted)?,
            ])
        }
        Prim::Conv(_) => convolution(&graph.ty(node.first).shape, &arg(1).shape),
        Prim::ConvInputGrad { .. } => convolution(&arg(0).shape, &arg(1).shape),
        Prim::ConvKernelGrad { .. } => convolution(&arg(1).shape, &graph.ty(node.first).shape),
        Prim::Window { op: _, dims } => taps(dims, &graph.ty(node.first).shape),
        Prim::WindowGrad { op: _, dims } => taps(dims, &arg(1).shape),
        Prim::Scan(scan) => product(&[&scan.length, &flops(&scan.body)?]),
        prim => match prim.class() {
            Class::Source
            | Class::Elementwise
            | Class::Movement
            | Class::Indexing
            | Class::Control => Ok(Dim::ZERO),
            Class::Reduction | Class::Contraction | Class::Window => {
                unreachable!("each has its cost above")
            }
        },
    }
}

fn arithmetic(ty: &Type) -> Result<Dim> {
    if ty.elem.is_float() {
        count(&ty.shape)
    } else {
        Ok(Dim::ZERO)
    }
}

/// Every element of the result `[b, t.., o]` is a sum over a kernel `[k.., c / groups, o]` without its last axis.
fn convolution(result: &[Dim], kernel: &[Dim]) -> Result<Dim> {
    let filter = count(&kernel[..kernel.len() - 1])?;
    product(&[&Dim::Const(2), &count(result)?, &filter])
}

fn taps(dims: &WindowDims, result: &[Dim]) -> Result<Dim> {
    let window: Shape = dims.window.iter().map(|w| Dim::from(*w)).collect();
    product(&[&count(result)?, &count(&window)?])
}

fn elements(graph: &Graph, node: &Node) -> Result<Dim> {
    count(&graph.ty(node.first).shape)
}

fn product(factors: &[&Dim]) -> Result<Dim> {
    let product = factors.iter().try_fold(Dim::ONE, |p, f| p.mul(f));
    product.map_err(|e: DimError| e.into())
}

#[cfg(test)]
mod tests {
    use super::super::text_parse::parse;
    use super::*;

    /// Operations of a graph with these inputs and this node.
    fn cost(inputs: &str, node: &str) -> String {
        let graph = parse(&format!("graph g({inputs}) {{\n{node}\n}}")).unwrap();
        flops(&graph).unwrap().to_string()
    }

    #[test]
    fn conventions() {
        let x = "%x: f32[B, 5], %i: i32[B, 5], %k: f32[5, 7], %j: i32[B]";
        let cases = [
            ("%y = exp %x", "5*B"),
            ("%y = max %x, %x", "5*B"),
            ("%y = add %i, %i", "0"),
            ("%y = eq %x, %x", "0"),
            ("%y = reduce_sum %x axes=[0]", "5*B"),
            ("%y = dot %x, %k contract=[1:0]", "70*B"),
            ("%y = dot %x, %x batch=[0:0] contract=[1:1]", "10*B"),
            ("%y = gather %x, %j axis=0", "0"),
            ("%y = scatter_add %j, %x axis=0 size=9", "5*B"),
            ("%y = transpose %x perm=[1, 0]", "0"),
        ];
        for (node, expected) in cases {
            assert_eq!(cost(x, node), expected, "{node}");
        }
    }

    #[test]
    fn convolutions_and_their_gradients_cost_the_same() {
        let inputs = "%x: f32[B, 8, 6, 4], %k: f32[3, 2, 2, 10], %y: f32[B, 6, 5, 10]";
        let dims = "strides=[1, 1] dilation=[1, 1] low=[0, 0] high=[0, 0]";
        // 6 * 5 * 10 sums of 3 * 2 * 2 products.
        let expected = format!("{}*B", 2 * 300 * 12);
        for node in [
            format!("%r = conv %x, %k {dims} groups=2"),
            format!("%r = conv_input_grad %y, %k {dims} groups=2 spatial=[8, 6]"),
            format!("%r = conv_kernel_grad %x, %y {dims} groups=2 kernel=[3, 2]"),
        ] {
            assert_eq!(cost(inputs, &node), expected, "{node}");
        }
        let dims = "window=[2, 3] strides=[2, 3] low=[0, 0] high=[0, 0]";
        assert_eq!(cost(inputs, &format!("%r = window_max %x {dims}")), "192*B");
        let both = format!("%r = window_sum %x {dims}\n%g = window_sum_grad %x, %r {dims}");
        assert_eq!(cost(inputs, &both), "384*B");
    }

    #[test]
    fn a_scan_counts_its_length() {
        let scan = "%y = scan %h carries=1 scanned=0 length=T \
                    graph b(%h: f32[B]) { %n = exp %h\n%m = mul %n, %n\nresult \"h\" = %m }";
        assert_eq!(cost("%h: f32[B]", scan), "2*B*T");
        let graph = parse(&format!("graph g(%h: f32[B]) {{ {scan} }}")).unwrap();
        assert_eq!(known_flops(&graph), u64::MAX);
        let sizes = [("B".into(), 3), ("T".into(), 5)].into();
        assert_eq!(known_flops(&graph.specialize(&sizes).unwrap()), 30);
    }

    #[test]
    fn overflow_is_an_error() {
        let body = "graph b(%h: f32[1073741824]) { %n = exp %h\nresult \"h\" = %n }";
        let scan = format!(
            "%y = scan %h carries=1 scanned=0 length={} {body}",
            i64::MAX
        );
        let graph = parse(&format!("graph g(%h: f32[1073741824]) {{\n{scan}\n}}")).unwrap();
        assert_eq!(flops(&graph), Err(TypeError::Dim(DimError::Overflow)));
    }
}
