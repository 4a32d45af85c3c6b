//! Data sets that are fetched: from a server of the tests' own, which also truncates, stalls
//! and lies. The fetcher is given sets of its own with tiny files; the command line's are the
//! real ones, of which no test has the bytes.

use nnc::diag::Code;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use nnc::data::fetch::{Fetcher, Layout, Patience, Remote, SETS, Set, Told};
use nnc::data::formats::csv::{ColumnSpec, Select};
use nnc::data::{ColumnData, DataError, ElementType};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cli::{Place, err, events, find, out};
use crate::remote::request;

/// What the server does with a request for the file that it has.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Sends it, from where it is asked to.
    Fine,
    /// Sends it all, whatever is asked for.
    Whole,
    Status(u16),
    /// Says how long it is, and closes after so many bytes.
    Cut(usize),
    /// The same, and keeps silent.
    Stall(usize),
    /// Says that it is a byte shorter.
    Short,
    /// Sends chunks, and ten bytes too many.
    Long,
    /// Other bytes, as many.
    Wrong,
    /// Claims to go on at another place.
    Elsewhere,
}

struct Server {
    root: String,
    asked: Asked,
}

/// Path and `Range` of each request.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

impl Server {
    /// `acts`: of the first requests, the last one of all that follow.
    fn new(files: Vec<(&'static str, Vec<u8>)>, acts: &'static [Act]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let Some(request) = request(&stream) else {
                    continue;
                };
                let path = request
                    .line
                    .split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned();
                let range = request.headers.get("range").cloned();
                let mut seen = seen.lock().unwrap();
                let act = acts[seen.len().min(acts.len() - 1)];
                seen.push((path.clone(), range.clone()));
                drop(seen);
                let file = files.iter().find(|(name, _)| path.ends_with(name));
                let from = range.and_then(|r| {
                    let from = r.strip_prefix("bytes=")?.strip_suffix('-')?;
                    from.parse::<usize>().ok()
                });
                // a client that has gone away is its own business
                let _ = answer(&stream, act, file.map(|f| &f.1[..]), from);
                if matches!(act, Act::Stall(_)) {
                    silent.push(stream);
                }
            }
        });
        Server { root, asked }
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut to: &TcpStream,
    act: Act,
    file: Option<&[u8]>,
    from: Option<usize>,
) -> std::io::Result<()> {
    let end = "Connection: close\r\n\r\n";
    let (Some(file), false) = (file, matches!(act, Act::Status(_))) else {
        let status = match act {
            Act::Status(status) => status,
            _ => 404,
        };
        return write!(to, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{end}");
    };
    let length = file.len();
    let fine = |n: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n{end}");
    match (act, from) {
        (Act::Fine, Some(from)) => {
            let rest = length - from;
            let range = format!("Content-Range: bytes {from}-{}/{length}\r\n", length - 1);
            write!(
                to,
                "HTTP/1.1 206 Partial\r\nContent-Length: {rest}\r\n{range}{end}"
            )?;
            to.write_all(&file[from..])
        }
        (Act::Elsewhere, Some(_)) => {
            let range = format!("Content-Range: bytes 0-{}/{length}\r\n", length - 1);
            write!(
                to,
                "HTTP/1.1 206 Partial\r\nContent-Length: {length}\r\n{range}{end}"
            )?;
            to.write_all(file)
        }
        (Act::Cut(n) | Act::Stall(n), _) => {
            to.write_all(fine(length).as_bytes())?;
            to.write_all(&file[..n])?;
            to.flush()
        }
        (Act::Short, _) => {
            to.write_all(fine(length - 1).as_bytes())?;
            to.write_all(&file[..length - 1])
        }
        (Act::Long, _) => {
            write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{end}")?;
            write!(to, "{length:x}\r\n")?;
            to.write_all(file)?;
            to.write_all(b"\r\na\r\n0123456789\r\n0\r\n\r\n")
        }
        (Act::Wrong, _) => {
            to.write_all(fine(length).as_bytes())?;
            let other: Vec<u8> = file.iter().map(|b| b ^ 1).collect();
            to.write_all(&other)
        }
        _ => {
            to.write_all(fine(length).as_bytes())?;
            to.write_all(file)
        }
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// IDX, gzipped.
fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(values);
    gz(&bytes)
}

fn images(rows: u32, seed: u8) -> Vec<u8> {
    let pixels = (0..rows * 784).map(|i| (i as u8).wrapping_mul(seed));
    idx(&[rows, 28, 28], &pixels.collect::<Vec<_>>())
}

fn labels(rows: u32) -> Vec<u8> {
    idx(
        &[rows],
        &(0..rows).map(|i| (i % 10) as u8).collect::<Vec<_>>(),
    )
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A set of these files, which nothing but a mirror has.
fn set(layout: Layout, files: &[(&'static str, Vec<u8>)]) -> Set {
    let remotes: Vec<Remote> = files
        .iter()
        .map(|(name, bytes)| Remote {
            name,
            url: "https://nowhere.invalid/file",
            bytes: bytes.len() as u64,
            sha256: sha256(bytes).leak(),
        })
        .collect();
    Set {
        name: "toy",
        files: remotes.leak(),
        layout,
    }
}

fn digits() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train-images-idx3-ubyte.gz", images(30, 7)),
        ("train-labels-idx1-ubyte.gz", labels(30)),
        ("t10k-images-idx3-ubyte.gz", images(20, 11)),
        ("t10k-labels-idx1-ubyte.gz", labels(20)),
    ]
}

fn one() -> Vec<(&'static str, Vec<u8>)> {
    let bytes: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    vec![("one.bin", bytes)]
}

const BRIEF: Patience = Patience {
    connect: Duration::from_secs(5),
    stall: Duration::from_millis(150),
    pauses: &[Duration::from_millis(1), Duration::from_millis(1)],
};

fn fetch(cache: &Path, root: &str, set: &Set) -> Result<PathBuf, DataError> {
    let fetcher = Fetcher {
        cache,
        mirror: Some(root),
        patience: BRIEF,
        tell: &|_| {},
    };
    fetcher.fetch(set)
}

/// Files below a folder, without the lock.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with(".lock") {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

fn columns(wanted: &[(&str, ElementType)]) -> Vec<ColumnSpec> {
    let spec = |(name, element): &(&str, ElementType)| ColumnSpec {
        name: (*name).into(),
        select: Select::Name((*name).into()),
        element: *element,
        shape: None,
        missing: false,
    };
    wanted.iter().map(spec).collect()
}

#[test]
fn a_set_is_fetched_once_and_read() {
    let cache = tempfile::tempdir().unwrap();
    let set = set(Layout::Idx, &digits());
    let server = Server::new(digits(), &[Act::Fine]);
    let told = Mutex::new(Vec::new());
    let fetcher = Fetcher {
        cache: cache.path(),
        mirror: Some(&format!("{}/", server.root)),
        patience: BRIEF,
        tell: &|t| told.lock().unwrap().push(format!("{t:?}")),
    };
    let folder = fetcher.fetch(&set).unwrap();
    assert_eq!(folder, cache.path().join("datasets/toy"));
    let mut names: Vec<&str> = set.files.iter().map(|f| f.name).collect();
    names.sort_unstable();
    assert_eq!(files(cache.path()), names);
    assert_eq!(
        server.asked()[0],
        ("/toy/train-images-idx3-ubyte.gz".into(), None)
    );
    let told = told.into_inner().unwrap();
    let count = |word: &str| told.iter().filter(|t| t.starts_with(word)).count();
    assert_eq!((count("Began"), count("Done"), count("Again")), (4, 4, 0));
    // it is there: nobody is asked, and where nobody answers all is well
    assert_eq!(fetch(cache.path(), &server.root, &set).unwrap(), folder);
    assert_eq!(server.asked().len(), 4);
    let wanted = columns(&[
        ("label", ElementType::Class(10)),
        ("image", ElementType::U8),
    ]);
    let train = set.read(&folder, false, &wanted).unwrap();
    let test = set.read(&folder, true, &wanted).unwrap();
    assert_eq!((train.rows(), test.rows()), (30, 20));
    assert_eq!(train.columns()[1].shape(), [28, 28]);
    let ColumnData::U8(pixels) = test.columns()[1].data() else {
        panic!()
    };
    assert_eq!(pixels[..4], [0, 11, 22, 33]);
    let unknown = set.read(&folder, false, &columns(&[("imag", ElementType::U8)]));
    assert!(unknown.unwrap_err().to_string().contains("`image`"));
}

#[test]
fn what_was_cut_off_goes_on_from_there() {
    for (acts, ranges) in [
        (
            &[Act::Cut(40_000), Act::Fine] as &[_],
            &[None, Some("bytes=40000-")] as &[_],
        ),
        (
            &[Act::Stall(70_000), Act::Fine],
            &[None, Some("bytes=70000-")],
        ),
        // a server that knows no ranges, or other ones: from the start
        (
            &[Act::Cut(40_000), Act::Whole],
            &[None, Some("bytes=40000-")],
        ),
        (
            &[Act::Cut(40_000), Act::Elsewhere, Act::Fine],
            &[None, Some("bytes=40000-"), None],
        ),
        (&[Act::Status(503), Act::Fine], &[None, None]),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let set = set(Layout::Cifar, &one());
        let server = Server::new(one(), acts);
        let folder = fetch(cache.path(), &server.root, &set).unwrap();
        assert_eq!(
            fs::read(folder.join("one.bin")).unwrap(),
            one()[0].1,
            "{acts:?}"
        );
        assert_eq!(files(cache.path()), ["one.bin"]);
        let asked: Vec<_> = server.asked().into_iter().map(|(_, range)| range).collect();
        let expected: Vec<_> = ranges
            .iter()
            .map(|r: &Option<&str>| r.map(str::to_owned))
            .collect();
        assert_eq!(asked, expected, "{acts:?}");
    }
}

#[test]
fn what_a_killed_run_left_is_taken_up_if_it_is_of_the_file() {
    let whole = one()[0].1.clone();
    let mut other = whole[..500].to_vec();
    other[77] ^= 1;
    let long = vec![0; whole.len() + 1];
    for (left, ranges) in [
        (whole[..500].to_vec(), vec![Some("bytes=500-")]),
        (whole.clone(), vec![]),
        // found out by the checksum, and fetched anew
        (other, vec![Some("bytes=500-"), None]),
        (long, vec![None]),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("datasets/toy");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("one.bin.part"), left).unwrap();
        let server = Server::new(one(), &[Act::Fine]);
        fetch(cache.path(), &server.root, &set(Layout::Cifar, &one())).unwrap();
        assert_eq!(fs::read(folder.join("one.bin")).unwrap(), whole);
        assert_eq!(files(cache.path()), ["one.bin"]);
        let asked: Vec<_> = server.asked().into_iter().map(|(_, range)| range).collect();
        let expected: Vec<_> = ranges
            .iter()
            .map(|r: &Option<&str>| r.map(str::to_owned))
            .collect();
        assert_eq!(asked, expected);
    }
}

/// Code, how often the server is asked, and a part of the message.
type Failing = (&'static [Act], &'static str, usize, &'static str);

#[test]
fn what_cannot_be_fetched_says_why_and_leaves_nothing() {
    let cases: &[Failing] = &[
        (
            &[Act::Status(404)],
            "E0972",
            1,
            "/toy/one.bin: the server returned 404 (Not Found)",
        ),
        (
            &[Act::Status(500)],
            "E0972",
            3,
            "answers 500 (Internal Server Error)",
        ),
        (
            &[Act::Cut(40_000)],
            "E0973",
            3,
            "ended after 40000 of 100000 bytes",
        ),
        (
            &[Act::Stall(40_000)],
            "E0974",
            3,
            "no data for 0.15 s, after 40,000 of 100,000",
        ),
        (&[Act::Stall(0)], "E0974", 3, "after 0 of 100000"),
        (
            &[Act::Short],
            "E0975",
            1,
            "expected 100,000 bytes, but the server reports 99,999 bytes",
        ),
        (
            &[Act::Long],
            "E0975",
            1,
            "expected 100,000 bytes, but the server sends more",
        ),
        (
            &[Act::Wrong],
            "E0976",
            1,
            "checksum mismatch: the sha256 is",
        ),
    ];
    for (acts, code, tries, part) in cases {
        let cache = tempfile::tempdir().unwrap();
        let set = set(Layout::Cifar, &one());
        let server = Server::new(one(), acts);
        let error = fetch(cache.path(), &server.root, &set).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code().name(), *code, "{text}");
        assert!(
            text.contains(part) && text.starts_with(&server.root),
            "{text}"
        );
        assert_eq!(server.asked().len(), *tries, "{text}");
        assert_eq!(files(cache.path()), [""; 0], "{text}");
        assert!(error.is_of_a_fetch());
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let cache = tempfile::tempdir().unwrap();
    let error = fetch(cache.path(), &root, &set(Layout::Cifar, &one())).unwrap_err();
    assert_eq!(error.code(), Code::E0971, "{error}");
    assert_eq!(files(cache.path()), [""; 0]);
}

#[test]
fn two_that_fetch_at_once_fetch_once() {
    let cache = tempfile::tempdir().unwrap();
    let set = set(Layout::Idx, &digits());
    let server = Server::new(digits(), &[Act::Fine]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(cache.path(), &server.root, &set).unwrap());
        }
    });
    assert_eq!(server.asked().len(), 4);
    assert_eq!(files(cache.path()).len(), 4);
}

