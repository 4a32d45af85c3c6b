//! `--out DIR`: histograms as SVG, pictures as PNG, and one HTML page with all of it, which
//! needs no script and no file beside it.

use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::columns::{HEADS, Look};
use super::pictures::{self, Ends, Shape};
use super::sample::{Fed, Picture, Sample, Shown, split_padding};
use super::words::Words;
use super::{HEAD, Inspected, short};
use crate::cli::common::Failure;
use crate::data::describe::Facts;
use crate::data::fitted::statistics::Lengths;
use crate::data::write::replace;
use crate::plural::{count, thousands};
use crate::train::RunError;
use crate::train::report::charts::{Histogram, bars, escape, histograms};
use crate::train::report::page::{SHARED, table};
use crate::train::report::picture::address;

/// Pictures in a line of a grid.
const PICTURES: usize = 16;
/// Words of an input that are shown.
const WORDS: usize = 400;
/// Bars of a histogram of lengths.
const BARS: f64 = 40.0;

/// Files by name, in the order in which they are written; the page is the last.
type Files = Vec<(String, Vec<u8>)>;

/// Writes all that was found into a folder, which is made if it is not there.
pub(super) fn write(folder: &Path, found: &Inspected) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Files::new();
    let page = page(found, &mut files)?;
    files.push(("inspect.html".into(), page.into_bytes()));
    std::fs::create_dir_all(folder).map_err(|e| RunError::file(folder, "create the folder", &e))?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        replace(&path, |out| out.write_all(&bytes))?;
        written.push(path);
    }
    Ok(written)
}

fn page(found: &Inspected, files: &mut Files) -> Result<String, Failure> {
    let name = escape(&found.spec.name);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title>\
         <link rel=\"icon\" href=\"data:,\"><style>{SHARED}{STYLE}</style></head><body><h1>{name}</h1>\
         <p class=\"lead\">{}. Statistics are for the training rows.</p>",
        escape(&found.counted())
    );
    let links = found.columns.iter().map(|c| c.spec.name.as_str());
    let links = links.chain(found.words.iter().map(Words::name));
    let sample = (!found.samples.is_empty()).then_some("sample");
    out += "<nav>";
    for link in links.chain(sample) {
        let _ = write!(out, "<a href=\"#{0}\">{0}</a>", escape(link));
    }
    out += "</nav>";
    let rows: Vec<Vec<String>> = (found.columns.iter())
        .flat_map(Look::rows)
        .map(|(row, _)| row.to_vec())
        .collect();
    let _ = write!(
        out,
        "<section><h2>Columns</h2>{}{}</section>",
        table(&HEADS, &rows, "columns"),
        sizes(found)
    );
    for look in &found.columns {
        out += &column(look, &found.head, files)?;
    }
    for w in &found.words {
        out += &words(w, found.most, files)?;
    }
    if !found.samples.is_empty() {
        out += &samples(&found.samples, files)?;
    }
    Ok(out + "</body></html>\n")
}

fn sizes(found: &Inspected) -> String {
    let sizes = found.sizes.iter().map(|(n, s)| format!("{n} = {s}"));
    let sizes: Vec<String> = sizes.collect();
    match sizes.is_empty() {
        true => String::new(),
        false => {
            let sizes = escape(&sizes.join(", "));
            format!("<p class=\"note\">Fitted sizes: {sizes}.</p>")
        }
    }
}

fn column(look: &Look, head: &[(usize, u64)], files: &mut Files) -> Result<String, RunError> {
    let name = &look.spec.name;
    let mut out = format!(
        "<section id=\"{0}\"><h2>{0} <code>{1}</code></h2>",
        escape(name),
        escape(&look.type_text())
    );
    if let Some((shape, ends)) = look.picture {
        let shown = head.iter().take(HEAD);
        let all: Vec<Vec<f64>> = shown.map(|&(place, _)| look.numbers(place)).collect();
        let png = pictures::grid(&all, shape, ends, PICTURES)?;
        let _ = write!(
            out,
            "<p class=\"note\">The first {}.</p><img class=\"grid\" alt=\"rows of {name}\" src=\"{}\">",
            count(all.len(), "row"),
            address(&png)
        );
        files.push((format!("{name}.png"), png));
    }
    if let Some(svg) = chart(look)? {
        let class = match look.features.is_empty() && look.facts.counts.len() < 2 {
            true => " class=\"one\"",
            false => "",
        };
        let _ = write!(out, "<figure{class}>{svg}</figure>");
        files.push((format!("{name}.svg"), svg.into_bytes()));
    }
    Ok(out + "</section>")
}

