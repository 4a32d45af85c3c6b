//! What the checker asks of graphs: whether rows of a batch are mixed, and where gradients go.

use nnc::ir::flow::{blocked, mixing, reached};
use nnc::ir::text_parse::parse;
use nnc::ir::{Graph, Value};

fn graph(body: &str) -> Graph {
    let text = format!(
        "graph g(%x: f32[B, 2, 3] = data \"x\", %w: f32[3, 3] = param \"w\") {{
{body}
result \"y\" = %y
}}"
    );
    parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn result(g: &Graph) -> Value {
    g.outputs[0].value
}

#[test]
fn rows_are_mixed_where_they_meet() {
    let cases = [
        ("%y = exp %x", None),
        ("%y = reduce_sum %x axes=[1, 2]", None),
        ("%y = reduce_sum %x axes=[0]", Some("reduce_sum")),
        (
            "%m = reduce_max %x axes=[0, 1, 2]\n%b = broadcast %m shape=[B, 2, 3] axes=[]\n%y = div %x, %b",
            Some("reduce_max"),
        ),
        ("%y = reverse %x axes=[1]", None),
        ("%y = reverse %x axes=[0]", Some("reverse")),
        ("%y = reshape %x shape=[B, 6]", None),
        (
            "%r = reshape %x shape=[2*B, 3]\n%d = dot %r, %w contract=[1:0]\n%y = reshape %d shape=[B, 2, 3]",
            None,
        ),
        (
            "%r = reshape %x shape=[B, 6]\n%y = dot %r, %r contract=[1:1]",
            Some("dot"),
        ),
        (
            "%t = transpose %x perm=[1, 0, 2]\n%y = reduce_sum %t axes=[0]",
            None,
        ),
        (
            "%t = transpose %x perm=[1, 0, 2]\n%y = reduce_sum %t axes=[1]",
            Some("reduce_sum"),
        ),
        ("%y = arg_max %x axis=0", Some("arg_max")),
        ("%y = arg_max %x axis=2", None),
        ("%y = reduce_sum %w axes=[0]", None),
    ];
    for (body, expected) in cases {
        let g = graph(body);
        let found = mixing(&g, &[result(&g)]).map(|i| g.nodes[i].prim.name());
        let expected = expected.map(|e: &str| e.trim_start_matches("reduce_"));
        let found = found.map(|f| f.trim_start_matches("reduce_"));
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn gradients_stop_at_what_has_none() {
    let loss = "%s = reduce_sum %f axes=[0, 1]\n%y = neg %s";
    let cases = [
        ("%f = exp %w", true, None),
        ("%f = stop_gradient %w", false, Some("stop_gradient")),
        ("%c = gt %w, %w\n%f = cast %c to=f32", false, Some("gt")),
        ("%i = reduce_max %x axes=[0]\n%f = exp %i", false, None),
    ];
    for (body, reaches, stop) in cases {
        let g = graph(&format!("{body}\n{loss}"));
        let w = g.inputs[1].value;
        assert_eq!(reached(&g, result(&g), &[w], &[]), [reaches], "{body}");
        let found = blocked(&g, result(&g), &[w]).map(|i| g.nodes[i].prim.name());
        assert_eq!(found, stop, "{body}");
    }
}