#[test]
fn another_that_fetches_is_waited_for() {
    let cache = tempfile::tempdir().unwrap();
    let toy = set(Layout::Cifar, &one());
    let folder = cache.path().join("datasets/toy");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap();
    let waiting = Mutex::new(Some(lock));
    let fetcher = Fetcher {
        cache: cache.path(),
        mirror: Some("http://127.0.0.1:1"),
        patience: BRIEF,
        tell: &|told| {
            // meanwhile the other one is done
            if matches!(told, Told::Waiting { set: "toy" }) {
                fs::write(folder.join("one.bin"), &one()[0].1).unwrap();
                drop(waiting.lock().unwrap().take());
            }
        },
    };
    fetcher.fetch(&toy).unwrap();
    assert!(waiting.lock().unwrap().is_none());
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    gz(&builder.into_inner().unwrap())
}

/// A set whose archive is in its folder.
fn archived(layout: Layout, bytes: &[u8]) -> (tempfile::TempDir, Set) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.tar.gz"), bytes).unwrap();
    (folder, set(layout, &[("a.tar.gz", bytes.to_vec())]))
}

/// A label, then a plane of each colour.
fn picture(label: u8) -> Vec<u8> {
    let mut record = vec![label];
    record.extend((0..3 * 1024).map(|i| (i / 1024 * 80 + i % 50) as u8 + label));
    record
}

