//! A square of cells, each row coloured by its shares.

use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor, WHITE};

use super::panels::fitted;
use super::{INK, picture, px, text};
use crate::train::RunError;

/// What is written in the cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cells {
    Counts,
    /// Fractions of the row, with two decimals.
    Shares,
}

/// A row a true class, a column a predicted one. Where cells are too small for numbers they
/// have colours alone, and where they are smaller still the classes' names are left out.
pub fn matrix(
    title: &str,
    names: &[String],
    counts: &[Vec<usize>],
    cells: Cells,
) -> Result<String, RunError> {
    let n = counts.len();
    let cell = (520.0 / n.max(1) as f64).clamp(8.0, 64.0);
    let names: Vec<String> = names.iter().map(|n| fitted(n, 16)).collect();
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0) as f64;
    let upright = 7.0 * longest > cell;
    let left = 50.0 + 7.0 * longest;
    let top = if upright { 44.0 + 7.0 * longest } else { 56.0 };
    let side = cell * n as f64;
    let size = |beside: f64, least: f64| (beside + side + 16.0).max(least) as u32;
    let middle = Pos::new(HPos::Center, VPos::Center);
    picture(title, (size(left, 260.0), size(top, 0.0)), |area| {
        let label = text(12.0, INK).pos(middle);
        area.draw(&Text::new(
            "predicted",
            (px(left + side / 2.0), px(20.0)),
            label.clone(),
        ))?;
        let turned = label.transform(FontTransform::Rotate270);
        area.draw(&Text::new("true", (px(20.0), px(top + side / 2.0)), turned))?;
        for (i, (row, name)) in counts.iter().zip(&names).enumerate() {
            let all: usize = row.iter().sum();
            let y = top + cell * i as f64;
            if cell >= 14.0 {
                let at = px(left + cell * (i as f64 + 0.5));
                match upright {
                    true => {
                        let turned = label.transform(FontTransform::Rotate270);
                        let turned = turned.pos(Pos::new(HPos::Left, VPos::Center));
                        area.draw(&Text::new(name.clone(), (at, px(top - 8.0)), turned))?;
                    }
                    false => {
                        area.draw(&Text::new(
                            name.clone(),
                            (at, px(top - 12.0)),
                            label.clone(),
                        ))?;
                    }
                }
                let right = label.pos(Pos::new(HPos::Right, VPos::Center));
                area.draw(&Text::new(
                    name.clone(),
                    (px(left - 8.0), px(y + cell / 2.0)),
                    right,
                ))?;
            }
            for (j, &count) in row.iter().enumerate() {
                let share = count as f64 / all.max(1) as f64;
                let x = left + cell * j as f64;
                let corners = [(px(x), px(y)), (px(x + cell - 1.0), px(y + cell - 1.0))];
                area.draw(&Rectangle::new(corners, shade(share).filled()))?;
                let shown = match cells {
                    Cells::Counts => count.to_string(),
                    Cells::Shares => format!("{share:.2}"),
                };
                let size = 12.0f64.min(cell * 1.6 / shown.len() as f64);
                if cell >= 18.0 && size >= 8.0 && count > 0 {
                    let ink = if share > 0.4 { WHITE } else { INK };
                    let at = (px(x + cell / 2.0), px(y + cell / 2.0));
                    area.draw(&Text::new(shown, at, text(size, ink).pos(middle)))?;
                }
            }
        }
        Ok(())
    })
}

/// From white to blue.
fn shade(share: f64) -> RGBColor {
    let mix = |from: f64, to: f64| (from + (to - from) * share.sqrt()).round() as u8;
    RGBColor(mix(246.0, 0.0), mix(248.0, 84.0), mix(251.0, 150.0))
}
