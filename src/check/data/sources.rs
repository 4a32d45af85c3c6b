//! `source` items: the table of readers, and what each is given.
//!
//! A new reader is an entry of [`READERS`], which says what it takes and holds; arguments are matched against the table here, once for all.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::value::Val;

use super::env::DataEnv;

/// What can stand behind `source`.
const READERS: &[Reader] = &[
    Reader {
        name: "csv",
        takes: Takes::One("file.csv"),
        options: &[("header", Kind::Flag), ("stream", Kind::Flag)],
        holds: Holds::Anything,
        make: |given| table(given, b','),
    },
    Reader {
        name: "tsv",
        takes: Takes::One("file.tsv"),
        options: &[("header", Kind::Flag), ("stream", Kind::Flag)],
        holds: Holds::Anything,
        make: |given| table(given, b'\t'),
    },
    Reader {
        name: "jsonl",
        takes: Takes::One("file.jsonl"),
        options: &[],
        holds: Holds::Anything,
        make: |given| Format::Jsonl { path: given.path },
    },
    Reader {
        name: "parquet",
        takes: Takes::One("file.parquet"),
        options: &[],
        holds: Holds::Anything,
        make: |given| Format::Parquet { path: given.path },
    },
    Reader {
        name: "idx",
        takes: Takes::FilePerColumn,
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Idx { files: given.files },
    },
    Reader {
        name: "npy",
        takes: Takes::FilePerColumn,
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Npy { files: given.files },
    },
    Reader {
        name: "npz",
        takes: Takes::One("file.npz"),
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Npz { path: given.path },
    },
    Reader {
        name: "mnist",
        takes: Takes::Nothing,
        options: &[],
        holds: Holds::Fields(&[
            ("image", Field::Pixels(&[28, 28])),
            ("label", Field::Class(10)),
        ]),
        make: |_| fetched("mnist"),
    },
    Reader {
        name: "fashion_mnist",
        takes: Takes::Nothing,
        options: &[],
        holds: Holds::Fields(&[
            ("image", Field::Pixels(&[28, 28])),
            ("label", Field::Class(10)),
        ]),
        make: |_| fetched("fashion_mnist"),
    },
    Reader {
        name: "cifar10",
        takes: Takes::Nothing,
        options: &[],
        holds: Holds::Fields(&[
            ("image", Field::Pixels(&[32, 32, 3])),
            ("label", Field::Class(10)),
        ]),
        make: |_| fetched("cifar10"),
    },
    Reader {
        name: "imdb",
        takes: Takes::Nothing,
        options: &[],
        holds: Holds::Fields(&[("text", Field::Text), ("sentiment", Field::Class(2))]),
        make: |_| fetched("imdb"),
    },
    Reader {
        name: "texts",
        takes: Takes::One("folder"),
        options: &[("class_names", Kind::Names)],
        holds: Holds::Fields(&[
            ("text", Field::Text),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Texts {
            class_names: given.names("class_names"),
            path: given.path,
        },
    },
    Reader {
        name: "wavs",
        takes: Takes::One("folder"),
        options: &[("class_names", Kind::Names), ("rate", Kind::Count)],
        holds: Holds::Fields(&[
            ("audio", Field::Sound),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Wavs {
            class_names: given.names("class_names"),
            rate: given.count("rate"),
            path: given.path,
        },
    },
    Reader {
        name: "images",
        takes: Takes::One("folder"),
        options: &[
            ("class_names", Kind::Names),
            ("size", Kind::Size),
            ("interpolation", Kind::Interpolation),
        ],
        holds: Holds::Fields(&[
            ("image", Field::Image),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Images {
            class_names: given.names("class_names"),
            size: given.size("size"),
            interpolation: given.interpolation("interpolation"),
            path: given.path,
        },
    },
];

fn table(given: Given, delimiter: u8) -> Format {
    Format::Csv {
        header: given.flag("header").unwrap_or(true),
        path: given.path,
        delimiter,
    }
}

/// The readers with an option of this name, if there are any.
fn readers_with(option: &str) -> Option<String> {
    let takes = |r: &&Reader| r.options.iter().any(|(o, _)| *o == option);
    let names: Vec<&str> = READERS.iter().filter(takes).map(|r| r.name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Its training rows: see [`Elab::fetched_rows`].
fn fetched(set: &'static str) -> Format {
    Format::Fetched {
        set,
        rows: Part::Train,
        folder: None,
    }
}

struct Reader {
    name: &'static str,
    takes: Takes,
    options: &'static [(&'static str, Kind)],
    holds: Holds,
    make: fn(Given) -> Format,
}

impl Reader {
    /// Why a column cannot come from it, as a sentence and what to write at the column.
    fn lacks(&self, column: &ColumnSpec, format: &Format) -> Option<(String, String)> {
        if let Format::Idx { files } | Format::Npy { files } = format {
            let of_column = |name: &String| match &column.selector {
                Selector::Name(n) => name == n || *name == column.name,
                Selector::Index(_) | Selector::Names(..) | Selector::Indices(..) => {
                    *name == column.name
                }
            };
            if !files.iter().any(|(name, _)| of_column(name)) {
                let message = format!("`{}` has no file for `{}`", self.name, column.name);
                let label = format!("add it to the source: `{} = \"file\"`", column.name);
                return Some((message, label));
            }
        }
        let fields = match self.holds {
            Holds::Numbers if column.kind == ColumnKind::Text => {
                let message = format!("`{}` holds numbers, not text", self.name);
                return Some((message, "this is a column of text".into()));
            }
            Holds::Anything | Holds::Numbers => return None,
            Holds::Fields(fields) => fields,
        };
        let of_column = fields.iter().find(|(name, _)| match &column.selector {
            Selector::Name(n) => n == name,
            Selector::Index(_) | Selector::Names(..) | Selector::Indices(..) => false,
        });
        match of_column {
            Some((_, field)) if field.takes(column) => None,
            Some((name, field)) => Some((
                format!("`{name}` of `{}` has the type {}", self.name, field.types()),
                "this column has a different type".into(),
            )),
            None => {
                let names: Vec<String> = fields.iter().map(|(n, _)| format!("`{n}`")).collect();
                Some((
                    format!("`{}` has the columns {}", self.name, names.join(", ")),
                    "this is not one of them: select one after `=`".into(),
                ))
            }
        }
    }
}

/// What a reader takes beside its options.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// A path without a name; such as this.
    One(&'static str),
    /// `column = "file"`, for each column.
    FilePerColumn,
    Nothing,
}

/// What can be had of a source, as far as its format decides it.
#[derive(Clone, Copy)]
enum Holds {
    /// The file says.
    Anything,
    Numbers,
    Fields(&'static [(&'static str, Field)]),
}

/// What a field of a source can be read as.
#[derive(Clone, Copy)]
enum Field {
    Text,
    /// The number or the name of a class.
    Label,
    /// Samples, or samples of each channel.
    Sound,
    /// Grey, or of three colours.
    Image,
    /// Bytes of this shape.
    Pixels(&'static [usize]),
    /// A class of so many.
    Class(usize),
}

impl Field {
    fn takes(self, column: &ColumnSpec) -> bool {
        let rank = column.shape.len();
        match (self, column.kind) {
            (Field::Pixels(shape), ColumnKind::U8) => column.shape == shape,
            (Field::Class(n), ColumnKind::Class(of)) => rank == 0 && n == of,
            (Field::Class(_), ColumnKind::I32) => rank == 0,
            (_, ColumnKind::Text) => matches!(self, Field::Text | Field::Label),
            (Field::Label, ColumnKind::Class(_) | ColumnKind::I32) => rank == 0,
            (Field::Sound, ColumnKind::F32) => rank == 1 || rank == 2,
            (Field::Image, ColumnKind::U8 | ColumnKind::F32) => {
                rank == 2 || rank == 3 && matches!(column.shape[2], 1 | 3)
            }
            _ => false,
        }
    }

    fn types(self) -> String {
        match self {
            Field::Text => "text".into(),
            Field::Label => "class[n], int or text".into(),
            Field::Sound => "[length] or [length, channels]".into(),
            Field::Pixels(shape) => format!("u8{shape:?}"),
            Field::Class(n) => format!("class[{n}] or int"),
            Field::Image => {
                "u8[height, width, 3], grey u8[height, width], or the same of real numbers".into()
            }
        }
    }
}

/// What an option is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Flag,
    /// At least 1.
    Count,
    /// Texts.
    Names,
    /// Height and width.
    Size,
    Interpolation,
}

/// The arguments of a source, each of its kind.
#[derive(Default)]
struct Given {
    path: String,
    files: Vec<(String, String)>,
    options: Vec<(&'static str, Choice)>,
}

/// The value of an option.
enum Choice {
    Flag(bool),
    Count(u32),
    Names(Vec<String>),
    Size([usize; 2]),
    Interpolation(Interpolation),
}

impl Given {
    fn flag(&self, name: &str) -> Option<bool> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Flag(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    fn count(&self, name: &str) -> Option<u32> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Count(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    fn names(&self, name: &str) -> Option<Vec<String>> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Names(x) if *n == name => Some(x.clone()),
            _ => None,
        })
    }

    fn size(&self, name: &str) -> Option<[usize; 2]> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Size(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    fn interpolation(&self, name: &str) -> Interpolation {
        let given = self.options.iter().find_map(|(n, c)| match c {
            Choice::Interpolation(x) if *n == name => Some(*x),
            _ => None,
        });
        given.unwrap_or(Interpolation::Bilinear)
    }
}

impl Elab<'_> {
    pub(super) fn source(
        &mut self,
        part: Option<&Ident>,
        value: &Expr,
        span: Span,
        env: &mut DataEnv,
    ) {
        let part = match part {
            None => None,
            Some(p) => match self.part(p) {
                Some(p) => Some(p),
                None => return,
            },
        };
        let ExprKind::Call { callee, args, .. } = &value.kind else {
            self.error(
                Code::E0501,
                value.span,
                "a source must be a call such as `csv(\"file.csv\")`",
                "not a call",
            );
            return;
        };
        let ExprKind::Name(name) = &callee.kind else {
            self.error(
                Code::E0501,
                callee.span,
                "a source must be a call such as `csv(\"file.csv\")`",
                "not a reader's name",
            );
            return;
        };
        let Some(reader) = READERS.iter().find(|r| *r.name == *name.text) else {
            return self.unknown_reader(name);
        };
        let Some(given) = self.source_args(reader, name, args) else {
            return;
        };
        env.readers.push((reader.name, value.span));
        let stream = given.flag("stream").unwrap_or(false);
        let format = (reader.make)(given);
        let parts = match format {
            Format::Fetched { set, .. } => match self.fetched_rows(set, part, span) {
                Some(parts) => parts,
                None => return,
            },
            format => vec![(part, format)],
        };
        for (part, format) in parts {
            self.judged_twice(part, &format, span, env);
            env.spec.sources.push(SourceSpec {
                part,
                format,
                stream,
                span,
            });
        }
    }

    /// A data set's training and test rows, or those of the part that is asked for.
    fn fetched_rows(
        &mut self,
        set: &'static str,
        part: Option<Part>,
        span: Span,
    ) -> Option<Vec<(Option<Part>, Format)>> {
        let rows = |part| {
            let format = Format::Fetched {
                set,
                rows: part,
                folder: None,
            };
            (Some(part), format)
        };
        match part {
            None => Some(vec![rows(Part::Train), rows(Part::Test)]),
            Some(part @ (Part::Train | Part::Test)) => Some(vec![rows(part)]),
            Some(Part::Val) => {
                let d = Diagnostic::error(Code::E0501, format!("`{set}` has no validation rows"))
                    .label(span, "it has training and test rows")
                    .help("split off some of the training rows: `split { train 90%, val 10% }`");
                self.report(d);
                None
            }
        }
    }

    fn unknown_reader(&mut self, name: &Ident) {
        let known = || READERS.iter().map(|r| r.name);
        let mut d = Diagnostic::error(Code::E0501, format!("unknown source `{}`", name.text))
            .label(name.span, "not a reader")
            .note(format!(
                "readers: {}",
                known().collect::<Vec<_>>().join(", ")
            ));
        if let Some(near) = did_you_mean(&name.text, known()) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(name.span, near);
        }
        self.report(d);
    }

    /// The rows that a model is judged by at the end must not be those that it is tuned on.
    fn judged_twice(&mut self, part: Option<Part>, format: &Format, span: Span, env: &DataEnv) {
        // `./a.csv` and `a.csv.gz` are `a.csv`
        let spelled = |f: &Format| {
            format!("{f:?}")
                .replace("\"./", "\"")
                .replace(".gz\"", "\"")
        };
        let same = |s: &&SourceSpec| s.part != part && spelled(&s.format) == spelled(format);
        let Some(first) = env.spec.sources.iter().find(same) else {
            return;
        };
        let name = |part: Option<Part>| match part {
            Some(part) => format!("as `{}`", part.name()),
            None => "to be split".into(),
        };
        let d = Diagnostic::error(
            Code::E0512,
            format!(
                "the same rows are used {} and {}",
                name(first.part),
                name(part)
            ),
        )
        .label(span, "the same file again")
        .label(first.span, format!("here {}", name(first.part)))
        .note("scores on rows that the model was fitted to or selected on are too good")
        .help("take both sets from one file with `split { train 80%, val 20% }`");
        self.report(d);
    }

    /// The arguments as the reader takes them; none once a mistake was reported.
    fn source_args(&mut self, reader: &Reader, name: &Ident, args: &[Arg]) -> Option<Given> {
        let before = self.diags.len();
        let mut given = Given::default();
        let mut path = None;
        for a in args {
            let option = |n: &Ident| {
                let mut options = reader.options.iter();
                options.find(|(o, _)| *o == &*n.text).copied()
            };
            match (&a.name, reader.takes) {
                (Some(n), _) if option(n).is_some() => {
                    let (name, kind) = option(n)?;
                    if let Some(choice) = self.choice(name, kind, &a.value) {
                        given.options.push((name, choice));
                    }
                }
                (Some(n), Takes::FilePerColumn) => {
                    let file = self.text(&a.value)?;
                    given.files.push((n.text.to_string(), file));
                }
                (None, Takes::Nothing) => {
                    self.error(
                        Code::E0107,
                        a.span,
                        format!("`{}` takes no argument", name.text),
                        "unexpected argument",
                    );
                }
                (Some(n), Takes::One(_) | Takes::Nothing) => {
                    let message = format!("`{}` has no argument `{}`", name.text, n.text);
                    let mut d =
                        Diagnostic::error(Code::E0104, message).label(n.span, "unknown argument");
                    let options = reader.options.iter().map(|(o, _)| *o);
                    if let Some(near) = did_you_mean(&n.text, options) {
                        d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                    } else if let Some(others) = readers_with(&n.text) {
                        d = d.note(format!("readers with this argument: {others}"));
                    }
                    self.report(d);
                }
                (None, Takes::One(_)) if path.is_none() => path = Some(self.text(&a.value)?),
                (None, Takes::One(_)) => {
                    self.error(
                        Code::E0107,
                        a.span,
                        format!("`{}` takes one path", name.text),
                        "unexpected argument",
                    );
                }
                (None, Takes::FilePerColumn) => {
                    let d = Diagnostic::error(Code::E0106, "this reader takes one file per column")
                        .label(a.span, "which column is this?")
                        .help("write `column = \"file\"`");
                    self.report(d);
                    return None;
                }
            }
        }
        if let (Takes::One(such), None) = (reader.takes, &path) {
            self.error(
                Code::E0106,
                name.span,
                format!("`{}` needs a path", name.text),
                format!("for example, `{}(\"{such}\")`", name.text),
            );
        }
        given.path = path.unwrap_or_default();
        (self.diags.len() == before).then_some(given)
    }

    fn choice(&mut self, name: &str, kind: Kind, e: &Expr) -> Option<Choice> {
        if kind == Kind::Interpolation {
            let word = match &e.kind {
                ExprKind::Name(n) => &*n.text,
                _ => "",
            };
            let found = match word {
                "bilinear" => Some(Interpolation::Bilinear),
                "nearest" => Some(Interpolation::Nearest),
                _ => None,
            };
            if found.is_none() {
                let what = "`interpolation` must be `bilinear` or `nearest`";
                self.error(Code::E0307, e.span, what, "unknown method");
            }
            return found.map(Choice::Interpolation);
        }
        let found = self.eval(e);
        let text = |v: &Val| match v {
            Val::Str(s) => Some(s.to_string()),
            _ => None,
        };
        let expected = match (kind, &found) {
            (_, Val::Error) => return None,
            (Kind::Flag, Val::Bool(x)) => return Some(Choice::Flag(*x)),
            (Kind::Size, Val::List(items)) if items.len() == 2 => {
                let side = |v: &Val| match v {
                    Val::Int(d) => d.as_const().filter(|n| (1..=30_000).contains(n)),
                    _ => None,
                };
                if let (Some(height), Some(width)) = (side(&items[0]), side(&items[1])) {
                    return Some(Choice::Size([height as usize, width as usize]));
                }
                "a height and a width in pixels, such as [64, 64]"
            }
            (Kind::Flag, _) => "true or false",
            (Kind::Count, Val::Int(Dim::Const(n))) if (1..=i64::from(u32::MAX)).contains(n) => {
                return Some(Choice::Count(*n as u32));
            }
            (Kind::Count, _) => "an integer from 1",
            (Kind::Names, Val::List(items)) => {
                let names: Option<Vec<String>> = items.iter().map(text).collect();
                match names {
                    Some(names) if !names.is_empty() => return Some(Choice::Names(names)),
                    _ => "a list of strings",
                }
            }
            (Kind::Names, _) => "a list of strings",
            (Kind::Size | Kind::Interpolation, _) => {
                "a height and a width in pixels, such as [64, 64]"
            }
        };
        self.error(
            Code::E0301,
            e.span,
            format!("`{name}` must be {expected}"),
            format!("this is {}", found.describe()),
        );
        None
    }

    /// Refuses columns that a source's format does not have, or not as that type.
    pub(super) fn what_sources_hold(&mut self, env: &DataEnv) {
        for ((name, at), source) in env.readers.iter().zip(&env.spec.sources) {
            let Some(reader) = READERS.iter().find(|r| r.name == *name) else {
                continue;
            };
            for column in &env.spec.columns {
                if let Some((message, label)) = reader.lacks(column, &source.format) {
                    let d = Diagnostic::error(Code::E0514, message)
                        .label(column.span, label)
                        .label(*at, "the source");
                    self.report(d);
                }
            }
        }
    }

    pub fn text(&mut self, e: &Expr) -> Option<String> {
        match self.eval(e) {
            Val::Str(s) => Some(s.to_string()),
            Val::Error => None,
            other => {
                self.error(
                    Code::E0301,
                    e.span,
                    "a path must be a string in quotes",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }
}
