use super::*;
use crate::bytes::{bytes_of, bytes_of_mut};
use crate::diag::Code;

fn spec(name: &str, elem: Elem, shape: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        elem,
        shape: shape.into(),
    }
}

/// Writes a kernel, a bias, a step counter and a mask.
fn write(path: &Path) {
    let tensors = [
        TensorRef {
            name: "dense/kernel",
            elem: Elem::F32,
            shape: &[2, 3],
            bytes: bytes_of(&[1f32, 2.0, 3.0, 4.0, 5.0, f32::NAN]),
        },
        TensorRef {
            name: "mask",
            elem: Elem::U8,
            shape: &[3],
            bytes: &[1, 0, 1],
        },
        TensorRef {
            name: "dense/bias",
            elem: Elem::F64,
            shape: &[1],
            bytes: bytes_of(&[0.1f64]),
        },
        TensorRef {
            name: "step",
            elem: Elem::I32,
            shape: &[],
            bytes: bytes_of(&[-7i32]),
        },
    ];
    let metadata = (0..20)
        .map(|i| (format!("key{i}"), format!("\"{i}\"\n")))
        .chain([(WRITER.into(), "0.1".into())])
        .collect();
    save(path, &tensors, &metadata).unwrap();
}

#[test]
fn what_is_saved_is_loaded_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path);
    write(&path); // over an existing file
    let mut file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.metadata()["key13"], "\"13\"\n");
    file.verify(&[
        spec("step", Elem::I32, &[]),
        spec("mask", Elem::U8, &[3]),
        spec("dense/kernel", Elem::F32, &[2, 3]),
        spec("dense/bias", Elem::F64, &[1]),
    ])
    .unwrap();
    let mut kernel = [0f32; 6];
    file.read_into("dense/kernel", bytes_of_mut(&mut kernel))
        .unwrap();
    assert_eq!(
        kernel.map(f32::to_bits),
        [1f32, 2.0, 3.0, 4.0, 5.0, f32::NAN].map(f32::to_bits)
    );
    let (mut bias, mut step) = ([0f64], [0i32]);
    file.read_into("dense/bias", bytes_of_mut(&mut bias))
        .unwrap();
    file.read_into("step", bytes_of_mut(&mut step)).unwrap();
    assert_eq!((bias, step), ([0.1], [-7]));
    // nothing but the file is left behind, and the crate's own reader takes it
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(
        safetensors::SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensor("mask")
            .unwrap()
            .data(),
        [1, 0, 1]
    );
}

#[test]
fn a_bit_that_flips_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    assert!(WeightsFile::open(&path).is_ok());
    let mut corrupt = 0;
    for (at, bit) in (0..whole.len()).map(|at| (at, 1 << (at % 8))) {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        std::fs::write(&path, bytes).unwrap();
        let error = WeightsFile::open(&path).map(|_| at).unwrap_err();
        assert_eq!(error.code().name().get(..4), Some("E094"), "{at}: {error}");
        corrupt += usize::from(error.to_string().contains("corrupt"));
    }
    assert!(corrupt > whole.len() / 4, "{corrupt} of {}", whole.len());
}

#[test]
fn files_of_other_programs_and_of_earlier_versions_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    let open = |metadata: &[(&str, &str)], tensor: &[u8]| {
        let named = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let t = TensorRef {
            name: "a",
            elem: Elem::U8,
            shape: &[2],
            bytes: &[1, 2],
        };
        let header = header(&[t], &named.collect()).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], &header[..], tensor].concat()).unwrap();
        WeightsFile::open(&path).map(|_| ())
    };
    let sum = format!("{:08x}", crc32c_append(0, &[1, 2]));
    open(&[("format", "pt")], &[1, 2]).unwrap();
    open(&[("crc32c", &sum), ("nnc", "0.1")], &[1, 2]).unwrap();
    open(&[("crc32c", &sum), ("nnc", "0.1")], &[1, 3]).unwrap_err();
    // what a run has written has a checksum
    open(&[("nnc", "0.1")], &[1, 2]).unwrap_err();
}

#[test]
fn equal_weights_give_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [folder.path().join("a"), folder.path().join("b")];
    paths.iter().for_each(|p| write(p));
    assert_eq!(
        std::fs::read(&paths[0]).unwrap(),
        std::fs::read(&paths[1]).unwrap()
    );
}

#[test]
fn every_disagreement_is_in_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path);
    let error = WeightsFile::open(&path)
        .unwrap()
        .verify(&[
            spec("dense/kernal", Elem::F32, &[2, 3]),
            spec("dense/bias", Elem::F32, &[1]),
            spec("lstm/kernel_of_gates", Elem::F32, &[8]),
            spec("mask", Elem::U8, &[4]),
        ])
        .unwrap_err();
    let text = error.to_string().replace(path.to_str().unwrap(), "w");
    assert_eq!(
        text,
        "w: the weights do not match the model\
         \n  `dense/kernal` is missing (the file has `dense/kernel`)\
         \n  `dense/bias` is f64 [1] in the file, f32 [1] in the model\
         \n  `lstm/kernel_of_gates` is missing\
         \n  `mask` is u8 [3] in the file, u8 [4] in the model\
         \n  `dense/kernel` is in the file, but not in the model\
         \n  `step` is in the file, but not in the model"
    );
}

#[test]
fn what_is_not_a_weights_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    let half = br#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#;
    let half = [(half.len() as u64).to_le_bytes().as_slice(), half, &[0, 0]].concat();
    let cases: [(&[u8], &str); 7] = [
        (b"", "not a safetensors file: it has only 0 bytes"),
        (
            &huge,
            "not a safetensors file: its header declares 18446744073709551615 bytes, but the file has 10",
        ),
        (
            &whole[..whole.len() - 1],
            "not a safetensors file: its header declares 39 bytes of weights, but the file has 38",
        ),
        (
            &[&whole[..], &[0]].concat(),
            "not a safetensors file: its header declares 39 bytes of weights, but the file has 40",
        ),
        (b"\x02\0\0\0\0\0\0\0[]", "not a safetensors file: "),
        (
            b"GIF89a and so on",
            "not a safetensors file: its header declares",
        ),
        (
            &half,
            "tensor `a` has type f16; weights must be f32, f64, i32, u8 or bool",
        ),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = WeightsFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
    assert_eq!(
        WeightsFile::open(&folder.path().join("none"))
            .unwrap_err()
            .code(),
        Code::E0903
    );
}

#[test]
fn tensors_that_cannot_be_saved_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    let t = TensorRef {
        name: "a",
        elem: Elem::U8,
        shape: &[2],
        bytes: &[1, 2],
    };
    let error = |tensors: &[TensorRef<'_>]| {
        save(&path, tensors, &BTreeMap::new())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(error(&[t, t]), "two tensors are named `a`");
    assert_eq!(
        error(&[TensorRef { shape: &[3], ..t }]),
        "tensor `a` [3]: 2 bytes do not match its shape"
    );
    assert_eq!(
        error(&[TensorRef {
            shape: &[usize::MAX, 3],
            ..t
        }])
        .split(':')
        .next(),
        Some("tensor `a` [18446744073709551615, 3]")
    );
    let nowhere = folder.path().join("no/such/w");
    assert!(
        save(&nowhere, &[t], &BTreeMap::new())
            .unwrap_err()
            .to_string()
            .contains("cannot create a file beside it: no such file")
    );
}
