//! Every code, with the page `nnc explain CODE` prints.
//!
//! A page is `docs/errors/CODE.md`: a title line, a paragraph, a failing example
//! in a fence opened by ```` ```nn fail ````, and the repaired one in ```` ```nn ````.
//! `tests/suite/explain.rs` runs both. Adding a code: its page, and its name in
//! the list below. E0001..E0099 are syntax, E0100.. the checker's, E0900.. those of
//! data and of a running program, which no nn example can show.

macro_rules! codes {
    ($($code:ident)*) => {
        /// The stable name of a diagnostic: `Code::E0203`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code {
            $($code),*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$code),*];

            /// `E0203`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$code => stringify!($code)),*
                }
            }

            /// The page that `nnc explain` prints, in Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$code => include_str!(concat!(
                        "../../docs/errors/",
                        stringify!($code),
                        ".md"
                    ))),*
                }
            }
        }
    };
}

impl Code {
    /// Whether the text does not parse.
    pub fn is_of_syntax(self) -> bool {
        self <= Code::E0030
    }

    /// The first line of the page, without the code.
    pub fn title(self) -> &'static str {
        let line = self.page().lines().next().unwrap_or(self.name());
        let line = line.trim_start_matches('#').trim();
        line.strip_prefix(self.name())
            .map_or(line, |t| t.trim_start_matches([':', ' ']))
    }

    /// The code with this name, in either case.
    pub fn find(name: &str) -> Option<Code> {
        Code::ALL
            .iter()
            .copied()
            .find(|c| c.name().eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

codes! {
    E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009
    E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019
    E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029
    E0030
    E0101 E0102 E0103 E0104 E0105 E0106 E0107 E0108 E0109 E0110
    E0111 E0112 E0113 E0114 E0115 E0116
    E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210
    E0211 E0212 E0213 E0215 E0216
    E0301 E0302 E0303 E0304 E0305 E0307 E0308 E0309 E0310 E0311
    E0312 E0313 E0314 E0315
    E0401 E0402 E0403 E0404 E0405 E0406 E0408 E0409 E0410 E0412
    E0415 E0416
    E0501 E0502 E0503 E0504 E0505 E0506 E0507 E0508 E0509 E0510
    E0511 E0512 E0513 E0514 E0515 E0526 E0530 E0531
    E0601 E0602 E0603 E0604 E0605 E0606 E0607 E0608 E0609 E0610
    E0611 E0612 E0613 E0614 E0615 E0616 E0617 E0618 E0619
    E0631 E0632 E0633 E0651 E0670
    E0701 E0702 E0703 E0704 E0705 E0706 E0707 E0708 E0709 E0710
    E0711 E0712
    E0801 E0802
    E0901 E0902 E0903 E0904 E0905 E0906 E0907 E0908 E0909
    E0910 E0911 E0912 E0913 E0914 E0915 E0916 E0917 E0918 E0919
    E0920 E0921 E0922 E0923 E0924 E0925 E0926 E0927 E0928 E0929
    E0930 E0931 E0932 E0933 E0934 E0935 E0936 E0937 E0938 E0939
    E0940 E0941 E0942 E0943 E0944 E0945 E0946 E0947 E0951 E0952
    E0953 E0954 E0955 E0956 E0957 E0958 E0959 E0960 E0961 E0962
    E0963 E0964 E0965 E0966 E0967 E0970 E0971 E0972 E0973 E0974
    E0975 E0976 E0977 E0978 E0984 E0991 E0992
    W0101 W0102 W0103
    W0501
    W0650 W0651 W0652 W0653 W0654 W0655 W0656 W0657 W0658 W0659
    W0660 W0661 W0662 W0663
    W0690
    W0901 W0970 W0971 W0972 W0973 W0974 W0975 W0976 W0977
}
