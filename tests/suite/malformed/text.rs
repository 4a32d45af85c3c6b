//! Text with a delimiter, compressed or not, and JSON lines.

use super::{Case, Content, FEEDS, WORDS, gz, numbers};

const MEGABYTE: usize = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    [values(), files(), long(), json(), streams()]
        .into_iter()
        .flatten()
        .collect()
}

fn csv(name: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    numbers(name, "csv(\"a.csv\")", bytes)
}

fn tsv(name: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    numbers(name, "tsv(\"a.tsv\")", bytes)
}

/// Values and rows that do not fit.
fn values() -> Vec<Case> {
    let words = format!("column t : text\ncolumn y : class[2]\n{WORDS}");
    let pixels = format!("column x : u8[2] = a .. b\ncolumn y : class[2]\n{FEEDS}")
        .replace("input x : [2]", "input x : [2] = cast(x, real)");
    let whole = format!("column x : int[2] = a .. b\ncolumn y : class[2]\n{FEEDS}")
        .replace("input x : [2]", "input x : [2] = cast(x, real)");
    vec![
        csv("an empty file", ""),
        csv("a header and no rows", "a,b,y\n"),
        csv("blank lines alone", "\n\r\n\n"),
        csv("a row with a field too few", "a,b,y\n1,2,0\n1,2\n"),
        csv("a row with a field too many", "a,b,y\n1,2,0\n1,2,0,3\n"),
        csv("a last row that is cut off", "a,b,y\n1,2,0\n1,"),
        csv("a word for a number", "a,b,y\n1,2,0\n1,n/a,1\n"),
        csv("an empty field", "a,b,y\n1,2,0\n,2,1\n"),
        csv("nan", "a,b,y\n1,2,0\nnan,2,1\n"),
        csv("an infinite number", "a,b,y\n1,2,0\n1,-inf,1\n"),
        csv("a number beyond f32", "a,b,y\n1,2,0\n1,1e39,1\n"),
        csv(
            "a number with a comma in it",
            "a,b,y\n1,2,0\n1,\"1,000\",1\n",
        ),
        csv("a number with a unit", "a,b,y\n1,2,0\n1,70 kg,1\n"),
        csv("a class beyond the column's", "a,b,y\n1,2,0\n1,2,2\n"),
        csv("a negative class", "a,b,y\n1,2,0\n1,2,-1\n"),
        csv("a class in words", "a,b,y\n1,2,0\n1,2,yes\n"),
        csv("a fraction for a class", "a,b,y\n1,2,0\n1,2,0.5\n"),
        csv("a number beyond u8", "a,b,y\n1,2,0\n1,256,1\n").with(&pixels),
        csv("a negative number for u8", "a,b,y\n1,2,0\n-1,2,1\n").with(&pixels),
        csv("a fraction for a whole number", "a,b,y\n1,2,0\n1.5,2,1\n").with(&whole),
        csv(
            "a whole number beyond i32",
            "a,b,y\n1,2,0\n1,3000000000,1\n",
        )
        .with(&whole),
        csv(
            "a quote that is never closed",
            "a,b,y\n1,2,0\n1,\"2,0\n1,2,1\n",
        ),
        csv(
            "a quote that is closed rows later",
            "a,b,y\n1,\"2,0\n1,2\",1,0\n1,2,1\n",
        ),
        csv("text that is not UTF-8", b"t,y\nfine,0\ncaf\xe9,1\n").with(&words),
        csv("a name that is not UTF-8", b"a,\xe9,y\n1,2,0\n"),
        csv("UTF-16", b"\xff\xfea\0,\0b\0,\0y\0\n\0"),
        csv("zeros between the letters", b"a,b,y\n1\0,2\0,0\0\n"),
        csv("a column that is not there", "a,c,y\n1,2,0\n"),
        csv("a column of another case", "A,B,Y\n1,2,0\n"),
        csv("two columns of a name", "a,b,b,y\n1,2,3,0\n"),
        csv("another delimiter", "a;b;y\n1;2;0\n"),
        csv("no header where one is due", "1,2,0\n3,4,1\n"),
        tsv("commas in a TSV file", "a,b,y\n1,2,0\n"),
        tsv("a tab that is missing", "a\tb\ty\n1\t2\t0\n1\t2 1\n"),
        tsv(
            "a quote left open in a TSV file",
            "t\ty\n\"a\"\t0\n\"b\t1\nc\t0\n",
        )
        .with(&words),
    ]
}

