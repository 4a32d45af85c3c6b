//! Images: augmentation and whitening as Keras has them, folders of image files, and runs
//! whose bits depend on no number of threads.

use nnc::diag::Code;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use nnc::data::augment::{Affine, Augment, Drawn, Size, brighten, resample, shift_channels};
use nnc::data::formats::csv::{ColumnSpec, Select};
use nnc::data::formats::folder::Folder;
use nnc::data::formats::images::{ENDINGS, ImageOptions, Pixels, decode, encode_png, read_images};
use nnc::data::formats::npy::write_npy;
use nnc::data::{Batches, Column, ColumnData, DataError, ElementType, Order, Table, Taken};
use nnc::spec::Interpolation;
use nnc::spec::augment::{Fill, Ranges, Shift};
use serde_json::Value;
use tempfile::TempDir;

fn recorded() -> Value {
    let text = fs::read_to_string("tests/fixtures/augment.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn floats(v: &Value) -> Vec<f32> {
    let all = v.as_array().unwrap().iter();
    all.map(|x| x.as_f64().unwrap() as f32).collect()
}

fn sizes(recorded: &Value) -> Vec<Size> {
    let shapes = recorded["shapes"].as_array().unwrap().iter();
    shapes
        .map(|s| {
            let dims: Vec<usize> = floats(s).iter().map(|&x| x as usize).collect();
            Size::of(&dims).unwrap()
        })
        .collect()
}

fn near(found: &[f32], expected: &[f32], within: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= within, "{what}: {i}: {a}, not {b}");
    }
}

/// Nothing drawn.
const STILL: Drawn = Drawn {
    theta: 0.0,
    tx: 0.0,
    ty: 0.0,
    shear: 0.0,
    zx: 1.0,
    zy: 1.0,
    channel_shift: None,
    horizontal_flip: false,
    vertical_flip: false,
    brightness: None,
    contrast: None,
    corner: [0, 0],
    erased: None,
};

#[test]
fn affine_maps_are_those_of_keras_with_each_fill_mode() {
    let recorded = recorded();
    let sizes = sizes(&recorded);
    let mut modes = std::collections::BTreeSet::new();
    for case in recorded["affine"].as_array().unwrap() {
        let which = case["image"].as_u64().unwrap() as usize;
        let image = floats(&recorded["images"][which]);
        let get = |name: &str, usual: f64| case.get(name).map_or(usual, |v| v.as_f64().unwrap());
        let drawn = Drawn {
            theta: get("theta", 0.0),
            tx: get("tx", 0.0),
            ty: get("ty", 0.0),
            shear: get("shear", 0.0),
            zx: get("zx", 1.0),
            zy: get("zy", 1.0),
            ..STILL
        };
        let mode = case["fill"].as_str().unwrap();
        let fill = Fill::ALL.into_iter().find(|f| f.name() == mode).unwrap();
        modes.insert(fill.name());
        let size = sizes[which];
        let map = Affine::of(&drawn, size).unwrap();
        let mut found = vec![0.0; size.len()];
        resample(&image, size, &map, (fill, 17.0), size, &mut found);
        near(&found, &floats(&case["y"]), 2e-3, &case.to_string());
    }
    assert_eq!(modes.len(), 4);
}

#[test]
fn channel_shift_and_brightness_are_those_of_keras() {
    let recorded = recorded();
    let sizes = sizes(&recorded);
    for case in recorded["channel_shift"].as_array().unwrap() {
        let mut image = floats(&recorded["images"][case["image"].as_u64().unwrap() as usize]);
        shift_channels(&mut image, case["intensity"].as_f64().unwrap() as f32);
        near(&image, &floats(&case["y"]), 1e-4, "channel shift");
    }
    for case in recorded["brightness"].as_array().unwrap() {
        let which = case["image"].as_u64().unwrap() as usize;
        let mut image = floats(&recorded["between"][which]);
        let factor = case["factor"].as_f64().unwrap() as f32;
        brighten(&mut image, sizes[which].channels, factor);
        near(
            &image,
            &floats(&case["y"]),
            0.0,
            &format!("brightness {factor}"),
        );
    }
}

