//! Charts as SVG text: lines over axes, and matrices of counts.

use std::fmt::Write;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub dashed: bool,
    /// Beside the others, in grey.
    pub aside: bool,
}

const LEGEND_ROW: f64 = 18.0;
const COLORS: [&str; 10] = [
    "#2563a8", "#d1662b", "#2f8f5b", "#b23a48", "#7a5aa6", "#8a6d3b", "#c65b9b", "#5f6b76",
    "#a3a32a", "#2a9aa8",
];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 380.0;
/// Room for the axes' numbers and the legend: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (62.0, 34.0, 18.0, 46.0);

/// Lines over axes; points that are not finite are left out. Series of one name before
/// `val_` share a colour.
pub fn lines(title: &str, x: &str, y: &str, series: &[Series]) -> String {
    let all = || {
        series
            .iter()
            .flat_map(|s| &s.points)
            .filter(|p| p.0.is_finite() && p.1.is_finite())
    };
    let (x0, x1) = range(all().map(|p| p.0));
    let (y0, y1) = range(all().map(|p| p.1));
    let (ys, y0, y1) = ticks(y0, y1);
    let (xs, _, _) = ticks(x0, x1);
    let (left, top, right, bottom) = MARGIN;
    let (names, rows) = legend(series);
    let top = top + LEGEND_ROW * rows;
    let (w, h) = (WIDTH - left - right, HEIGHT - top - bottom);
    let px = |v: f64| left + (v - x0) / (x1 - x0) * w;
    let py = |v: f64| top + h - (v - y0) / (y1 - y0) * h;
    let mut out = open(WIDTH, HEIGHT, title);
    for v in ys {
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{1:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/><text class=\"n\" x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{5}</text>",
            left,
            left + w,
            py(v),
            left - 8.0,
            py(v) + 4.0,
            short(v)
        );
    }
    for v in xs.into_iter().filter(|v| (x0..=x1).contains(v)) {
        let _ = write!(
            out,
            "<line class=\"tick\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/><text class=\"n\" x=\"{0:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>",
            px(v),
            top + h,
            top + h + 4.0,
            top + h + 18.0,
            short(v)
        );
    }
    let _ = write!(
        out,
        "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{1:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/>",
        left,
        left + w,
        top + h
    );
    let _ = write!(
        out,
        "<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        left + w / 2.0,
        HEIGHT - 8.0,
        escape(x)
    );
    let _ = write!(
        out,
        "<text class=\"n\" transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        top + h / 2.0,
        escape(y)
    );
    let mut known: Vec<&str> = Vec::new();
    for (s, (at, row)) in series.iter().zip(names) {
        let bare = s.name.strip_prefix("val_").unwrap_or(&s.name);
        let place = known.iter().position(|k| *k == bare).unwrap_or_else(|| {
            known.push(bare);
            known.len() - 1
        });
        let color = match s.aside {
            true => "#8b929b",
            false => COLORS[place % COLORS.len()],
        };
        let dash = if s.dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let shown = s
            .points
            .iter()
            .filter(|p| p.0.is_finite() && p.1.is_finite());
        let points: Vec<String> = shown
            .map(|p| format!("{:.1},{:.1}", px(p.0), py(p.1)))
            .collect();
        if let [one] = points.as_slice() {
            let (cx, cy) = one.split_once(',').unwrap_or_default();
            let _ = write!(
                out,
                "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{color}\"/>"
            );
        }
        let _ = write!(
            out,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{dash} points=\"{}\"/>",
            points.join(" ")
        );
        let y = 22.0 + LEGEND_ROW * row;
        let _ = write!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{:.1}\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"{color}\" stroke-width=\"2\"{dash}/><text class=\"n\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            at + 18.0,
            at + 23.0,
            y + 4.0,
            escape(&s.name)
        );
    }
    out + "</svg>"
}

/// Where each name of the legend begins, its row, and how many rows there are beside the first.
fn legend(series: &[Series]) -> (Vec<(f64, f64)>, f64) {
    let (left, _, right, _) = MARGIN;
    let (mut at, mut row) = (left, 0.0);
    let places = series
        .iter()
        .map(|s| {
            let width = 23.0 + 7.0 * s.name.chars().count() as f64 + 16.0;
            if at > left && at + width > WIDTH - right {
                (at, row) = (left, row + 1.0);
            }
            let place = (at, row);
            at += width;
            place
        })
        .collect();
    (places, row)
}

