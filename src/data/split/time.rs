//! A split by time: the earliest rows train, the next validate, the last test.
//!
//! A time is a number, or a text: ISO 8601's calendar dates (`2024`, `2024-05`,
//! `2024-05-31`), with a time of day behind `T` or a blank (`13:00`, `13:00:59.25`) and
//! `Z` or an offset (`+02:00`) behind that. A column holds one kind of them.

use super::{Part, sizes};
use crate::data::error::DataError;
use crate::data::missing;
use crate::data::table::{Column, ColumnData};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// Splits `rows` into `parts`, which are listed in order of time. Each part comes back in
/// that order; rows of one time are in the order of `rows`, and may be parted.
pub fn by_time(rows: &[u32], parts: &[Part], of: &Column) -> Result<Vec<Vec<u32>>, DataError> {
    let sizes = sizes(rows.len(), parts)?;
    let mut timed = Vec::with_capacity(rows.len());
    for &row in rows {
        timed.push((time(of, row)?, row));
    }
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut rest = timed.as_slice();
    let parts = sizes.into_iter().map(|n| {
        let (mine, others) = rest.split_at(n);
        rest = others;
        mine.iter().map(|(_, row)| *row).collect()
    });
    Ok(parts.collect())
}

fn time(of: &Column, row: u32) -> Result<f64, DataError> {
    let ColumnData::Text(texts) = of.data() else {
        let missing = missing::is_marked(of, row as usize);
        return match of.number(row as usize) {
            Some(x) if !missing => Ok(x),
            Some(_) => Err(DataError::NotATime {
                column: of.name.clone(),
                row: u64::from(row) + 1,
                value: String::new(),
            }),
            None => Err(DataError::RowIndex {
                row: row as usize,
                rows: of.rows(),
            }),
        };
    };
    let text = texts.get(row as usize).unwrap_or_default().trim();
    // a column of dates has a date first; years alone are numbers and dates alike
    let first = texts.get(0).unwrap_or_default().trim();
    let found = match first.parse::<f64>() {
        Ok(_) => text.parse::<f64>().ok().filter(|x| x.is_finite()),
        Err(_) => seconds(text),
    };
    found.ok_or_else(|| DataError::NotATime {
        column: of.name.clone(),
        row: u64::from(row) + 1,
        value: text.into(),
    })
}

/// Seconds since 1970; without an offset as if in UTC.
fn seconds(text: &str) -> Option<f64> {
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    // chrono takes fields of fewer digits too, which ISO 8601 has not
    let first = match date.len() {
        4 => "-01-01",
        7 => "-01",
        10 => "",
        _ => return None,
    };
    let date = format!("{date}{first}");
    let Some(clock) = clock else {
        let day = NaiveDate::parse_from_str(&date, "%Y-%m-%d").ok()?;
        return Some(since_1970(day.and_time(NaiveTime::MIN).and_utc()));
    };
    if clock.find(':') != Some(2) {
        return None;
    }
    let text = format!("{date}T{clock}");
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|form| {
            let zoned = DateTime::parse_from_str(&text, &format!("{form}%#z"));
            let here = || NaiveDateTime::parse_from_str(&text, form);
            let utc = zoned
                .map(|t| t.to_utc())
                .or_else(|_| here().map(|t| t.and_utc()));
            utc.ok().map(since_1970)
        })
}

fn since_1970(time: DateTime<Utc>) -> f64 {
    time.timestamp() as f64 + f64::from(time.timestamp_subsec_micros()) * 1e-6
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    #[test]
    fn dates_and_times_are_in_their_order() {
        let ordered = [
            "1899",
            "1948-12",
            "1949-01",
            "1949-01-02",
            "1999-12-31T23:59:59.5",
            "2000-02-28",
            "2000-02-29",
            "2000-03-01",
            "2024-05-31T13:00:00+02:00",
            "2024-05-31T11:30Z",
            "2024-05-31 12:00:00",
            "2024-05-31T12:00:00-0100",
        ];
        let found: Vec<f64> = ordered.iter().map(|t| seconds(t).unwrap()).collect();
        assert!(found.windows(2).all(|w| w[0] < w[1]), "{found:?}");
        // the second of 1970 of a known time
        let since = seconds("2024-05-31T11:30Z").unwrap() - seconds("1970-01-01").unwrap();
        assert_eq!(since, 1_717_155_000.0);
        for wrong in [
            "",
            "24-05-31",
            "2024-13-01",
            "2023-02-29",
            "2024-05-31T",
            "2024-05-31T1:00",
            "2024-05-31T10:00X",
            "yesterday",
            "2024-05-31-1",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    fn column(texts: [&str; 5]) -> Column {
        let texts = ColumnData::Text(texts.into_iter().collect());
        Column::new("when", vec![], texts).unwrap()
    }

    #[test]
    fn the_earliest_rows_come_first_whatever_their_place() {
        let parts: Vec<Part> = [("train", 3), ("test", 2)]
            .map(|(name, n)| Part {
                name: name.into(),
                share: Share::Count(n),
            })
            .to_vec();
        let texts = ["2020-03", "2020-01", "2021-01", "2020-02", "2020-12"];
        let when = column(texts);
        let split = by_time(&[0, 1, 2, 3, 4], &parts, &when).unwrap();
        assert_eq!(split, [vec![1, 3, 0], vec![4, 2]]);
        let texts = ["10", "9", "100", "9.5", "11"];
        let when = column(texts);
        let split = by_time(&[0, 1, 2, 3, 4], &parts, &when).unwrap();
        assert_eq!(split, [vec![1, 3, 0], vec![4, 2]]);
        let texts = ["2020-01", "soon", "", "", ""];
        let when = column(texts);
        assert_eq!(
            by_time(&[0, 1, 2, 3, 4], &parts, &when)
                .unwrap_err()
                .to_string(),
            "row 2, column `when`: `soon` is not a date; expected a number, or a date such as 2024-05-31 or 2024-05-31T13:00:00Z"
        );
    }
}
