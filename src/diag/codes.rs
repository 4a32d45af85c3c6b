//! Every code, with the page `nnc explain CODE` prints.
//!
//! A page is `docs/errors/CODE.md`: a title line, a paragraph, a failing example
//! in a fence opened by ```` ```nn fail ````, and the mended one in ```` ```nn ````.
//! `tests/suite/explain.rs` runs both. Adding a code: its page, and its name in
//! the list below. E0001..E0099 are syntax, E0100.. the checker's.

/// A diagnostic's stable name and its page.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub code: &'static str,
    /// Markdown.
    pub page: &'static str,
}

impl Code {
    /// The page's first line, without its code.
    pub fn title(&self) -> &'static str {
        let line = self.page.lines().next().unwrap_or(self.code);
        let line = line.trim_start_matches('#').trim();
        line.strip_prefix(self.code)
            .map_or(line, |t| t.trim_start_matches([':', ' ']))
    }
}

/// The code of this name, in either case.
pub fn find(code: &str) -> Option<&'static Code> {
    ALL.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}

macro_rules! codes {
    ($($code:ident)*) => {
        $(pub const $code: &str = stringify!($code);)*
        /// In order.
        pub const ALL: &[Code] = &[$(Code {
            code: $code,
            page: include_str!(concat!("../../docs/errors/", stringify!($code), ".md")),
        }),*];
    };
}

codes! {
    E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009
    E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019
    E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029
    E0030
}
