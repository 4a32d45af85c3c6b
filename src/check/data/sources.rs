//! `source` items: arguments matched with what the runtime's readers take, and what columns can
//! come from them.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::value::Val;

use super::env::{DataEnv, Reader};

/// Why a column cannot come from a reader, as a sentence and what to write at the column.
fn lacks(reader: Reader, column: &ColumnSpec, format: &Format) -> Option<(String, String)> {
    if let Format::Idx { files } | Format::Npy { files } = format {
        let of_column = |name: &String| match &column.selector {
            Selector::Name(n) => name == n || *name == column.name,
            Selector::Index(_)
            | Selector::Names(..)
            | Selector::Indices(..)
            | Selector::Each(_) => *name == column.name,
        };
        if !files.iter().any(|(name, _)| of_column(name)) {
            let message = format!("`{}` has no file for `{}`", reader.name(), column.name);
            let label = format!("add it to the source: `{} = \"file\"`", column.name);
            return Some((message, label));
        }
    }
    let fields = match reader.holds() {
        Holds::Numbers if column.kind == ColumnKind::Text => {
            let message = format!("`{}` holds numbers, not text", reader.name());
            return Some((message, "this is a column of text".into()));
        }
        Holds::Anything | Holds::Numbers => return None,
        Holds::Fields(fields) => fields,
    };
    let of_column = fields.iter().find(|(name, _)| match &column.selector {
        Selector::Name(n) => n == name,
        Selector::Index(_) | Selector::Names(..) | Selector::Indices(..) | Selector::Each(_) => {
            false
        }
    });
    match of_column {
        Some((_, field)) if takes(*field, column) => None,
        Some((name, field)) => Some((
            format!(
                "`{name}` of `{}` has the type {}",
                reader.name(),
                types(*field)
            ),
            "this column has a different type".into(),
        )),
        None => {
            let names: Vec<String> = fields.iter().map(|(n, _)| format!("`{n}`")).collect();
            Some((
                format!("`{}` has the columns {}", reader.name(), names.join(", ")),
                "this is not one of them: select one after `=`".into(),
            ))
        }
    }
}

/// Whether a column can be read from a field.
fn takes(field: Field, column: &ColumnSpec) -> bool {
    let rank = column.shape.len();
    match (field, column.kind) {
        (Field::Pixels(shape), ColumnKind::U8) => column.shape == shape,
        (Field::Class(n), ColumnKind::Class(of)) => rank == 0 && n == of,
        (Field::Class(_), ColumnKind::I32) => rank == 0,
        (_, ColumnKind::Text) => matches!(field, Field::Text | Field::Label),
        (Field::Label, ColumnKind::Class(_) | ColumnKind::I32) => rank == 0,
        (Field::Sound, ColumnKind::F32) => rank == 1 || rank == 2,
        (Field::Image, ColumnKind::U8 | ColumnKind::F32) => {
            rank == 2 || rank == 3 && matches!(column.shape[2], 1 | 3)
        }
        _ => false,
    }
}

fn types(field: Field) -> String {
    match field {
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
        let Some(reader) = self.readers().find(|r| r.name() == &*name.text) else {
            return self.unknown_reader(name);
        };
        let Some(given) = self.source_args(reader, name, args) else {
            return;
        };
        let stream = given.flag("stream").unwrap_or(false);
        let format = reader.make(given);
        env.readers.push((reader, format.clone(), value.span));
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
                self.diagnose(d);
                None
            }
        }
    }

    /// The readers of the runtime, then its data sets.
    fn readers(&self) -> impl Iterator<Item = Reader> + use<> {
        let Runtime {
            sources, data_sets, ..
        } = self.world.runtime;
        let sources = sources.iter().map(Reader::Format);
        sources.chain(data_sets.iter().map(Reader::DataSet))
    }

    /// The readers with an option of this name, if there are any.
    fn readers_with(&self, option: &str) -> Option<String> {
        let takes = |r: &Reader| r.options().iter().any(|(o, _)| *o == option);
        let names: Vec<&str> = self.readers().filter(takes).map(Reader::name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn unknown_reader(&mut self, name: &Ident) {
        let names: Vec<&str> = self.readers().map(Reader::name).collect();
        let mut d = Diagnostic::error(Code::E0501, format!("unknown source `{}`", name.text))
            .label(name.span, "not a reader")
            .note(format!("readers: {}", names.join(", ")));
        if let Some(near) = did_you_mean(&name.text, names.iter().copied()) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(name.span, near);
        }
        self.diagnose(d);
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
        self.diagnose(d);
    }

    /// The arguments as the reader takes them; none once a mistake was reported.
    fn source_args(
        &mut self,
        reader: Reader,
        name: &Ident,
        args: &[Arg],
    ) -> Option<SourceArguments> {
        let before = self.diags.len();
        let mut given = SourceArguments::default();
        let mut path = None;
        for a in args {
            let option = |n: &Ident| {
                let mut options = reader.options().iter();
                options.find(|(o, _)| *o == &*n.text).copied()
            };
            match (&a.name, reader.takes()) {
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
                    let options = reader.options().iter().map(|(o, _)| *o);
                    if let Some(near) = did_you_mean(&n.text, options) {
                        d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                    } else if let Some(others) = self.readers_with(&n.text) {
                        d = d.note(format!("readers with this argument: {others}"));
                    } else {
                        let all: Vec<&str> = reader.options().iter().map(|(o, _)| *o).collect();
                        d = match all.is_empty() {
                            true => d.help("it takes a path alone"),
                            false => d.help(format!("its arguments are: {}", all.join(", "))),
                        };
                    }
                    self.diagnose(d);
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
                    self.diagnose(d);
                    return None;
                }
            }
        }
        if let (Takes::One(such), None) = (reader.takes(), &path) {
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

    fn choice(&mut self, name: &str, kind: OptionKind, e: &Expr) -> Option<Choice> {
        if kind == OptionKind::Interpolation {
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
            (OptionKind::Flag, Val::Bool(x)) => return Some(Choice::Flag(*x)),
            (OptionKind::Size, Val::List(items)) if items.len() == 2 => {
                let side = |v: &Val| match v {
                    Val::Int(d) => d.as_const().filter(|n| (1..=30_000).contains(n)),
                    _ => None,
                };
                if let (Some(height), Some(width)) = (side(&items[0]), side(&items[1])) {
                    return Some(Choice::Size([height as usize, width as usize]));
                }
                "a height and a width in pixels, such as [64, 64]"
            }
            (OptionKind::Flag, _) => "true or false",
            (OptionKind::Count, Val::Int(Dim::Const(n)))
                if (1..=i64::from(u32::MAX)).contains(n) =>
            {
                return Some(Choice::Count(*n as u32));
            }
            (OptionKind::Count, _) => "an integer from 1",
            (OptionKind::Names, Val::List(items)) => {
                let names: Option<Vec<String>> = items.iter().map(text).collect();
                match names {
                    Some(names) if !names.is_empty() => return Some(Choice::Names(names)),
                    _ => "a list of strings",
                }
            }
            (OptionKind::Names, _) => "a list of strings",
            (OptionKind::Size | OptionKind::Interpolation, _) => {
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
        for (reader, format, at) in &env.readers {
            for column in &env.spec.columns {
                if let Some((message, label)) = lacks(*reader, column, format) {
                    let d = Diagnostic::error(Code::E0514, message)
                        .label(column.span, label)
                        .label(*at, "the source");
                    self.diagnose(d);
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
