//! One HTML page with all of a report in it: no script, no file beside it.

use std::fmt::Write;

use super::Shown;
use super::charts::escape;

/// What stands above the reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub title: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// The metrics: columns, and a row each.
    pub metrics: (Vec<String>, Vec<Vec<String>>),
}

/// A page with a section a report, each under its name.
pub fn page(head: &Head, sections: &[(String, Shown)]) -> String {
    let title = escape(&head.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><link rel=\"icon\" href=\"data:,\"><style>{SHARED}{STYLE}</style></head><body><h1>{title}</h1><dl>"
    );
    for (name, value) in &head.facts {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out += "</dl><nav>";
    for (name, shown) in sections {
        let (name, title) = (escape(name), escape(&shown.title));
        let _ = write!(out, "<a href=\"#{name}\">{title}</a>");
    }
    out += "</nav>";
    let (columns, rows) = &head.metrics;
    if !rows.is_empty() {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let _ = write!(
            out,
            "<section id=\"metrics\"><h2>Metrics</h2>{}</section>",
            table(&columns, rows, "")
        );
    }
    for (name, shown) in sections {
        let figures = shown.pictures.iter();
        let figures: String = figures
            .map(|(_, svg)| format!("<figure>{svg}</figure>"))
            .collect();
        let _ = write!(
            out,
            "<section id=\"{}\"><h2>{}</h2><p class=\"caption\">{}</p><div class=\"pictures\">{figures}{}</div></section>",
            escape(name),
            escape(&shown.title),
            escape(&shown.caption),
            shown.body
        );
    }
    out + "</body></html>\n"
}

/// A table whose first column names the rows; `class` is its class in the style sheet, or empty.
pub fn table(heads: &[&str], rows: &[Vec<String>], class: &str) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.map(|c| format!("<{tag}>{}</{tag}>", escape(c)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let mut out = format!(
        "<div class=\"wide\"><table class=\"{class}\"><thead>{}</thead><tbody>",
        cells("th", &mut heads.iter().copied())
    );
    for row in rows {
        out += &cells("td", &mut row.iter().map(String::as_str));
    }
    out + "</tbody></table></div>"
}

/// What every page looks like: its navigation, sections and tables.
pub const SHARED: &str = "\
html{scroll-behavior:smooth}\
nav{display:flex;flex-wrap:wrap;gap:.4rem;margin:0 0 1.2rem}\
nav a{padding:.15rem .7rem;border:1px solid #d4d9df;border-radius:1rem;background:#fff;color:#00548f;text-decoration:none;font-size:.9rem}\
nav a:hover{background:#e9f1f8}\
section{background:#fff;border:1px solid #e1e4e8;border-radius:6px;padding:1rem 1.2rem 1.2rem;margin:0 0 1.2rem}\
th:first-child,td:first-child{text-align:left;padding-left:0}";

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#22262b;background:#f5f6f8;max-width:1400px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:0 0 .2rem}\
dl{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:0 0 1rem}dt{color:#606b78;font-size:.8rem}dd{margin:0}\
.caption{color:#56606b;margin:0 0 .8rem;max-width:60rem}\
.pictures{display:flex;flex-wrap:wrap;gap:1rem 1.5rem;align-items:flex-start}figure{margin:0}\
.pictures>figure{flex:1 1 460px;max-width:max-content;min-width:0}svg{max-width:100%;height:auto;display:block}\
.pictures>figure:has(svg[width=\"900\"]){flex-basis:900px}.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}\
th,td{text-align:right;padding:.2rem .9rem;border-bottom:1px solid #edeff2}th{font-weight:600;color:#56606b}\
.cards{flex:1 1 100%;display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:1rem;align-items:start}\
.card{border:1px solid #e1e4e8;border-radius:6px;padding:.7rem;font-size:.85rem;overflow-wrap:anywhere}\
.card img{width:100%;max-width:190px;image-rendering:pixelated;display:block;margin:0 0 .5rem;background:#eee}\
.card blockquote{margin:0 0 .5rem;color:#3b434c}.card p{margin:0 0 .3rem}.card figcaption{color:#56606b}";
