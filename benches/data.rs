//! Reading, shuffling and gathering.
//!
//! `cargo bench --bench data -- DIR` reads MNIST's IDX files in DIR; without DIR it uses generated images of the same size.
//! `cargo bench --bench data -- texts FILE.tsv [THREADS]` tokenizes and pads a column `review`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

use nnc::data::fitted::statistics::{Lengths, Over, statistics};
use nnc::data::formats::csv::{ColumnSpec, CsvOptions, Select, read_csv};
use nnc::data::formats::idx::read_idx;
use nnc::data::shuffle::shuffle;
use nnc::data::text::{Numbering, Rules, Side, Vocabulary};
use nnc::data::{Batches, Column, ColumnData, DataError, ElementType, Order, Table};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 60_000;

fn main() {
    let mut words = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let folder = words.next();
    if let (Some("texts"), Some(file)) = (folder.as_deref(), words.next()) {
        let threads = words.next().and_then(|n| n.parse().ok()).unwrap_or(2);
        if let Err(error) = texts(Path::new(&file), threads) {
            eprintln!("{error}");
        }
        return;
    }
    let image = match &folder {
        Some(folder) => {
            let path = Path::new(folder).join("train-images-idx3-ubyte");
            let (column, seconds) = best(3, || read_idx(&path, "image", None));
            println!("read {}: {:.0} ms", path.display(), seconds * 1e3);
            match column {
                Ok(column) => column,
                Err(error) => return eprintln!("{error}"),
            }
        }
        None => made_up(
            "image",
            vec![28, 28],
            ColumnData::U8((0..ROWS * 784).map(|i| (i % 251) as u8).collect()),
        ),
    };
    csv();
    let rows: Vec<u32> = (0..image.rows() as u32).collect();
    let (_, seconds) = best(20, || shuffle(&mut rows.clone(), [1, 2], 3));
    println!("permutation of {}: {:.2} ms", rows.len(), seconds * 1e3);
    let (_, seconds) = best(5, || {
        statistics(&image, &rows, Over::Element).map(|s| s.mean[0])
    });
    println!(
        "mean and deviation of 784 features: {:.0} ms",
        seconds * 1e3
    );

    let label = made_up("label", vec![], ColumnData::U8(vec![1; rows.len()]));
    let table = match Table::new(vec![image, label]) {
        Ok(table) => Arc::new(table),
        Err(error) => return eprintln!("{error}"),
    };
    // large batches: what waking the thread costs is not seen
    let order = Order::Shuffled { seed: 1 };
    if let Ok(mut batches) = Batches::new(table.clone(), &[0, 1], rows.clone(), 6400, order) {
        let mut epoch = batches.epoch(0);
        let start = Instant::now();
        while let Ok(Some(batch)) = epoch.next_batch() {
            black_box(batch.column(0).bytes[0]);
        }
        let seconds = start.elapsed().as_secs_f64() * 128.0 / rows.len() as f64;
        println!("gathering 128 x 784 u8: {:.2} us", seconds * 1e6);
    }
    for (name, order) in [
        ("shuffled", Order::Shuffled { seed: 1 }),
        ("in sequence", Order::Sequential),
    ] {
        let mut batches = match Batches::new(table.clone(), &[0, 1], rows.clone(), 128, order) {
            Ok(batches) => batches,
            Err(error) => return eprintln!("{error}"),
        };
        let count = batches.len() as f64;
        let mut number = 0;
        let (_, seconds) = best(10, || {
            let mut epoch = batches.epoch(number);
            number += 1;
            while let Ok(Some(batch)) = epoch.next_batch() {
                black_box(batch.column(0).bytes[0]);
            }
        });
        println!(
            "batch of 128 x 784 u8, {name}, consumer idle: {:.2} us",
            seconds / count * 1e6
        );
        // as in training: the consumer is busy while the next batches are gathered
        let mut waited = 0.0;
        let mut epoch = batches.epoch(number);
        for step in 0..1000 {
            let start = Instant::now();
            let Ok(Some(batch)) = epoch.next_batch() else {
                break;
            };
            // the thread starts with the first request
            waited += if step < 3 {
                0.0
            } else {
                start.elapsed().as_secs_f64()
            };
            black_box(batch.column(0).bytes[0]);
            let busy = Instant::now();
            while busy.elapsed().as_micros() < 300 {
                std::hint::spin_loop();
            }
        }
        println!(
            "the same, consumer busy for 300 us a batch: it waits {:.2} us",
            waited / count * 1e6
        );
    }
}

