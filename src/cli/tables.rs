//! Tables on a terminal: no frame, two spaces between columns, at most 80 columns where the text allows it.

use std::fmt;
use std::ops::Range;

use comfy_table::{CellAlignment, Row, Table, TableStyle};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Between two columns.
const GAP: u16 = 2;

/// A table with one line of heads. A head of several words takes several lines where the table would be too wide.
pub(super) struct TextTable {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
    numbers: Range<usize>,
}

impl TextTable {
    pub(super) fn new(heads: impl IntoIterator<Item = impl Into<String>>) -> TextTable {
        TextTable {
            heads: heads.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            numbers: 0..0,
        }
    }

    /// Columns that are aligned to the right.
    pub(super) fn right(mut self, numbers: Range<usize>) -> TextTable {
        self.numbers = numbers;
        self
    }

    /// Adds a row. A cell may have several lines.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn draw(&self, heads: &[String]) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        table.set_header(Row::from(heads));
        for row in &self.rows {
            table.add_row(Row::from(row));
        }
        let last = table.column_count().saturating_sub(1);
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((
                if i == 0 { GAP } else { 0 },
                if i == last { 0 } else { GAP },
            ));
            if self.numbers.contains(&i) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let text = table.trim_fmt();
        let rule = "─".repeat(width(&text));
        let head_lines = heads.iter().map(|h| h.split('\n').count()).max();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(head_lines.unwrap_or(1), &rule);
        lines.push(&rule);
        lines.join("\n")
    }
}

fn width(text: &str) -> usize {
    text.lines().map(|l| l.chars().count()).max().unwrap_or(0)
}

/// Whether a table fits a terminal.
pub(super) fn fits(table: &str) -> bool {
    width(table) <= WIDTH
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.draw(&self.heads);
        if fits(&text) {
            return f.write_str(&text);
        }
        let heads: Vec<String> = self.heads.iter().map(|h| h.replace(' ', "\n")).collect();
        f.write_str(&self.draw(&heads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_apart_by_two_spaces_and_lines_end_in_none() {
        let mut table = TextTable::new(["run", "epochs", "settings"]).right(1..2);
        table.row(["runs/digits-1", "12", "seed=1"]);
        table.row(["runs/x", "2", ""]);
        let expected = "  run            epochs  settings
─────────────────────────────────
  runs/digits-1      12  seed=1
  runs/x              2
─────────────────────────────────";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn heads_break_where_the_table_would_be_wider_than_a_terminal() {
        let wide = "x".repeat(70);
        let mut table = TextTable::new([&wide, "test loss"]).right(1..2);
        table.row([&wide, "0.5"]);
        let lines: Vec<usize> = table
            .to_string()
            .lines()
            .map(|l| l.chars().count())
            .collect();
        assert_eq!(lines, [78, 78, 78, 78, 78]);
    }
}