#[test]
fn cifar_images_have_their_colours_last() {
    let batch = |labels: &[u8]| labels.iter().flat_map(|l| picture(*l)).collect::<Vec<u8>>();
    let bytes = archive(&[
        ("cifar-10-batches-bin/readme.html", b"x".to_vec()),
        ("cifar-10-batches-bin/data_batch_2.bin", batch(&[3])),
        ("cifar-10-batches-bin/data_batch_1.bin", batch(&[1, 2])),
        ("cifar-10-batches-bin/test_batch.bin", batch(&[9])),
    ]);
    let (folder, set) = archived(Layout::Cifar, &bytes);
    let wanted = columns(&[
        ("image", ElementType::U8),
        ("label", ElementType::Class(10)),
    ]);
    let train = set.read(folder.path(), false, &wanted).unwrap();
    assert_eq!(train.columns()[0].shape(), [32, 32, 3]);
    let label = |row| train.columns()[1].number(row).unwrap();
    assert_eq!([label(0), label(1), label(2)], [1.0, 2.0, 3.0]);
    let ColumnData::U8(pixels) = train.columns()[0].data() else {
        panic!()
    };
    // the second pixel of the second image
    let plane = |k: usize| picture(2)[1 + 1024 * k + 1];
    assert_eq!(pixels[3072 + 3..][..3], [plane(0), plane(1), plane(2)]);
    assert_eq!(set.read(folder.path(), true, &wanted).unwrap().rows(), 1);
    let cut = archive(&[("test_batch.bin", batch(&[1])[..3000].to_vec())]);
    let (folder, set) = archived(Layout::Cifar, &cut);
    let error = set.read(folder.path(), true, &wanted).unwrap_err();
    assert_eq!(error.code(), Code::E0908, "{error}");
    let wrong = archive(&[("test_batch.bin", batch(&[10]))]);
    let (folder, set) = archived(Layout::Cifar, &wrong);
    let error = set.read(folder.path(), true, &wanted).unwrap_err();
    assert_eq!(error.code(), Code::E0917, "{error}");
}