/// Files that are no such files.
fn files() -> Vec<Case> {
    let rows: String = (0..4000)
        .map(|i| format!("{i},{},{}\n", i * i, i % 2))
        .collect();
    let rows = format!("a,b,y\n{rows}");
    let packed = gz(rows.as_bytes());
    let changed = |at: usize| {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x55;
        bytes
    };
    let no_files = |mut case: Case| {
        case.files.clear();
        case
    };
    let gone = || no_files(csv("a file that is not there", ""));
    let named = |name, case: Case| Case { name, ..case };
    vec![
        gone(),
        named("a folder in place of a file", gone()).and("a.csv", Content::Folder),
        {
            let mut case = numbers(
                "a file in place of a folder on the way",
                "csv(\"a.csv/b.csv\")",
                "",
            );
            case.files = vec![("a.csv".into(), Content::Bytes(b"1".to_vec()))];
            case
        },
        named("a link to nowhere", gone()).and("a.csv", Content::Link("nowhere.csv")),
        named("a link to itself", gone()).and("a.csv", Content::Link("a.csv")),
        named("a pipe that nobody writes to", gone()).and("a.csv", Content::Pipe),
        named("a device that never ends", gone()).and("a.csv", Content::Link("/dev/zero")),
        csv("gzip that is cut off", &packed[..packed.len() / 2]),
        csv(
            "gzip that is cut off in its checksum",
            &packed[..packed.len() - 3],
        ),
        csv("gzip with a wrong checksum", changed(packed.len() - 6)),
        csv("gzip with a wrong length", changed(packed.len() - 2)),
        csv("gzip that is broken inside", changed(packed.len() / 2)),
        csv(
            "gzip with something behind it",
            [&packed[..], b"more"].concat(),
        ),
        csv("gzip of nothing", gz(b"")),
        csv("a gzip header alone", &packed[..10]),
    ]
}

/// What would not fit into memory.
fn long() -> Vec<Case> {
    // members of gzip follow one another: 3 GB of the same in a few MB
    let member = gz(&vec![b'7'; 16 * MEGABYTE]);
    let three = member.repeat(192);
    let fields = [b"{".as_slice(), &b"\"a\":1,".repeat(3 << 20), b"\"a\":1}"].concat();
    let mut zeros = csv("3 GB of zeros", "");
    zeros.files = vec![("a.csv".into(), Content::Zeros(3 << 30))];
    let json = [gz(b"{\"a\": 1, \"b\": 2, \"y\": \""), three.clone()].concat();
    vec![
        csv(
            "a field of 3 GB",
            [gz(b"a,b,y\n1,2,0\n1,"), three.clone()].concat(),
        ),
        csv(
            "a quoted field of 3 GB",
            [
                gz(b"a,b,y\n1,2,0\n1,\""),
                gz(&b"9,0\n".repeat(4 * MEGABYTE)).repeat(192),
            ]
            .concat(),
        ),
        csv("a header of 3 GB", three),
        zeros,
        csv(
            "a header of 30 million fields",
            gz(&vec![b','; 30 * MEGABYTE]),
        ),
        csv(
            "a row of 30 million fields",
            [gz(b"a,b,y\n1,2,0\n"), gz(&vec![b','; 30 * MEGABYTE])].concat(),
        ),
        numbers(
            "a JSON object of 3 million fields",
            "jsonl(\"a.jsonl\")",
            gz(&fields),
        ),
        csv(
            "a field of 17 MB",
            [
                b"t,y\na,0\n\"".as_slice(),
                &vec![b'x'; 17 * MEGABYTE],
                b"\",1\n",
            ]
            .concat(),
        )
        .with(&format!("column t : text\ncolumn y : class[2]\n{WORDS}")),
        numbers("a JSON line of 3 GB", "jsonl(\"a.jsonl\")", json),
    ]
}