#[test]
fn standardization_and_whitening_are_those_of_keras() {
    let recorded = recorded();
    let cases = [
        ("samplewise", "samplewise(image)", 1e-5),
        (
            "samplewise_center",
            "image |> scale(1 / 255) |> samplewise(std_normalization = false)",
            1e-5,
        ),
        ("featurewise", "featurewise(image, seen)", 1e-5),
        (
            "featurewise_center",
            "image |> scale(1 / 255) |> featurewise(scaled, std_normalization = false)",
            1e-5,
        ),
        ("zca", "zca_whitening(image, soft)", 1e-3),
        (
            "zca_rescaled",
            "image |> scale(1 / 255) |> zca_whitening(white)",
            1e-3,
        ),
    ];
    for (name, expression, within) in cases {
        let folder = tempfile::tempdir().unwrap();
        let case = &recorded["generator"][name];
        let train = ColumnData::F32(floats(&case["train"]));
        let column = Column::new("image", vec![4, 3, 3], train).unwrap();
        write_npy(&folder.path().join("image.npy"), &column).unwrap();
        let program = format!(
            "data d {{
  source  npy(image = \"image.npy\")
  column  image : [4, 3, 3]
  fit     seen   = channels(train.image)
  fit     scaled = channels(train.image, rescale = 1 / 255)
  fit     soft   = zca(train.image, epsilon = 50)
  fit     white  = zca(train.image, rescale = 1 / 255)
  input   x : [4, 3, 3] = {expression}
}}
"
        );
        fs::write(folder.path().join("d.nn"), program).unwrap();
        let out = fine(
            folder.path(),
            &["inspect", "d.nn", "--sample", "3", "--json"],
        );
        let seen: Value = serde_json::from_str(&out).unwrap();
        let samples = seen["sample"].as_array().unwrap().iter();
        let fed: Vec<f32> = samples.flat_map(|s| floats(&s["fed"]["x"])).collect();
        near(&fed, &floats(&case["y"]), within, name);
    }
}

fn ranges() -> Ranges {
    Ranges {
        rotation: 30.0,
        width_shift: Shift::Fraction(0.2),
        height_shift: Shift::Below(3),
        zoom: [0.8, 1.2],
        horizontal_flip: true,
        noise: 4.0,
        ..Ranges::default()
    }
}

/// The bytes of the epochs' batches.
fn drained(workers: usize, first: (u64, usize)) -> Vec<Vec<u8>> {
    let pixels = (0..40 * 48).map(|i| (i * 31 % 256) as u8).collect();
    let column = Column::new("image", vec![6, 8], ColumnData::U8(pixels)).unwrap();
    let table = Arc::new(Table::new(vec![column]).unwrap());
    let augment = Augment::new(&ranges(), 5, "x", &[6, 8], true).unwrap();
    let taken = Taken {
        column: 0,
        augment: Some(Arc::new(augment)),
    };
    let order = Order::Shuffled { seed: 5 };
    let rows = (0..40).collect();
    let mut batches = Batches::prepared(table, &[taken], rows, 7, order, workers).unwrap();
    let mut found = Vec::new();
    for epoch in first.0..3 {
        let start = if epoch == first.0 { first.1 } else { 0 };
        let mut epoch = batches.epoch_from(epoch, start);
        while let Some(batch) = epoch.next_batch().unwrap() {
            found.push(batch.column(0).bytes.to_vec());
        }
    }
    assert!(batches.costs().augmenting > std::time::Duration::ZERO);
    found
}

#[test]
fn batches_are_the_same_however_many_workers_make_them() {
    let one = drained(1, (0, 0));
    assert_eq!(one.len(), 18);
    assert_ne!(one[0], one[6]);
    for workers in [2, 3, 8] {
        assert_eq!(drained(workers, (0, 0)), one);
    }
    assert_eq!(drained(2, (1, 4)), one[10..]);
}