#[test]
fn reviews_stand_by_class_and_name() {
    let text = |t: &str| t.as_bytes().to_vec();
    let bytes = archive(&[
        ("aclImdb/train/unsup/0_0.txt", text("neither")),
        ("aclImdb/train/pos/1_9.txt", text("grand")),
        ("aclImdb/train/pos/0_8.txt", text("très bien")),
        ("aclImdb/train/neg/0_1.txt", text("dull")),
        ("aclImdb/train/urls_pos.txt", text("http")),
        ("aclImdb/test/neg/0_2.txt", text("no")),
    ]);
    let (folder, set) = archived(Layout::AclImdb, &bytes);
    let wanted = columns(&[
        ("text", ElementType::Text),
        ("sentiment", ElementType::Class(2)),
    ]);
    let train = set.read(folder.path(), false, &wanted).unwrap();
    let ColumnData::Text(texts) = train.columns()[0].data() else {
        panic!()
    };
    assert_eq!(
        texts.iter().collect::<Vec<_>>(),
        ["dull", "très bien", "grand"]
    );
    let sentiment = |row| train.columns()[1].number(row).unwrap();
    assert_eq!([sentiment(0), sentiment(1), sentiment(2)], [0.0, 1.0, 1.0]);
    assert_eq!(set.read(folder.path(), true, &wanted).unwrap().rows(), 1);
    let bad = archive(&[("aclImdb/test/pos/0_9.txt", vec![0xff, 0xfe])]);
    let (folder, set) = archived(Layout::AclImdb, &bad);
    let error = set.read(folder.path(), true, &wanted).unwrap_err();
    assert_eq!(error.code(), Code::E0911, "{error}");
    let (folder, set) = archived(Layout::AclImdb, &bytes[..bytes.len() / 2]);
    assert!(set.read(folder.path(), false, &wanted).is_err());
    let (folder, set) = archived(Layout::AclImdb, &archive(&[("other", vec![1])]));
    let error = set.read(folder.path(), false, &wanted).unwrap_err();
    assert_eq!(error.code(), Code::E0905, "{error}");
}

