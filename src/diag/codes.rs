//! Every code, with the page `nnc explain CODE` prints.
//!
//! A page is `docs/errors/CODE.md`: a title line, a paragraph, a failing example
//! in a fence opened by ```` ```nn fail ````, and the mended one in ```` ```nn ````.
//! `tests/suite/explain.rs` runs both. Adding a code: its page, and its name in
//! the list below. E0001..E0099 are syntax, E0100.. the checker's, E0900.. those of
//! data and of a running program, which no nn example can show.

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

    E0901 E0902 E0903 E0904 E0905 E0906 E0907 E0908 E0909 E0910
    E0911 E0912 E0913 E0914 E0915 E0916 E0917 E0918 E0919 E0920
    E0921 E0922 E0923 E0924 E0925 E0926 E0927 E0928 E0929 E0930
    E0931 E0941 E0942 E0943 E0944 E0945 E0951 E0952 E0953 E0954
    E0955 E0956 E0957 E0958
}