/// Counts, each row coloured by its shares.
pub fn matrix(title: &str, counts: &[Vec<usize>]) -> String {
    let n = counts.len();
    let cell = (520.0 / n.max(1) as f64).clamp(8.0, 64.0);
    let (left, top) = (64.0, 56.0);
    let (width, height) = (left + cell * n as f64 + 16.0, top + cell * n as f64 + 16.0);
    let mut out = open(width.max(260.0), height, title);
    let middle = cell * n as f64 / 2.0;
    let _ = write!(
        out,
        "<text class=\"n\" x=\"{:.1}\" y=\"24\" text-anchor=\"middle\">predicted</text><text class=\"n\" transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">true</text>",
        left + middle,
        top + middle
    );
    for (i, row) in counts.iter().enumerate() {
        let all: usize = row.iter().sum();
        let y = top + cell * i as f64;
        if cell >= 14.0 {
            let _ = write!(
                out,
                "<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{i}</text><text class=\"n\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{i}</text>",
                left - 8.0,
                y + cell / 2.0 + 4.0,
                left + cell * (i as f64 + 0.5),
                top - 8.0
            );
        }
        for (j, &count) in row.iter().enumerate() {
            let share = count as f64 / all.max(1) as f64;
            let x = left + cell * j as f64;
            let _ = write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" fill=\"{1}\"><title>true {i}, predicted {j}: {count} ({2:.1} %)</title></rect>",
                cell - 1.0,
                shade(share),
                100.0 * share
            );
            if cell >= 20.0 && count > 0 {
                let ink = if share > 0.5 { "#fff" } else { "#222" };
                let _ = write!(
                    out,
                    "<text class=\"c\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:{ink}\">{count}</text>",
                    x + cell / 2.0,
                    y + cell / 2.0 + 4.0
                );
            }
        }
    }
    out + "</svg>"
}

/// Text that may stand in an SVG or an HTML file.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\
         <style>text{{font-family:system-ui,sans-serif;fill:#333}}.n{{font-size:12px}}.c{{font-size:12px}}.grid{{stroke:#e3e5e8}}.tick,.axis{{stroke:#888}}</style>\
         <title>{0}</title><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
        escape(title)
    )
}

/// From white to blue.
fn shade(share: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * share.sqrt()).round() as u8;
    format!(
        "#{:02x}{:02x}{:02x}",
        mix(246.0, 30.0),
        mix(248.0, 84.0),
        mix(251.0, 150.0)
    )
}

/// The ends of values; apart, where there is one value or none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values.fold(None, |e: Option<(f64, f64)>, v| match e {
        None => Some((v, v)),
        Some((a, b)) => Some((a.min(v), b.max(v))),
    });
    match ends {
        None => (0.0, 1.0),
        Some((a, b)) if a == b => (a - 0.5, b + 0.5),
        Some(ends) => ends,
    }
}

/// About five round numbers that enclose a range, and their ends.
fn ticks(least: f64, most: f64) -> (Vec<f64>, f64, f64) {
    let raw = (most - least) / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= raw)
        .unwrap_or(10.0 * power);
    let (first, last) = ((least / step).floor() as i64, (most / step).ceil() as i64);
    let all: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
    (all, first as f64 * step, last as f64 * step)
}

/// A tick's number, without what rounding leaves.
fn short(v: f64) -> String {
    if v != 0.0 && !(1e-3..1e5).contains(&v.abs()) {
        return format!("{v:.1e}");
    }
    let text = format!("{v:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        assert_eq!(
            ticks(0.03, 0.97),
            (vec![0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], 0.0, 1.0)
        );
        let (all, first, last) = ticks(1.0, 12.0);
        assert_eq!((all.len(), first, last), (4, 0.0, 15.0));
        assert_eq!(
            [0.6000000000000001, 0.0, 2500.0, 1e-7].map(short),
            ["0.6", "0", "2500", "1.0e-7"]
        );
    }

    #[test]
    fn names_cannot_break_out_of_the_text() {
        let series = Series {
            name: "<b>&".into(),
            points: vec![(1.0, f64::NAN), (2.0, 1.0)],
            dashed: false,
            aside: false,
        };
        let text = lines("t", "x", "y", &[series]);
        assert!(text.contains("&lt;b&gt;&amp;") && !text.contains("<b>") && !text.contains("NaN"));
    }
}