const DIGITS: &str = r#"
data digits {
  source  mnist()
  column  image : u8[28, 28]
  column  label : class[10]
  split   { train 80%, val 20% }
  input   x : [784]    = flatten(image) / 255
  target  y : class[10] = label
}
model Net(x: [784]) -> prob[10] { x |> Dense(10, softmax) }
train Net on digits {
  loss       sparse_categorical_crossentropy
  optimizer  SGD
  metrics    accuracy
}
"#;

fn digits_place() -> Place {
    let place = Place::new();
    fs::write(place.path().join("digits.nn"), DIGITS).unwrap();
    place
}

#[test]
fn a_set_that_is_not_to_be_had_fails_at_its_line() {
    let place = digits_place();
    let server = Server::new(vec![], &[Act::Status(404)]);
    let cache = place.path().join("cache");
    let run = |args: &str| {
        let mut command = place.command(args);
        command
            .env("NNC_CACHE", &cache)
            .env("NNC_MIRROR", &server.root);
        command.output().unwrap()
    };
    // nothing but a run looks at the data
    assert!(run("check digits.nn").status.success());
    assert_eq!(server.asked().len(), 0);
    let output = run("run digits.nn --out w");
    assert_eq!(output.status.code(), Some(3));
    let text = err(&output);
    for part in [
        "E0972",
        "digits.nn:3:3",
        "source  mnist()",
        &format!("{}/mnist/train-images-idx3-ubyte.gz", server.root),
        "--mirror URL",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!place.path().join("w").exists());
    assert_eq!(files(&cache), [""; 0]);
    // a mirror of the command line comes first
    let other = Server::new(vec![], &[Act::Status(403)]);
    let output = run(&format!("run digits.nn --json --mirror {}", other.root));
    assert_eq!(output.status.code(), Some(3));
    let told = events(&out(&output));
    let error = find(&told, "error");
    assert_eq!(
        (&error["code"], &error["line"]),
        (&Value::from("E0972"), &Value::from(3))
    );
    assert_eq!(other.asked().len(), 1);
    let output = run("inspect digits.nn --mirror ftp://x");
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    // a file of another size is another file
    let small = Server::new(digits(), &[Act::Fine]);
    let output = run(&format!("run digits.nn --mirror {}", small.root));
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("E0975"), "{}", err(&output));
    assert_eq!(files(&cache), [""; 0]);
}

