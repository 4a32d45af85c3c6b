//! From texts to ids: `Tokenizer` with Keras' arguments, `Hashing`, `BPE`; and the vectors
//! that a file has for the words of a vocabulary.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::spec::{FitKind, RowsSpec, Tokenizing, WordIds};
use crate::syntax::ast::{Arg, ExprKind, Ident};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::state::Fit;
use crate::check::elab::value::Val;

pub(crate) const TOKENIZERS: [&str; 3] = ["BPE", "Hashing", "Tokenizer"];

/// The most words of which one is made.
const LONGEST: i64 = 16;

type Found = Option<(Option<FitKind>, Option<RowsSpec>)>;

/// The arguments of a tokenizer after the column.
fn options(name: &str) -> &'static [&'static str] {
    match name {
        "BPE" => &["vocab_size", "min_frequency", "lower"],
        "Hashing" => &[
            "num_words",
            "filters",
            "lower",
            "split",
            "char_level",
            "ngrams",
        ],
        _ => &[
            "num_words",
            "filters",
            "lower",
            "split",
            "char_level",
            "oov_token",
            "ngrams",
        ],
    }
}

impl Elab<'_> {
    /// `Tokenizer(train.text, num_words = 10_000)` and its kin.
    pub(super) fn tokenizer(&mut self, callee: &Ident, args: &[Arg], env: &DataEnv) -> Found {
        let name = &*callee.text;
        let mut column = None;
        let mut rules = Tokenizing {
            num_words: None,
            filters: None,
            lower: name != "BPE",
            split: " ".into(),
            char_level: false,
            oov_token: None,
            ngrams: vec![1],
            ids: match name {
                "BPE" => WordIds::BytePairs { min_frequency: 2 },
                "Hashing" => WordIds::ByHash,
                _ => WordIds::ByCount,
            },
        };
        let mut sound = true;
        for a in args {
            match &a.name {
                Some(n) if !options(name).contains(&&*n.text) => {
                    let what = format!("`{name}` has no argument `{}`", n.text);
                    let mut d =
                        Diagnostic::error(Code::E0104, what).label(n.span, "unknown argument");
                    if let Some(near) = did_you_mean(&n.text, options(name).iter().copied()) {
                        d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                    } else {
                        d = d.help(format!("its arguments are: {}", options(name).join(", ")));
                    }
                    self.diagnose(d);
                    sound = false;
                }
                Some(n) => sound &= self.tokenizer_option(name, n, a, &mut rules),
                None if column.is_none() => column = Some(self.training_column(&a.value, env)?),
                None => {
                    let what = format!("`{name}` takes one column");
                    self.error(Code::E0107, a.span, what, "unexpected argument");
                    return None;
                }
            }
        }
        let Some(column) = column else {
            let what = format!("`{name}` needs a text column");
            let label = format!("for example, `{name}(train.text)`");
            self.error(Code::E0106, callee.span, what, label);
            return None;
        };
        if !env.texts.contains(&column.text) {
            let what = format!("`{name}` needs a text column");
            let label = format!("`{}` holds numbers", column.text);
            self.error(Code::E0513, column.span, what, label);
            return None;
        }
        if sound && name != "Tokenizer" && rules.num_words.is_none() {
            let option = options(name)[0];
            let what = format!("`{name}` needs `{option}`, the number of ids");
            let label = format!(
                "for example, `{name}(train.{}, {option} = 8000)`",
                column.text
            );
            self.error(Code::E0106, callee.span, what, label);
            return None;
        }
        let column = column.text.to_string();
        sound.then_some((Some(FitKind::Tokenizer { column, rules }), None))
    }

    /// One named argument; whether it could be taken.
    fn tokenizer_option(
        &mut self,
        name: &str,
        option: &Ident,
        a: &Arg,
        rules: &mut Tokenizing,
    ) -> bool {
        let v = self.eval(&a.value);
        // 0 is padding; byte pairs begin with the 256 bytes
        let least = match name {
            "BPE" => 257,
            "Hashing" => 2,
            _ => 1,
        };
        let mut set = || {
            match (&*option.text, &v) {
                ("num_words" | "oov_token", Val::None) if name == "Tokenizer" => {}
                ("num_words" | "vocab_size", Val::Int(Dim::Const(k)))
                    if (least..1 << 31).contains(k) =>
                {
                    rules.num_words = Some(*k as u32);
                }
                ("min_frequency", Val::Int(Dim::Const(k))) if *k > 0 => {
                    let min_frequency = *k as u64;
                    rules.ids = WordIds::BytePairs { min_frequency };
                }
                ("filters", Val::Str(s)) => rules.filters = Some(s.to_string()),
                ("split", Val::Str(s)) if !s.is_empty() => rules.split = s.to_string(),
                ("oov_token", Val::Str(s)) => rules.oov_token = Some(s.to_string()),
                ("lower", Val::Bool(b)) => rules.lower = *b,
                ("char_level", Val::Bool(b)) => rules.char_level = *b,
                ("ngrams", v) => rules.ngrams = ngrams(v)?,
                _ => return None,
            }
            Some(())
        };
        if matches!(v, Val::Error) {
            return false;
        }
        if set().is_some() {
            return true;
        }
        let expected = match &*option.text {
            "num_words" | "vocab_size" if name == "BPE" => {
                "an integer from 257: one id for each byte, and 0 for padding".to_owned()
            }
            "num_words" => format!("an integer from {least}"),
            "min_frequency" => "an integer from 1".into(),
            "ngrams" => format!(
                "the length of word n-grams: the maximum, up to {LONGEST}, or several lengths, such as `(1, 2)`"
            ),
            "lower" | "char_level" => "true or false".into(),
            "split" => "a string that is not empty".into(),
            _ => "a string in quotes".into(),
        };
        let what = format!("`{}` of `{name}` must be {expected}", option.text);
        let label = format!("this is {}", v.describe());
        self.error(Code::E0301, a.value.span, what, label);
        false
    }

    /// `word_vectors("glove.6B.50d.txt", vocab)`
    pub(super) fn word_vectors(&mut self, callee: &Ident, args: &[Arg], env: &DataEnv) -> Found {
        let [
            Arg {
                name: None,
                value: file,
                ..
            },
            Arg {
                name: None,
                value: words,
                ..
            },
        ] = args
        else {
            if let Some(n) = args.iter().find_map(|a| a.name.as_ref()) {
                let what = format!("`word_vectors` has no argument `{}`", n.text);
                self.error(Code::E0104, n.span, what, "unknown argument");
                return None;
            }
            let d = Diagnostic::error(Code::E0107, "`word_vectors` needs a file and a vocabulary")
                .label(callee.span, format!("given: {}", args.len()))
                .help("for example, `fit vectors = word_vectors(\"glove.6B.50d.txt\", vocab)`");
            self.diagnose(d);
            return None;
        };
        let path = match self.eval(file) {
            Val::Str(path) => path.to_string(),
            Val::Error => return None,
            other => {
                let label = format!("this is {}", other.describe());
                let what = "a file name must be a string in quotes";
                self.error(Code::E0301, file.span, what, label);
                return None;
            }
        };
        let ExprKind::Name(vocabulary) = &words.kind else {
            self.not_a_vocabulary(words.span);
            return None;
        };
        match env.fits.get(&vocabulary.text) {
            Some(Fit::Vocabulary(_)) => {}
            _ if env.broken.contains(&vocabulary.text) => return None,
            _ => {
                self.not_a_vocabulary(words.span);
                return None;
            }
        }
        let vocabulary = vocabulary.text.to_string();
        let rules = env.spec.fits.iter().find(|f| f.name == vocabulary);
        if let Some(FitKind::Tokenizer { rules, .. }) = rules.map(|f| &f.kind)
            && rules.ids != WordIds::ByCount
        {
            let d = Diagnostic::error(Code::E0513, "`word_vectors` needs a vocabulary of words")
                .label(words.span, "the ids of this one are not words")
                .help("use the vocabulary of a `Tokenizer`");
            self.diagnose(d);
            return None;
        }
        Some((Some(FitKind::Vectors { path, vocabulary }), None))
    }

    fn not_a_vocabulary(&mut self, span: crate::span::Span) {
        let d = Diagnostic::error(
            Code::E0513,
            "expected a vocabulary fitted by `Tokenizer`, `Hashing` or `BPE`",
        )
        .label(span, "this is not a vocabulary")
        .help("add `fit vocab = Tokenizer(train.text)` before this line");
        self.diagnose(d);
    }
}

/// `2` is `[1, 2]`; a list, or a tuple, is its items.
fn ngrams(v: &Val) -> Option<Vec<u32>> {
    let width = |v: &Val| match v {
        Val::Int(Dim::Const(n)) if (1..=LONGEST).contains(n) => Some(*n as u32),
        _ => None,
    };
    let all: Vec<u32> = match v {
        Val::Int(_) => (1..=width(v)?).collect(),
        Val::List(items) => items.iter().map(width).collect::<Option<_>>()?,
        Val::Tuple(items) => items.iter().map(|(_, v)| width(v)).collect::<Option<_>>()?,
        _ => return None,
    };
    let rising = all.windows(2).all(|w| w[0] < w[1]);
    (rising && !all.is_empty()).then_some(all)
}
