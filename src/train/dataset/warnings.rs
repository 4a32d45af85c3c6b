//! What a good colleague would say of the rows: a row of numbers that is taken for the names of
//! columns, columns that say nothing, classes that are not trained, sets too small to judge by.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::data::Column;
use crate::data::formats::csv;
use crate::diag::{Code, Diagnostic};
use crate::plural::{count, listed, thousands};
use crate::span::Span;
use crate::spec::{Alignment, ColumnKind, ColumnSpec, DataSpec, Format, Part, Selector, TrainSpec};

use super::sources::csv_options;
use super::{Dataset, Places};

/// A set with fewer rows than this says little.
const FEW_ROWS: usize = 10;

/// Columns with more numbers per row are images or the like, whose border may be empty.
const MOST_FEATURES: usize = 40;

/// With more classes than this, such as the words of a vocabulary, some are rare.
const MOST_CLASSES: usize = 100;

/// Names that a message lists.
const NAMED: usize = 5;

/// Warns of sources whose header is a row of numbers. What cannot be read is reported elsewhere.
pub fn headers(spec: &DataSpec, places: &Places) -> Vec<Diagnostic> {
    let Some(numbers) = fields_of_numbers(&spec.columns) else {
        return Vec::new();
    };
    let sources = spec.sources.iter();
    sources
        .filter_map(|source| match &source.format {
            Format::Csv {
                path,
                delimiter,
                header: true,
                quote,
            } => {
                let options = csv_options(*delimiter, true, *quote);
                let (names, _) = csv::csv_header(&places.find(path), options).ok()?;
                header_of_numbers(path, &names?, &numbers, source.span)
            }
            _ => None,
        })
        .collect()
}

