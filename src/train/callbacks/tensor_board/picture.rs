//! What TensorBoard draws: a graph as a GraphDef, and weights as images.
//!
//! ```text
//! GraphDef  1 NodeDef*, 4 VersionDef      NodeDef  1 name, 2 op, 3 input*, 5 attr (a map)
//! ```
//!
//! Nodes are named by layer, `dense/dot`, so that the graph tab folds them into it.

use std::collections::HashMap;

use super::events::{DOUBLE, FLOAT, Message};
use crate::data::formats::images::{Pixels, encode_png};
use crate::ir::{Elem, Graph, OutputRole, Role, Type, Value};

/// TensorFlow's numbers of element types.
const INT32: u64 = 3;
const UINT8: u64 = 4;
const BOOL: u64 = 10;

/// Images of a batch that are kept, as `tf.summary.image` does.
const SHOWN: usize = 3;

/// A serialized GraphDef.
pub(super) fn graph(graph: &Graph) -> Vec<u8> {
    let mut names = Names::default();
    let mut of: Vec<String> = vec![String::new(); graph.value_count()];
    let mut all = Message::default();
    for input in &graph.inputs {
        let name = names.unique(&input.name);
        let op = match input.role {
            Role::Data => "Placeholder",
            Role::Param | Role::State => "Variable",
            Role::Fit | Role::Slot | Role::Hyper | Role::Metric | Role::Step | Role::Plain => {
                "Constant"
            }
        };
        all.message(1, &node(&name, op, &[], &[graph.ty(input.value)]));
        of[input.value.0 as usize] = name;
    }
    for n in &graph.nodes {
        let origin = graph.origins.get(n.origin.0 as usize);
        let path = origin.map_or("", |o| &o.path);
        let op = n.prim.name();
        let name = match path {
            "" => names.unique(op),
            path => names.unique(&format!("{path}/{op}")),
        };
        let args: Vec<&str> = n.args.iter().map(|a| of[a.0 as usize].as_str()).collect();
        let results = || (0..n.results).map(|i| Value(n.first.0 + i));
        let types: Vec<&Type> = results().map(|v| graph.ty(v)).collect();
        all.message(1, &node(&name, op, &args, &types));
        for (i, v) in results().enumerate() {
            of[v.0 as usize] = match i {
                0 => name.clone(),
                i => format!("{name}:{i}"),
            };
        }
    }
    let results = graph
        .outputs
        .iter()
        .filter(|o| o.role == OutputRole::Result);
    for output in results {
        let name = names.unique(&format!("output/{}", output.name));
        let from = of[output.value.0 as usize].as_str();
        let ty = graph.ty(output.value);
        all.message(1, &node(&name, "Identity", &[from], &[ty]));
    }
    let mut version = Message::default();
    version.number(1, 22);
    all.message(4, &version);
    all.into_bytes()
}

/// Names as TensorFlow allows them, each once.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn unique(&mut self, wanted: &str) -> String {
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || "_.-/".contains(c) => c,
            _ => '_',
        };
        let name: String = wanted.chars().map(plain).collect();
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        match *count {
            1 => name,
            n => {
                let next = format!("{name}_{}", n - 1);
                self.unique(&next)
            }
        }
    }
}

fn node(name: &str, op: &str, inputs: &[&str], types: &[&Type]) -> Message {
    let mut node = Message::default();
    node.bytes(1, name.as_bytes());
    node.bytes(2, op.as_bytes());
    for input in inputs {
        node.bytes(3, input.as_bytes());
    }
    if let Some(ty) = types.first() {
        let mut value = Message::default();
        value.number(6, element(ty.elem));
        attribute(&mut node, "dtype", &value);
    }
    let mut shapes = Message::default();
    for ty in types {
        shapes.message(7, &shape(ty));
    }
    let mut value = Message::default();
    value.message(1, &shapes);
    attribute(&mut node, "_output_shapes", &value);
    node
}

fn attribute(node: &mut Message, name: &str, value: &Message) {
    let mut entry = Message::default();
    entry.bytes(1, name.as_bytes());
    entry.message(2, value);
    node.message(5, &entry);
}

/// Sizes that are not known before a batch is there are -1.
fn shape(ty: &Type) -> Message {
    let mut shape = Message::default();
    for size in &ty.shape {
        let mut dim = Message::default();
        dim.number(1, size.as_const().unwrap_or(-1) as u64);
        shape.message(2, &dim);
    }
    shape
}