/// How often which values are there: bars of a few, else a histogram; one a feature.
fn chart(look: &Look) -> Result<Option<String>, RunError> {
    let name = &look.spec.name;
    let unit = look.unit().trim();
    if look.features.is_empty() && look.facts.counts.len() > 1 {
        let counts = look.facts.counts.iter();
        let counts: Vec<_> = counts.map(|(v, n)| (v.to_string(), *n as f64)).collect();
        return bars(&format!("Class counts of {name}"), &counts).map(Some);
    }
    let panel = |name: String, facts: &Facts| {
        let range = facts.range.as_ref()?;
        Some(Histogram {
            name,
            edges: range.histogram.edges(),
            counts: range.histogram.counts.clone(),
            note: format!(
                "{} .. {}, mean {} ± {}",
                short(range.min),
                short(range.max),
                short(range.mean),
                short(range.std)
            ),
        })
    };
    let panels: Vec<Histogram> = if look.features.is_empty() {
        let name = match unit {
            "" => name.clone(),
            unit => format!("{unit} of {name}"),
        };
        panel(name, &look.facts).into_iter().collect()
    } else {
        let features = look.features.iter().enumerate();
        features
            .filter_map(|(i, f)| panel(format!("{name}[{i}]"), f))
            .collect()
    };
    match panels.is_empty() {
        true => Ok(None),
        false => histograms(&format!("Values of {name}"), &panels).map(Some),
    }
}

fn words(w: &Words, most: usize, files: &mut Files) -> Result<String, RunError> {
    let name = escape(w.name());
    let mut out = format!(
        "<section id=\"{name}\"><h2>{name}</h2><p>{}.</p>",
        escape(&w.head())
    );
    for line in w.vector_lines() {
        let _ = write!(out, "<p>{}.</p>", escape(&line));
    }
    let lengths = length_chart(w)?;
    let _ = write!(
        out,
        "<div class=\"beside\"><figure class=\"one\">{lengths}</figure>"
    );
    files.push((format!("{}-lengths.svg", w.name()), lengths.into_bytes()));
    let heads = ["text length", "tokens", "texts covered"];
    out += &table(&heads, &w.cover(), "numbers");
    out += "</div><div class=\"beside\">";
    let (often, seldom) = w.ends(most);
    for (title, all) in [("most frequent", often), ("least frequent", seldom)] {
        if !all.is_empty() {
            out += &table(&[title, "id", "count", "texts"], &all, "numbers");
        }
    }
    Ok(out + "</div></section>")
}

/// Lengths in bars of a whole number of ids each.
fn length_chart(w: &Words) -> Result<String, RunError> {
    let lengths: &Lengths = w.lengths();
    let (min, max) = (lengths.min(), lengths.max());
    let width = ((max - min + 1.0) / BARS).ceil();
    let count = ((max - min + 1.0) / width).ceil() as usize;
    let mut counts = vec![0; count];
    for &x in lengths.sorted() {
        let at = (f64::from(x) - min) / width;
        counts[(at as usize).min(count - 1)] += 1;
    }
    let panel = Histogram {
        name: "tokens per text".into(),
        edges: (0..=count).map(|i| min + width * i as f64).collect(),
        counts,
        note: format!("mean {} ± {}", short(lengths.mean()), short(lengths.std())),
    };
    histograms(
        &format!("Lengths of texts in tokens of {}", w.name()),
        &[panel],
    )
}

fn samples(all: &[Sample], files: &mut Files) -> Result<String, RunError> {
    let mut out = String::from(
        "<section id=\"sample\"><h2>Model inputs</h2>\
         <p class=\"note\">Rows as they are in the file, and the inputs and targets computed from them.</p>",
    );
    for (i, sample) in all.iter().enumerate() {
        let _ = write!(
            out,
            "<article><h3>Row {}</h3><dl>",
            thousands(sample.row as usize)
        );
        for raw in &sample.raw {
            let shown = match &raw.picture {
                Some(p) => image(p, &raw.name)?,
                None => escape(&raw.line),
            };
            let _ = write!(out, "<dt>{}</dt><dd>{shown}</dd>", escape(&raw.name));
        }
        for fed in &sample.fed {
            let what = if fed.target { "target" } else { "input" };
            let _ = write!(
                out,
                "<dt class=\"fed\">{what} {} <code>{}</code></dt><dd>{}</dd>",
                escape(&fed.name),
                escape(&fed.ty),
                fed_html(fed)?
            );
        }
        out += "</dl></article>";
        // all samples of an input in one file
        for (k, fed) in sample.fed.iter().enumerate().filter(|_| i == 0) {
            if let Shown::Picture(first) = &fed.shown {
                let values: Vec<_> = all.iter().map(|s| s.fed[k].values.clone()).collect();
                let png = pictures::grid(&values, first.shape, first.ends, PICTURES)?;
                files.push((format!("input-{}.png", fed.name), png));
            }
        }
    }
    Ok(out + "</section>")
}