/// The fields of columns of numbers, where the program chooses all its columns by number.
fn fields_of_numbers(columns: &[ColumnSpec]) -> Option<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for column in columns {
        let fields = match column.selector {
            Selector::Index(i) => i..=i,
            Selector::Indices(first, last) => first..=last,
            _ => return None,
        };
        if column.kind != ColumnKind::Text {
            found.extend(fields);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Numbers that count on by 1 are names: pandas numbers columns in this way.
fn header_of_numbers(
    path: &str,
    names: &[String],
    fields: &BTreeSet<usize>,
    at: Span,
) -> Option<Diagnostic> {
    let number = |i: &usize| {
        let x: f64 = names.get(*i)?.trim().parse().ok()?;
        x.is_finite().then_some(x)
    };
    let numbers: Vec<f64> = fields.iter().map(number).collect::<Option<_>>()?;
    if numbers.len() > 1 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1.0) {
        return None;
    }
    let shown = names[..names.len().min(NAMED)].join(",");
    let more = if names.len() > NAMED { ",..." } else { "" };
    let message = format!("the first line of `{path}` is data, but is taken for column names");
    let d = Diagnostic::warning(Code::W0972, message)
        .label(at, format!("`{shown}{more}` is not a row of the data"))
        .help("if the file has no header, write `header = false`");
    Some(d)
}

impl Dataset {
    /// Warns of rows in memory from which the program cannot learn what it is to, or by which it
    /// cannot be judged. `columns`: those that a training step takes.
    pub fn warnings(
        &self,
        spec: &DataSpec,
        train: &TrainSpec,
        columns: &[&str],
    ) -> Vec<Diagnostic> {
        let mut found = self.small_sets(spec);
        if let Some((table, rows)) = self.part(Part::Train) {
            for column in &spec.columns {
                let Some(values) = table.column(&column.name) else {
                    continue;
                };
                if train.classes.contains(&column.name) {
                    found.extend(self.absent_classes(column, values, rows));
                } else if columns.contains(&&*column.name) {
                    found.extend(self.constant(column, values, rows));
                }
            }
        }
        let alignments = train.alignments.iter();
        found.extend(alignments.filter_map(|a| self.unaligned(a)));
        found
    }

    /// Validation and test sets of a few rows. Of folds all rows are held out in turn.
    fn small_sets(&self, spec: &DataSpec) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for part in [Part::Val, Part::Test] {
            let rows = self.rows(part);
            let source = spec.sources.iter().find(|s| s.part == Some(part));
            let at = source
                .map(|s| s.span)
                .or(spec.split.as_ref().map(|s| s.span));
            if spec.folds().is_some() || !(1..FEW_ROWS).contains(&rows) {
                continue;
            }
            let Some(at) = at else { continue };
            let set = part.adjective();
            let message = format!("the {set} set has only {}", count(rows, "row"));
            let each = 100.0 / rows as f64;
            let d = Diagnostic::warning(Code::W0973, message)
                .label(at, format!("each row is {each:.0} % of a score"))
                .help(match part {
                    Part::Val => "hold more rows out, or use `split kfold(5)`",
                    _ => "hold more rows out",
                });
            found.push(d);
        }
        found
    }

    /// A column, or some of its features, with one value in all training rows.
    fn constant(&self, spec: &ColumnSpec, column: &Column, rows: &[u32]) -> Option<Diagnostic> {
        let each = column.per_row();
        if rows.len() < FEW_ROWS || each == 0 {
            return None;
        }
        let constant = |i: &usize| {
            let value = |row: &u32| column.number(*row as usize * each + i);
            let first = value(&rows[0]);
            first.is_some() && rows.iter().all(|row| value(row) == first)
        };
        let numbers = matches!(spec.kind, ColumnKind::F32 | ColumnKind::I32);
        let flat = spec.shape.len() < 2 && numbers && each <= MOST_FEATURES;
        let all = (0..each).all(|i| constant(&i));
        let same: Vec<usize> = match (all, flat) {
            (false, true) => (0..each).filter(constant).collect(),
            _ => Vec::new(),
        };
        if !all && same.is_empty() {
            return None;
        }
        let (what, label) = match all {
            true => (
                format!("`{}`", spec.name),
                "a constant says nothing about a row",
            ),
            false => (
                self.features(spec, &same),
                "constants say nothing about a row",
            ),
        };
        let has = if all || same.len() == 1 {
            "has"
        } else {
            "have"
        };
        let message = format!("{what} {has} one value in all training rows");
        let d = Diagnostic::warning(Code::W0974, message)
            .label(spec.span, label)
            .help("check that the right columns are read; leave constant ones out");
        Some(d)
    }

    /// Features of a column by their names in the file, so far as they are known.
    fn features(&self, spec: &ColumnSpec, which: &[usize]) -> String {
        let names = match &spec.selector {
            Selector::Each(names) => Some(names),
            _ => self.fitted.ranges.get(&spec.name),
        };
        let name = |i: &usize| match names.and_then(|n| n.get(*i)) {
            Some(name) => format!("`{name}`"),
            None => format!("`{}[{i}]`", spec.name),
        };
        let mut shown: Vec<String> = which.iter().take(NAMED).map(name).collect();
        if which.len() > NAMED {
            shown.push(format!("{} more", which.len() - NAMED));
        }
        listed(&shown)
    }

    /// Classes of a target that no training row has.
    fn absent_classes(
        &self,
        spec: &ColumnSpec,
        column: &Column,
        rows: &[u32],
    ) -> Option<Diagnostic> {
        let classes = match spec.kind {
            ColumnKind::Class(n) => n,
            ColumnKind::Bool => 2,
            _ => return None,
        };
        if column.per_row() != 1 || rows.len() < FEW_ROWS || classes > MOST_CLASSES {
            return None;
        }
        let trained = seen(column, rows, classes);
        let absent: Vec<usize> = (0..classes).filter(|c| !trained[*c]).collect();
        if absent.is_empty() {
            return None;
        }
        let message = format!(
            "no training row has {} of `{}`",
            classes_text(&absent),
            spec.name
        );
        let judged = [Part::Val, Part::Test].into_iter().filter(|part| {
            self.part(*part).is_some_and(|(table, rows)| {
                let column = table.column(&spec.name);
                column.is_some_and(|c| {
                    let seen = seen(c, rows, classes);
                    absent.iter().any(|i| seen[*i])
                })
            })
        });
        let judged: Vec<String> = judged
            .map(|p| format!("the {} set", p.adjective()))
            .collect();
        let mut d = Diagnostic::warning(Code::W0975, message).label(
            spec.span,
            "the model cannot learn a class that it never sees",
        );
        d = match judged.is_empty() {
            false => d.help(format!(
                "rows of {} have it: use `split stratify({})`",
                listed(&judged),
                spec.name
            )),
            true => d.help("check the number of classes, and that they are counted from 0"),
        };
        Some(d)
    }

    /// Rows whose labels need more steps than the model returns.
    fn unaligned(&self, a: &Alignment) -> Option<Diagnostic> {
        let mut long = 0;
        let mut first = None;
        for part in Part::ALL {
            let Some((table, rows)) = self.part(part) else {
                continue;
            };
            let Some(column) = table.column(&a.column) else {
                continue;
            };
            for row in rows {
                let need = need(column, *row as usize);
                if need.steps() > a.steps {
                    long += 1;
                    first.get_or_insert((*row as usize, need));
                }
            }
        }
        let (row, need) = first?;
        let message = format!(
            "the labels of {} in `{}` do not fit into {}",
            count(long, "row"),
            a.column,
            count(a.steps, "step")
        );
        let repeats = match need.repeats {
            0 => String::new(),
            n => format!(", and a blank between {}", count(n, "equal pair")),
        };
        let d = Diagnostic::warning(Code::W0976, message)
            .label(
                a.span,
                format!(
                    "row {} needs {}: {}{repeats}",
                    thousands(row + 1),
                    count(need.steps(), "step"),
                    count(need.labels, "label"),
                ),
            )
            .help("no alignment exists, so the loss of such a row is about 1e5: leave it out, or let the model return more steps");
        Some(d)
    }
}

/// What a row of labels takes.
#[derive(Clone, Copy)]
struct Need {
    labels: usize,
    /// Neighbours that are equal: a blank stands between them.
    repeats: usize,
}

impl Need {
    fn steps(self) -> usize {
        self.labels + self.repeats
    }
}

fn need(column: &Column, row: usize) -> Need {
    let each = column.per_row();
    let range: Range<usize> = row * each..(row + 1) * each;
    let labels: Vec<f64> = range
        .filter_map(|i| column.number(i))
        .filter(|l| *l != 0.0)
        .collect();
    Need {
        labels: labels.len(),
        repeats: labels.windows(2).filter(|pair| pair[0] == pair[1]).count(),
    }
}

/// Which classes rows have.
fn seen(column: &Column, rows: &[u32], classes: usize) -> Vec<bool> {
    let mut seen = vec![false; classes];
    for row in rows {
        if let Some(class) = column.number(*row as usize)
            && let Some(seen) = seen.get_mut(class as usize)
        {
            *seen = true;
        }
    }
    seen
}

/// `class 3`, `classes 3, 4 and 7`
fn classes_text(classes: &[usize]) -> String {
    let mut shown: Vec<String> = classes.iter().take(NAMED).map(usize::to_string).collect();
    if classes.len() > NAMED {
        shown.push(format!("{} more", classes.len() - NAMED));
    }
    let noun = if classes.len() == 1 {
        "class"
    } else {
        "classes"
    };
    format!("{noun} {}", listed(&shown))
}
