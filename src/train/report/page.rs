//! One HTML page with all of a report in it: no script, no file beside it.

use std::fmt::Write;

use super::charts::escape;

/// A part of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub title: String,
    /// HTML.
    pub body: String,
}

/// `facts` are names and values.
pub fn page(title: &str, facts: &[(String, String)], sections: &[Section]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1><dl>",
        escape(title)
    );
    for (name, value) in facts {
        let _ = write!(
            out,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            escape(name),
            escape(value)
        );
    }
    out += "</dl>";
    for section in sections {
        let _ = write!(
            out,
            "<section><h2>{}</h2>{}</section>",
            escape(&section.title),
            section.body
        );
    }
    out + "</body></html>\n"
}

/// Text as it is.
pub fn preformatted(text: &str) -> String {
    format!("<pre>{}</pre>", escape(text))
}

/// Pictures in rows, as many as fit.
pub fn pictures<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let figures = all.into_iter().map(|svg| format!("<figure>{svg}</figure>"));
    format!(
        "<div class=\"pictures\">{}</div>",
        figures.collect::<String>()
    )
}

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#f5f6f8;max-width:1340px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:0 0 .8rem}\
dl{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:0 0 1.5rem}dt{color:#667;font-size:.8rem}dd{margin:0}\
section{background:#fff;border:1px solid #e1e4e8;border-radius:6px;padding:1rem 1.2rem;margin:0 0 1.2rem}\
.pictures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}svg{max-width:100%;height:auto}\
pre{font:13px/1.45 ui-monospace,monospace;margin:0;overflow:auto}";