/// 5,000 rows of 785 numbers.
fn csv() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/data/mnist_5k.csv.gz");
    let spec = |name: &str, select, element| ColumnSpec {
        name: name.into(),
        select,
        element,
        shape: None,
        missing: false,
    };
    let specs = [
        spec("image", Select::Indices(0, 783), ElementType::U8),
        spec("label", Select::Index(784), ElementType::Class(10)),
    ];
    let (_, seconds) = best(3, || {
        read_csv(&path, CsvOptions::detect(), &specs).map(|t| t.rows())
    });
    println!(
        "read mnist_5k.csv.gz (9.1 MB of text): {:.0} ms",
        seconds * 1e3
    );
}

/// Words counted over four fifths of the texts, the ids of all, padded to mean + 2 deviations;
/// the same with byte pairs.
fn texts(path: &Path, threads: usize) -> Result<(), DataError> {
    let spec = ColumnSpec {
        name: "review".into(),
        select: Select::Name("review".into()),
        element: ElementType::Text,
        shape: None,
        missing: false,
    };
    let options = CsvOptions {
        delimiter: Some(b'\t'),
        ..CsvOptions::detect()
    };
    let start = Instant::now();
    let table = read_csv(path, options, &[spec])?;
    let ColumnData::Text(texts) = table.columns()[0].data() else {
        return Ok(());
    };
    println!(
        "read {} texts: {:.2} s",
        texts.len(),
        start.elapsed().as_secs_f64()
    );
    let rows: Vec<u32> = (0..texts.len() as u32 / 5 * 4).collect();
    let ways = [
        ("10,000 words", Numbering::ByCount),
        (
            "8,000 byte pairs",
            Numbering::BytePairs { min_frequency: 2 },
        ),
    ];
    for (name, ids) in ways {
        let rules = Rules {
            num_words: Some(if ids == Numbering::ByCount {
                10_000
            } else {
                8_000
            }),
            ids,
            ..Rules::default()
        };
        let (vocabulary, fitted) =
            best(3, || Vocabulary::fit(texts, &rows, rules.clone(), threads));
        let vocabulary = vocabulary?;
        let (ids, tokens) = best(3, || vocabulary.ids(texts, threads));
        let ids = ids?;
        let lengths = Lengths::new(&ids.lengths())?;
        let length = (lengths.mean() + 2.0 * lengths.std()) as usize;
        let (_, padded) = best(3, || ids.pad(length, Side::Pre, Side::Pre).map(black_box));
        println!(
            "{name}, {threads} threads: counted {fitted:.2} s, ids {tokens:.2} s, padded to {length} {padded:.3} s, together {:.2} s",
            fitted + tokens + padded
        );
    }
    Ok(())
}

fn made_up(name: &str, shape: Vec<usize>, data: ColumnData) -> Column {
    Column::new(name, shape, data).expect("whole rows")
}

/// Result and seconds of the fastest of several runs.
fn best<R>(runs: usize, mut f: impl FnMut() -> R) -> (R, f64) {
    let mut timed = || {
        let start = Instant::now();
        let result = f();
        (result, start.elapsed().as_secs_f64())
    };
    let mut best = timed();
    for _ in 1..runs {
        let next = timed();
        if next.1 < best.1 {
            best = next;
        }
    }
    best
}