fn fed_html(fed: &Fed) -> Result<String, RunError> {
    let mut out = String::new();
    match &fed.shown {
        Shown::Picture(picture) => return image(picture, &fed.name),
        Shown::Ids(all) => {
            let (before, words, after) = split_padding(all);
            let padding = |n: usize| match n {
                0 => String::new(),
                n => format!("<span class=\"pad\">{} × padding</span>", thousands(n)),
            };
            out += &padding(before);
            for (id, word) in words.iter().take(WORDS) {
                let word = word.as_deref().unwrap_or("");
                let _ = write!(
                    out,
                    "<span class=\"word\">{}<sub>{id}</sub></span>",
                    escape(word)
                );
            }
            if words.len() > WORDS {
                let _ = write!(
                    out,
                    "<span class=\"pad\">{} more</span>",
                    words.len() - WORDS
                );
            }
            out += &padding(after);
        }
        Shown::Bag(words) => {
            for (word, x) in words.iter().take(WORDS) {
                let _ = write!(
                    out,
                    "<span class=\"word\">{}<sub>{}</sub></span>",
                    escape(word),
                    short(*x)
                );
            }
            if words.len() > WORDS {
                let _ = write!(
                    out,
                    "<span class=\"pad\">{} more</span>",
                    words.len() - WORDS
                );
            }
        }
        Shown::Numbers => out += &escape(&fed.line()),
    }
    Ok(out)
}

fn image(picture: &Picture, name: &str) -> Result<String, RunError> {
    let Picture {
        values,
        shape,
        ends,
    } = picture;
    let png = single(values.clone(), *shape, *ends)?;
    let name = escape(name);
    Ok(format!(
        "<img class=\"one\" alt=\"{name}\" src=\"{}\">",
        address(&png)
    ))
}

fn single(values: Vec<f64>, shape: Shape, ends: Ends) -> Result<Vec<u8>, RunError> {
    pictures::grid(&[values], shape, ends, 1)
}

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#22262b;background:#f5f6f8;max-width:1200px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:0 0 .5rem}h3{font-size:.95rem;margin:0 0 .4rem}\
.lead{color:#56606b;margin:.2rem 0 1rem}.note{color:#56606b;margin:.2rem 0 .6rem}\
code{font:.85em ui-monospace,monospace;color:#56606b;font-weight:400}\
figure{margin:0}svg{max-width:100%;height:auto;display:block}figure.one svg{width:430px}\
img{max-width:100%;display:block}img.grid{margin:0 0 1rem}img.one{max-width:260px}\
.wide{overflow-x:auto}.beside{display:flex;flex-wrap:wrap;gap:1rem 3rem;align-items:flex-start;margin:.6rem 0 0}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}\
th,td{text-align:right;padding:.2rem .9rem;border-bottom:1px solid #edeff2;white-space:pre}th{font-weight:600;color:#56606b}\
.columns td:nth-child(2),.columns th:nth-child(2){text-align:left}\
article{border-top:1px solid #edeff2;padding:.8rem 0}article:first-of-type{border:0;padding-top:0}\
dl{display:grid;grid-template-columns:minmax(9rem,14rem) 1fr;gap:.35rem 1rem;margin:0}\
dt{color:#56606b;overflow-wrap:anywhere}dd{margin:0;overflow-wrap:anywhere}dt.fed{color:#00548f}\
.word{display:inline-block;margin:0 .45rem .1rem 0;white-space:pre}sub{color:#8b929b;font-size:.68em;margin-left:.15em}\
.pad{display:inline-block;background:#eef0f2;color:#56606b;border-radius:.7rem;padding:0 .6rem;margin:0 .45rem .1rem 0;font-size:.85em}";