fn element(elem: Elem) -> u64 {
    match elem {
        Elem::F32 => FLOAT,
        Elem::F64 => DOUBLE,
        Elem::I32 => INT32,
        Elem::U8 => UINT8,
        Elem::Bool => BOOL,
    }
}

/// Pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Images {
    pub width: usize,
    pub height: usize,
    /// PNG files.
    pub files: Vec<Vec<u8>>,
}

/// A weight as Keras' `write_images` shows it: axes of size 1 left out, a vector as a column,
/// a matrix lying, of three axes an image for each of the last, of four only where the last
/// is a colour. Values from 0 to 1 go from black to white.
pub(super) fn images(sizes: &[usize], values: &[f32]) -> Option<Images> {
    let sizes: Vec<usize> = sizes.iter().copied().filter(|n| *n != 1).collect();
    // count, height, width, channels; and the place of an element
    let (count, height, width, channels, at): (_, _, _, _, Box<dyn Fn([usize; 4]) -> usize>) =
        match sizes[..] {
            [n] => (1, n, 1, 1, Box::new(|[_, y, _, _]| y)),
            [m, n] if m > n => (1, n, m, 1, Box::new(move |[_, y, x, _]| x * n + y)),
            [m, n] => (1, m, n, 1, Box::new(move |[_, y, x, _]| y * n + x)),
            [h, w, n] => (
                n,
                h,
                w,
                1,
                Box::new(move |[i, y, x, _]| (y * w + x) * n + i),
            ),
            [n, h, w, c] if matches!(c, 3 | 4) => (
                n,
                h,
                w,
                c,
                Box::new(move |[i, y, x, k]| ((i * h + y) * w + x) * c + k),
            ),
            _ => return None,
        };
    let mut files = Vec::new();
    for i in 0..count.min(SHOWN) {
        let mut bytes = Vec::with_capacity(height * width * channels);
        for y in 0..height {
            for x in 0..width {
                bytes.extend((0..channels).map(|k| byte(values[at([i, y, x, k])])));
            }
        }
        let mut file = Vec::new();
        let pixels = Pixels {
            width,
            height,
            channels,
            bytes,
        };
        encode_png(&mut file, &pixels).ok()?;
        files.push(file);
    }
    Some(Images {
        width,
        height,
        files,
    })
}

/// As `tf.image.convert_image_dtype(x, tf.uint8, saturate = True)`.
fn byte(x: f32) -> u8 {
    // the conversion saturates, and NaN is 0
    (x * 255.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::images::decode;

    fn shown(sizes: &[usize], values: &[f32]) -> Option<(usize, usize, Vec<Vec<u8>>)> {
        let images = images(sizes, values)?;
        let pixels = |file: &Vec<u8>| decode(file).unwrap().bytes;
        let files = images.files.iter().map(pixels).collect();
        Some((images.width, images.height, files))
    }

    #[test]
    fn weights_lie_as_keras_lays_them() {
        let bytes = |all: &[f32]| all.iter().map(|x| byte(*x)).collect::<Vec<_>>();
        let vector = shown(&[3], &[0.0, 0.5, 2.0]).unwrap();
        assert_eq!(vector, (1, 3, vec![vec![0, 127, 255]]));
        // three rows of two lie on their side
        let matrix = shown(&[3, 2], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
        assert_eq!(matrix, (3, 2, vec![bytes(&[0.1, 0.3, 0.5, 0.2, 0.4, 0.6])]));
        // a kernel of 2 x 1 over one channel: the axes of size 1 go, four filters remain
        let kernel: Vec<f32> = (0..16).map(|i| i as f32 / 16.0).collect();
        let (width, height, files) = shown(&[2, 2, 1, 4], &kernel).unwrap();
        assert_eq!((width, height, files.len()), (2, 2, 3));
        let second = bytes(&[1.0 / 16.0, 5.0 / 16.0, 9.0 / 16.0, 13.0 / 16.0]);
        assert_eq!(files[1], second);
        assert_eq!(shown(&[2, 2, 2, 5], &[0.0; 40]), None);
        assert_eq!(shown(&[1], &[0.0]), None);
    }
}