fn json() -> Vec<Case> {
    let one = |name, bytes: &[u8]| {
        let lines = [b"{\"x\": [1, 2], \"y\": 0}\n", bytes, b"\n"].concat();
        numbers(name, "jsonl(\"a.jsonl\")", lines)
            .with(&format!("column x : [2]\ncolumn y : class[2]\n{FEEDS}"))
    };
    let deep = [b"{\"x\": ".as_slice(), &[b'['; 100_000]].concat();
    let words = |name, bytes: &[u8]| {
        let lines = [b"{\"t\": \"a\", \"y\": 0}\n", bytes].concat();
        numbers(name, "jsonl(\"a.jsonl\")", lines)
            .with(&format!("column t : text\ncolumn y : class[2]\n{WORDS}"))
    };
    let packed = gz("{\"x\": [1, 2], \"y\": 0}\n".repeat(1000).as_bytes());
    let alone = |name, bytes: &str| {
        numbers(name, "jsonl(\"a.jsonl\")", bytes)
            .with(&format!("column x : [2]\ncolumn y : class[2]\n{FEEDS}"))
    };
    vec![
        alone("no JSON lines", "\n\n"),
        alone(
            "a list of objects, not lines",
            "[\n{\"x\": [1, 2], \"y\": 0}\n]\n",
        ),
        alone(
            "an object over several lines",
            "{\n  \"x\": [1, 2],\n  \"y\": 0\n}\n",
        ),
        alone("a CSV file as JSON lines", "x,y\n1,0\n"),
        alone("a field of another name", "{\"X\": [1, 2], \"y\": 0}\n"),
        one("a line that is cut off", b"{\"x\": [1, 2], \"y"),
        one(
            "two objects on a line",
            b"{\"x\": [1, 2], \"y\": 0} {\"x\": [1, 2], \"y\": 0}",
        ),
        one("a comma too many", b"{\"x\": [1, 2,], \"y\": 0}"),
        one("NaN in JSON", b"{\"x\": [NaN, 2], \"y\": 0}"),
        one("single quotes", b"{'x': [1, 2], 'y': 0}"),
        one("a text for a number", b"{\"x\": [1, 2], \"y\": \"1\"}"),
        one(
            "a text in a list of numbers",
            b"{\"x\": [1, \"2\"], \"y\": 1}",
        ),
        one("null", b"{\"x\": null, \"y\": 1}"),
        one("null in a list", b"{\"x\": [null, 2], \"y\": 1}"),
        one(
            "an object for a number",
            b"{\"x\": [1, 2], \"y\": {\"is\": 1}}",
        ),
        one("a number for a list", b"{\"x\": 1, \"y\": 1}"),
        one("a field that is missing in a row", b"{\"x\": [1, 2]}"),
        one(
            "a field that is there twice",
            b"{\"x\": [1, 2], \"y\": 1, \"x\": [3, 4]}",
        ),
        one("a list that is too short", b"{\"x\": [1], \"y\": 1}"),
        one("a list that is too long", b"{\"x\": [1, 2, 3], \"y\": 1}"),
        one("lists of other depths", b"{\"x\": [[1, 2], 3], \"y\": 1}"),
        one("a number beyond f64", b"{\"x\": [1e999, 2], \"y\": 1}"),
        one(
            "a number of JSON beyond f32",
            b"{\"x\": [1e39, 2], \"y\": 1}",
        ),
        one(
            "a class of JSON beyond the column's",
            b"{\"x\": [1, 2], \"y\": 2}",
        ),
        one(
            "a fraction of JSON for a class",
            b"{\"x\": [1, 2], \"y\": 0.5}",
        ),
        one("JSON nested too deep", &deep),
        words(
            "JSON that is not UTF-8",
            b"{\"t\": \"caf\xe9\", \"y\": 1}\n",
        ),
        words(
            "half of a surrogate pair",
            b"{\"t\": \"\\ud800\", \"y\": 1}\n",
        ),
        words("a number for a text", b"{\"t\": 3, \"y\": 1}\n"),
        words("a list for a text", b"{\"t\": [\"a\"], \"y\": 1}\n"),
        alone("gzip of JSON lines cut off", "").with_bytes(&packed[..packed.len() - 10]),
    ]
}

/// What is read in blocks, and kept in a cache beside the program.
fn streams() -> Vec<Case> {
    let case = |name, bytes: &[u8]| numbers(name, "csv(\"a.csv\", stream = true)", bytes);
    let rows: String = (0..4000)
        .map(|i| format!("{i},{},{}\n", i + 1, i % 2))
        .collect();
    let rows = format!("a,b,y\n{rows}");
    let packed = gz(rows.as_bytes());
    vec![
        case("an empty file, streamed", b""),
        case(
            "a bad number far down a stream",
            format!("{rows}1,?,0\n").as_bytes(),
        ),
        case(
            "a class far down a stream",
            format!("{rows}1,2,5\n").as_bytes(),
        ),
        case(
            "a ragged row far down a stream",
            format!("{rows}1,2\n").as_bytes(),
        ),
        case("streamed gzip that is cut off", &packed[..packed.len() - 9]),
    ]
}