const PROGRAM: &str = r#"
data shapes {
  source  images("shapes")
  column  image : u8[8, 8, 3]
  column  label : class[2]
  split   stratify(label) { train 60%, val 20%, test 20% }
  input   x : [8, 8, 3] = AUGMENTED |> scale(1 / 255)
  target  y : class[2]  = label
}
model Shapes(x: [8, 8, 3]) -> prob[2] { x |> Conv2D(4, 3, relu) |> Flatten |> Dense(2, softmax) }
train Shapes on shapes {
  loss       sparse_categorical_crossentropy
  optimizer  Adam
  metrics    accuracy
  epochs     3
  batch      4
  seed       11
}
"#;

fn rgb(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
    let pixels = (0..width * height).flat_map(|i| pixel(i % width, i / width));
    Pixels {
        width,
        height,
        channels: 3,
        bytes: pixels.collect(),
    }
}

fn save(path: &Path, image: &Pixels) {
    if path.extension().is_some_and(|e| e == "jpg") {
        let (width, height) = (image.width as u16, image.height as u16);
        jpeg_encoder::Encoder::new_file(path, 90)
            .and_then(|to| to.encode(&image.bytes, width, height, jpeg_encoder::ColorType::Rgb))
            .unwrap();
    } else {
        encode_png(fs::File::create(path).unwrap(), image).unwrap();
    }
}

const AUGMENTED: &str = "image |> augment(rotation_range = 20, width_shift_range = 0.1, brightness_range = [0.5, 1.5], save_to = \"seen\", save_count = 3)";

/// 30 images of 2 classes, PNG and JPEG, of several sizes; `run.nn` augments them, `plain.nn`
/// takes them as they are.
fn shapes() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, name) in ["bars", "dots"].iter().enumerate() {
        let below = folder.path().join("shapes").join(name);
        fs::create_dir_all(&below).unwrap();
        for i in 0..15usize {
            let (width, height) = if i % 3 == 0 { (8, 8) } else { (11, 9 + i % 2) };
            let image = rgb(width, height, |x, y| {
                let on = if class == 0 {
                    x % 4 < 2
                } else {
                    x % 4 < 2 && y % 4 < 2
                };
                [if on { 200 } else { 20 }, (i * 9) as u8, (x * 7 + y) as u8]
            });
            let kind = if i % 5 == 1 { "jpg" } else { "png" };
            save(&below.join(format!("{i:02}.{kind}")), &image);
        }
    }
    let program = |images: &str| PROGRAM.replace("AUGMENTED", images);
    fs::write(folder.path().join("run.nn"), program(AUGMENTED)).unwrap();
    fs::write(folder.path().join("plain.nn"), program("image")).unwrap();
    folder
}