/// `bytes`, and behind them empty gzip members with comments, `size` bytes together.
fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    let member = |comment: usize| {
        let builder = flate2::GzBuilder::new().comment(vec![b'x'; comment]);
        builder
            .write(Vec::new(), Compression::fast())
            .finish()
            .unwrap()
    };
    let least = member(0).len();
    while bytes.len() < size {
        let left = size - bytes.len();
        // what remains is nothing, or room for another
        let take = match left {
            n if n <= 60_000 => n,
            n => (n - least).min(60_000),
        };
        bytes.extend(member(take - least));
    }
    assert_eq!(bytes.len(), size);
    bytes
}

#[test]
fn a_set_in_the_cache_needs_no_network() {
    let place = digits_place();
    let folder = place.path().join("cache/datasets/mnist");
    fs::create_dir_all(&folder).unwrap();
    let mnist = SETS.iter().find(|s| s.name == "mnist").unwrap();
    for (remote, (name, bytes)) in mnist.files.iter().zip(digits()) {
        assert_eq!(remote.name, name);
        fs::write(folder.join(name), padded(bytes, remote.bytes as usize)).unwrap();
    }
    let run = |args: &str| {
        let mut command = place.command(args);
        command.env("NNC_CACHE", place.path().join("cache"));
        // nobody answers there
        command.env("NNC_MIRROR", "http://127.0.0.1:1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        events(&out(&output))
    };
    let told = run("run digits.nn --json --out w");
    let rows = &find(&told, "start")["rows"];
    assert_eq!(
        rows,
        &serde_json::json!({"train": 24, "val": 6, "test": 20})
    );
    assert!(told.iter().all(|e| e["event"] != "fetching"));
    let lock = fs::read_to_string(place.path().join("w/lock.json")).unwrap();
    let moved = place.path().join("elsewhere");
    fs::rename(place.path().join("cache"), &moved).unwrap();
    // where the cache is makes no other run
    let mut command = place.command("run digits.nn --json --out w --epochs 2 --resume");
    command.env("NNC_CACHE", &moved);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(!lock.contains("cache"), "{lock}");
}

#[test]
fn every_set_is_a_source() {
    let place = Place::new();
    for set in SETS {
        let columns = match set.layout {
            Layout::Idx => "column image : u8[28, 28]\n  column label : class[10]",
            Layout::Cifar => "column image : u8[32, 32, 3]\n  column label : class[10]",
            Layout::AclImdb => "column text : text\n  column sentiment : class[2]",
        };
        let text = format!("data d {{\n  source {}()\n  {columns}\n}}\n", set.name);
        fs::write(place.path().join("d.nn"), &text).unwrap();
        let output = place.nnc("check d.nn");
        assert!(output.status.success(), "{text}{}", err(&output));
    }
}
