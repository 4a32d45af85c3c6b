//! The logarithm of a softmax is exact whatever the shape, before and after `simplify`: axes of
//! size 1 turn the softmax's reductions and broadcasts into reshapes.

use nnc::backend::interp::evaluate;
use nnc::ir::text_parse::parse;
use nnc::ir::{Graph, Tensor, TypeError};
use nnc::passes::autodiff::autodiff;
use nnc::passes::simplify::simplify;
use nnc::passes::stable::stable;

type Run = fn(&Graph) -> Result<Graph, TypeError>;

const ORDERS: [&[Run]; 3] = [
    &[simplify, stable, autodiff, simplify],
    &[stable, autodiff, simplify],
    &[stable, simplify, autodiff],
];

fn list<T: ToString>(of: &[T]) -> String {
    let all: Vec<String> = of.iter().map(T::to_string).collect();
    format!("[{}]", all.join(", "))
}

/// Minus the sum of the logarithms of a softmax over `axes`, clipped as the library does it, and
/// its gradient by the logits.
fn text(shape: &[usize], axes: &[usize], shifted: bool, keep: bool) -> String {
    let free: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
    let kept: Vec<usize> = (0..shape.len())
        .map(|a| if axes.contains(&a) { 1 } else { shape[a] })
        .collect();
    let (all, full): (Vec<usize>, String) = ((0..shape.len()).collect(), list(shape));
    let back = |from: &str, to: &str| match keep {
        true => format!(
            "%{from}k = reshape %{from} shape={}\n%{to} = broadcast %{from}k shape={full} axes={}\n",
            list(&kept),
            list(&all)
        ),
        false => format!(
            "%{to} = broadcast %{from} shape={full} axes={}\n",
            list(&free)
        ),
    };
    let axes = list(axes);
    let shift = match shifted {
        true => format!(
            "%m = reduce_max %x axes={axes}\n%ms = stop_gradient %m\n{}%u = sub %x, %mb\n",
            back("ms", "mb")
        ),
        false => format!(
            "%one = const value=1 elem=f32\n%ones = broadcast %one shape={full} axes=[]\n\
             %u = mul %x, %ones\n"
        ),
    };
    format!(
        "graph loss(%x: f32{full}) {{
{shift}%e = exp %u
%s = reduce_sum %e axes={axes}
{}%p = div %e, %sb
%eps = const value=1e-7 elem=f32
%epss = broadcast %eps shape={full} axes=[]
%c = max %p, %epss
%l = log %c
%r = reduce_sum %l axes={}
%n = neg %r
%g = gradient %n, %x
result \"loss\" = %n
result \"g\" = %g
}}",
        back("s", "sb"),
        list(&all)
    )
}

/// The same in f64, from the logits.
fn expected(x: &[f32], shape: &[usize], axes: &[usize]) -> (f64, Vec<f32>) {
    let group = |mut i: usize| {
        let mut key = 0;
        for (a, n) in shape.iter().enumerate().rev() {
            if !axes.contains(&a) {
                key = key * 16 + i % n + 1;
            }
            i /= n;
        }
        key
    };
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (i, xi) in x.iter().enumerate() {
        let others: Vec<f64> = (0..x.len())
            .filter(|j| group(*j) == group(i))
            .map(|j| f64::from(x[j]))
            .collect();
        let top = others.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = others.iter().map(|o| (o - top).exp()).sum::<f64>().ln() + top;
        let log_p = f64::from(*xi) - log_sum;
        loss -= log_p;
        gradient.push((others.len() as f64 * log_p.exp() - 1.0) as f32);
    }
    (loss, gradient)
}

fn check(shape: &[usize], axes: &[usize], shifted: bool, keep: bool) {
    let count: usize = shape.iter().product();
    let x: Vec<f32> = (0..count).map(|i| (i * 7 % 5) as f32 * 60.0).collect();
    let (loss, gradient) = expected(&x, shape, axes);
    let text = text(shape, axes, shifted, keep);
    for (i, order) in ORDERS.iter().enumerate() {
        let mut graph = parse(&text).expect("a graph");
        for pass in *order {
            graph = pass(&graph).expect("a pass that succeeds");
        }
        let found = evaluate(&graph, &[Tensor::from_f32(shape, &x)], 0);
        let near = (found[0].item() - loss).abs() <= 1e-5 * loss.abs().max(1.0);
        let off = found[1].max_abs_diff(&Tensor::from_f32(shape, &gradient));
        assert!(
            near && off < 1e-5,
            "order {i}: {:?}, not {loss}; gradient {:?}, not {gradient:?}\n{text}\n{graph}",
            found[0],
            found[1]
        );
    }
}

#[test]
fn logarithms_of_a_softmax_are_exact_for_every_shape() {
    let sizes = [1, 2, 3];
    let mut shapes: Vec<Vec<usize>> = vec![Vec::new()];
    let mut checked = 0;
    for _ in 0..3 {
        let longer = |s: &Vec<usize>| sizes.map(|n| [s.as_slice(), &[n]].concat());
        shapes = shapes.iter().flat_map(longer).collect();
        for shape in &shapes {
            for set in 1..1usize << shape.len() {
                let axes: Vec<usize> = (0..shape.len()).filter(|a| set >> a & 1 == 1).collect();
                for (shifted, keep) in [(true, true), (true, false), (false, true), (false, false)]
                {
                    check(shape, &axes, shifted, keep);
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 4 * (3 + 9 * 3 + 27 * 7));
}