fn nnc(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nnc"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn fine(folder: &Path, args: &[&str]) -> String {
    let out = nnc(folder, args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_run_with_augmentation_depends_on_no_number_of_threads_and_resumes_in_an_epoch() {
    let folder = shapes();
    let at = folder.path();
    let run = |out: &str, more: &[&str]| {
        let args = [&["run", "run.nn", "--json", "--out", out], more].concat();
        let said = fine(at, &args);
        (
            said,
            fs::read(at.join(out).join("weights.safetensors")).unwrap(),
        )
    };
    let (said, weights) = run("a", &["--workers", "1", "--threads", "1"]);
    let epoch = said.lines().find(|l| l.contains("\"epoch\"")).unwrap();
    let epoch: Value = serde_json::from_str(epoch).unwrap();
    assert!(epoch["augment_seconds"].as_f64().unwrap() > 0.0);
    assert!(epoch["waited_seconds"].as_f64().unwrap() >= 0.0);
    assert!(run("b", &["--workers", "3", "--threads", "2"]).1 == weights);

    run("c", &["--limit-steps", "7"]);
    let args = ["run", "run.nn", "--out", "c", "--resume", "--workers", "2"];
    fine(at, &args);
    assert!(fs::read(at.join("c/weights.safetensors")).unwrap() == weights);

    // what is not training sees the plain images
    let judge = |file: &str, part: &str| {
        let weights = "a/weights.safetensors";
        let args = [
            "evaluate",
            file,
            "--weights",
            weights,
            "--part",
            part,
            "--json",
        ];
        let said = fine(at, &args);
        let found: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        found["loss"].as_f64().unwrap()
    };
    for part in ["val", "train"] {
        assert_eq!(judge("run.nn", part), judge("plain.nn", part));
    }
    let last = said.lines().rfind(|l| l.contains("\"val_loss\""));
    let last: Value = serde_json::from_str(last.unwrap()).unwrap();
    assert_eq!(last["val_loss"].as_f64().unwrap(), judge("plain.nn", "val"));

    // and so does prediction, of a folder of files
    let predict = |file: &str, to: &str| {
        let weights = "a/weights.safetensors";
        let args = [
            "predict",
            file,
            "--weights",
            weights,
            "--input",
            "shapes",
            "--output",
            to,
        ];
        fine(at, &args);
        fs::read_to_string(at.join(to)).unwrap()
    };
    let predicted = predict("run.nn", "p.csv");
    assert_eq!(predicted.lines().count(), 31);
    assert_eq!(predicted, predict("plain.nn", "q.csv"));

    // the samples that were written are the first images of the first epoch
    let mut saved: Vec<_> = fs::read_dir(at.join("a/seen"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    saved.sort();
    assert_eq!(saved.len(), 3);
    let first = decode(&fs::read(&saved[0]).unwrap()).unwrap();
    assert_eq!((first.width, first.height), (8, 8));
    let same = |p: &Path| {
        fs::read(p).unwrap() == fs::read(at.join("b/seen").join(p.file_name().unwrap())).unwrap()
    };
    assert!(saved.iter().all(|p| same(p)));
}

fn wanted(field: &str, element: ElementType, shape: &[usize]) -> ColumnSpec {
    ColumnSpec {
        name: field.into(),
        select: Select::Name(field.into()),
        element,
        shape: Some(shape.to_vec()),
        missing: false,
    }
}

fn read(path: &Path, threads: usize, columns: &[ColumnSpec]) -> Result<Table, DataError> {
    let options = ImageOptions {
        size: None,
        interpolation: Interpolation::Bilinear,
        threads,
    };
    read_images(&Folder::of_classes(path, ENDINGS, None)?, options, columns)
}

#[test]
fn a_folder_of_images_is_read_class_by_class_in_alphabetical_order() {
    let folder = shapes();
    let at = folder.path().join("shapes");
    fs::write(at.join("bars/readme.md"), "no image").unwrap();
    fs::write(at.join("readme.txt"), "no class").unwrap();
    let columns = [
        wanted("image", ElementType::U8, &[8, 8, 3]),
        wanted("label", ElementType::Class(2), &[]),
        wanted("path", ElementType::Text, &[]),
    ];
    let one = read(&at, 1, &columns).unwrap();
    assert_eq!(one, read(&at, 3, &columns).unwrap());
    assert_eq!(one.rows(), 30);
    let labels: Vec<f64> = (0..30)
        .map(|i| one.columns()[1].number(i).unwrap())
        .collect();
    assert_eq!(labels, [[0.0; 15], [1.0; 15]].concat());
    let ColumnData::Text(paths) = one.columns()[2].data() else {
        panic!("paths are texts");
    };
    assert_eq!(
        (paths.get(1), paths.get(29)),
        (Some("bars/01.jpg"), Some("dots/14.png"))
    );
    // an image of the size asked for is as it is in the file
    let first = decode(&fs::read(at.join("bars/00.png")).unwrap()).unwrap();
    assert_eq!(one.columns()[0].as_bytes().unwrap()[..192], first.bytes[..]);
    let names = [wanted("label", ElementType::Text, &[])];
    let names = read(&at, 2, &names).unwrap();
    let ColumnData::Text(names) = names.columns()[0].data() else {
        panic!("names are texts");
    };
    assert_eq!((names.get(0), names.get(29)), (Some("bars"), Some("dots")));
}

#[test]
fn images_are_brought_to_a_size_and_to_grey() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("a");
    fs::create_dir(&class).unwrap();
    let grey = Pixels {
        channels: 1,
        bytes: vec![0, 40, 80, 120, 100, 140, 180, 220],
        ..rgb(4, 2, |_, _| [0; 3])
    };
    save(&class.join("0.png"), &grey);
    save(&class.join("1.png"), &rgb(4, 2, |_, _| [10, 200, 60]));
    let read = |interpolation, shape: &[usize]| {
        let options = ImageOptions {
            size: None,
            interpolation,
            threads: 2,
        };
        let columns = [wanted("image", ElementType::F32, shape)];
        let files = Folder::of_classes(folder.path(), ENDINGS, None).unwrap();
        let table = read_images(&files, options, &columns).unwrap();
        let column = &table.columns()[0];
        let n = column.per_row();
        let each = |r: usize| (0..n).map(|i| column.number(r * n + i).unwrap()).collect();
        (each(0), each(1))
    };
    let (first, second): (Vec<f64>, Vec<f64>) = read(Interpolation::Bilinear, &[1, 2]);
    // halfway between rows, and between columns 0 and 1, 2 and 3
    assert_eq!(first, [70.0, 150.0]);
    // 0.299 r + 0.587 g + 0.114 b
    assert_eq!(second, [127.0, 127.0]);
    let (first, _) = read(Interpolation::Nearest, &[4, 2, 1]);
    assert_eq!(
        first,
        [40.0, 120.0, 40.0, 120.0, 140.0, 220.0, 140.0, 220.0]
    );
    let (first, second) = read(Interpolation::Nearest, &[1, 1, 3]);
    assert_eq!((first, second), (vec![180.0; 3], vec![10.0, 200.0, 60.0]));
}

#[test]
fn what_is_wrong_with_a_folder_of_images_is_told_with_its_place() {
    let folder = shapes();
    let at = folder.path().join("shapes");
    let image = wanted("image", ElementType::U8, &[8, 8, 3]);
    let fails = |path: &Path, wanted: ColumnSpec| {
        let error = read(path, 3, &[wanted]).unwrap_err();
        let text = error
            .to_string()
            .replace(&folder.path().display().to_string(), "");
        (error.code(), text)
    };
    assert_eq!(
        fails(&folder.path().join("absent"), image.clone()),
        (Code::E0901, "/absent: no such file or folder".into())
    );
    assert_eq!(
        fails(&folder.path().join("run.nn"), image.clone()).0,
        Code::E0938
    );
    assert_eq!(
        fails(&at, wanted("label", ElementType::Class(3), &[])),
        (
            Code::E0946,
            "/shapes: it has 2 classes, `bars`, `dots`, but class[3] takes 3".into()
        )
    );
    assert_eq!(fails(&at.join("bars"), image.clone()).0, Code::E0946);
    let field = fails(&at, wanted("imgae", ElementType::U8, &[8, 8, 3]));
    assert_eq!(field.0, Code::E0913);
    assert!(field.1.contains("did you mean `image`?"), "{}", field.1);
    for shape in [&[8, 8, 2][..], &[8], &[8, 8, 3, 1]] {
        assert_eq!(
            fails(&at, wanted("image", ElementType::U8, shape)).0,
            Code::E0921
        );
    }
    assert_eq!(
        fails(&at, wanted("image", ElementType::Text, &[])).0,
        Code::E0921
    );

    // cut off, of another kind, empty: the first in order is told, whichever thread has it
    let whole = fs::read(at.join("dots/09.png")).unwrap();
    fs::write(at.join("dots/09.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at.join("dots/11.jpg"), "P6 8 8 255").unwrap();
    let (code, text) = fails(&at, image.clone());
    assert_eq!(code, Code::E0984);
    assert!(
        text.starts_with("/shapes/dots/09.png: not a readable PNG or JPEG image: "),
        "{text}"
    );
    fs::write(at.join("bars/02.png"), "").unwrap();
    assert!(
        fails(&at, image.clone())
            .1
            .starts_with("/shapes/bars/02.png")
    );
    let gone = "run.nn: no partial output";
    let out = nnc(folder.path(), &["run", "run.nn", "--out", "out"]);
    assert_eq!(out.status.code(), Some(3), "{gone}");
    assert!(!folder.path().join("out").exists(), "{gone}");
    fs::write(at.join("bars/00.gif"), "GIF89a").unwrap();
    assert!(
        fails(&at, image.clone())
            .1
            .starts_with("/shapes/bars/00.gif: not a readable PNG or JPEG image")
    );
    fs::create_dir(at.join("empty")).unwrap();
    fs::remove_file(at.join("bars/00.gif")).unwrap();
    assert_eq!(
        fails(&at, image),
        (
            Code::E0946,
            "/shapes/empty: the folder of this class has no images".into()
        )
    );
}

#[test]
fn samples_of_a_batch_are_mixed_by_shares_of_a_beta_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = recorded();
    let mixed = &recorded["mixed"];
    let save = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
        let column = Column::new(name, shape, ColumnData::F32(values)).unwrap();
        write_npy(&folder.path().join(format!("{name}.npy")), &column).unwrap();
    };
    let u = floats(&mixed["u"]);
    save("u", vec![], u.clone());
    save(
        "v",
        vec![4, 6],
        (0..u.len() * 24).map(|i| i as f32).collect(),
    );
    let program = "data d {
  source  npy(u = \"u.npy\", v = \"v.npy\")
  column  u : []
  column  v : [4, 6]
  input   a : [] = beta_shares(u, alpha = 0.2)
  input   b : [] = beta_shares(u, alpha = 3)
  input   m : [4, 6] = mixup(v, u, 0.25 + 0 * u)
  input   c : [4, 6] = cutmix(v, u, 0.75 + 0 * u, 0.5 + 0 * u, 0 * u)
  input   s : [] = cutmix_shares(v, 0.75 + 0 * u, 0.5 + 0 * u, 0 * u)
}
";
    fs::write(folder.path().join("d.nn"), program).unwrap();
    let out = fine(
        folder.path(),
        &["inspect", "d.nn", "--sample", "5", "--json"],
    );
    let seen: Value = serde_json::from_str(&out).unwrap();
    let samples = seen["sample"].as_array().unwrap();
    let scalar = |name: &str| -> Vec<f32> {
        let each = samples.iter();
        each.map(|s| floats(&s["fed"][name])[0]).collect()
    };
    near(&scalar("a"), &floats(&mixed["beta 0.2"]), 2e-4, "beta 0.2");
    near(&scalar("b"), &floats(&mixed["beta 3"]), 2e-4, "beta 3");
    // the order of the draws: the other of row i is the one with the i-th least
    let mut order: Vec<usize> = (0..u.len()).collect();
    order.sort_by(|&i, &j| u[i].total_cmp(&u[j]));
    assert!(order.iter().enumerate().any(|(i, &o)| i != o));
    for (i, &other) in order.iter().enumerate() {
        let own = |k: usize| (i * 24 + k) as f32;
        let theirs = |k: usize| (other * 24 + k) as f32;
        let expected: Vec<f32> = (0..24).map(|k| 0.25 * own(k) + 0.75 * theirs(k)).collect();
        near(&floats(&samples[i]["fed"]["m"]), &expected, 1e-3, "mixup");
        // half of each side: rows 1 and 2; columns -1 to 1, of which 0 and 1 are there
        let inside = |k: usize| (1..3).contains(&(k / 6)) && k % 6 < 2;
        let expected: Vec<f32> = (0..24)
            .map(|k| if inside(k) { theirs(k) } else { own(k) })
            .collect();
        near(&floats(&samples[i]["fed"]["c"]), &expected, 0.0, "cutmix");
    }
    near(&scalar("s"), &[1.0 - 4.0 / 24.0; 5], 1e-6, "what stays");
}
