//! Tables and small pictures made of letters, for terminals of a modest width.

/// Values as a row of blocks, from the least of them (`▁`) to the largest (`█`), at most
/// `width` of them: each is the mean of those it stands for. What is not finite is a blank.
pub fn spark(values: &[f64], width: usize) -> String {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (least, most) = finite().fold(ends, |(a, b), v| (a.min(v), b.max(v)));
    blocks(values, width, least, most)
}

/// Counts as a row of blocks, at most `width` of them, from none (a blank) to the largest.
pub fn heights(counts: &[u64], width: usize) -> String {
    let places = counts.len().min(width.max(1));
    let sums: Vec<u64> = (0..places)
        .map(|i| {
            let (from, to) = (i * counts.len() / places, (i + 1) * counts.len() / places);
            counts[from..to].iter().sum()
        })
        .collect();
    let values: Vec<f64> = sums.iter().map(|n| *n as f64).collect();
    let most = values.iter().copied().fold(1.0, f64::max);
    let blocks = blocks(&values, places, -most / 7.0, most);
    let shown = blocks.chars().zip(&sums);
    shown.map(|(c, n)| if *n == 0 { ' ' } else { c }).collect()
}

fn blocks(values: &[f64], width: usize, least: f64, most: f64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let count = values.len().min(width.max(1));
    let shown = (0..count).map(|i| {
        let (from, to) = (i * values.len() / count, (i + 1) * values.len() / count);
        let part = &values[from..to];
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        let share = (mean - least) / (most - least);
        match () {
            () if !mean.is_finite() => ' ',
            // all are the same
            () if !share.is_finite() => BLOCKS[3],
            () => BLOCKS[((share * 7.0).round() as usize).min(7)],
        }
    });
    shown.collect()
}

/// A bar of eighths of blocks.
pub fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Columns two blanks apart, numbers to the right; the columns in `left` to the left.
pub fn table(heads: &[&str], rows: &[Vec<String>], left: &[usize]) -> String {
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|r| r.get(i));
        let cells = cells.map(|c| c.chars().count());
        cells.chain([heads[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let shown =
            cells
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(i, (c, w))| match left.contains(&i) {
                    true => format!("{c:<w$}"),
                    false => format!("{c:>w$}"),
                });
        let line = shown.collect::<Vec<_>>().join("  ");
        format!("  {}", line.trim_end())
    };
    let mut lines = vec![line(heads.to_vec())];
    let of = |r: &Vec<String>| line(r.iter().map(String::as_str).collect());
    lines.extend(rows.iter().map(of));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_blocks() {
        assert_eq!(spark(&[0.0, 1.0, f64::NAN, 0.5], 9), "▁█ ▅");
        assert_eq!(spark(&[2.0, 2.0], 9), "▄▄");
        assert_eq!(spark(&[0.0, 0.0, 4.0, 4.0], 2), "▁█");
        assert_eq!(heights(&[0, 1, 100], 9), " ▂█");
        assert_eq!(bar(0.5, 3), "█▌");
    }

    #[test]
    fn a_table_is_aligned() {
        let rows = [
            vec!["a".into(), "1.5".into()],
            vec!["bcd".into(), "12".into()],
        ];
        let text = "  name    x\n  a     1.5\n  bcd    12\n";
        assert_eq!(table(&["name", "x"], &rows, &[0]), text);
    }
}
