//! A split by time: the earliest rows train, the next validate, the last test.
//!
//! A time is a number, or a text: ISO 8601's calendar dates (`2024`, `2024-05`,
//! `2024-05-31`), with a time of day behind `T` or a blank (`13:00`, `13:00:59.25`) and
//! `Z` or an offset (`+02:00`) behind that. A column holds one kind of them.

use super::{Part, sizes};
use crate::data::error::DataError;
use crate::data::missing;
use crate::data::table::{Column, ColumnData};

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

/// Seconds since the first of March of the year 0; without an offset as if in UTC.
fn seconds(text: &str) -> Option<f64> {
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let year = digits(fields.next()?, 4)?;
    let month = fields.next().map_or(Some(1), |m| digits(m, 2))?;
    let day = fields.next().map_or(Some(1), |d| digits(d, 2))?;
    if fields.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > longest {
        return None;
    }
    // years from March: the day that some Februaries have more is then a year's last
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
            - 1;
    let clock = clock.map_or(Some(0.0), clock_seconds)?;
    Some(86400.0 * days as f64 + clock)
}

/// `13:00:59.25+02:00`
fn clock_seconds(text: &str) -> Option<f64> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(at);
    let offset = match zone.chars().next() {
        None | Some('Z') if zone.len() <= 1 => 0.0,
        Some(sign @ ('+' | '-')) => {
            let (hours, minutes) = match zone[1..].split_once(':') {
                Some((h, m)) => (digits(h, 2)?, digits(m, 2)?),
                None if zone.len() == 5 => {
                    (digits(zone.get(1..3)?, 2)?, digits(zone.get(3..)?, 2)?)
                }
                None => (digits(&zone[1..], 2)?, 0),
            };
            let seconds = (3600 * hours + 60 * minutes) as f64;
            if sign == '+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let mut fields = clock.split(':');
    let hours = digits(fields.next()?, 2)?;
    let minutes = digits(fields.next()?, 2)?;
    let seconds = match fields.next() {
        None => 0.0,
        Some(s) if s.len() >= 2 && s.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            s.parse::<f64>().ok()?
        }
        Some(_) => return None,
    };
    let sound = fields.next().is_none() && hours < 25 && minutes < 60 && seconds < 61.0;
    sound.then(|| (3600 * hours + 60 * minutes) as f64 + seconds - offset)
}

/// A number of just so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let sound = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok())?
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

    #[test]
    fn the_earliest_rows_come_first_whatever_their_place() {
        let parts: Vec<Part> = [("train", 3), ("test", 2)]
            .map(|(name, n)| Part {
                name: name.into(),
                share: Share::Count(n),
            })
            .to_vec();
        let texts = ["2020-03", "2020-01", "2021-01", "2020-02", "2020-12"];
        let column = Column::new(
            "when",
            vec![],
            ColumnData::Text(texts.into_iter().collect()),
        )
        .unwrap();
        let split = by_time(&[0, 1, 2, 3, 4], &parts, &column).unwrap();
        assert_eq!(split, [vec![1, 3, 0], vec![4, 2]]);
        let texts = ["10", "9", "100", "9.5", "11"];
        let column = Column::new(
            "when",
            vec![],
            ColumnData::Text(texts.into_iter().collect()),
        )
        .unwrap();
        let split = by_time(&[0, 1, 2, 3, 4], &parts, &column).unwrap();
        assert_eq!(split, [vec![1, 3, 0], vec![4, 2]]);
        let texts = ["2020-01", "soon", "", "", ""];
        let column = Column::new(
            "when",
            vec![],
            ColumnData::Text(texts.into_iter().collect()),
        )
        .unwrap();
        assert_eq!(
            by_time(&[0, 1, 2, 3, 4], &parts, &column)
                .unwrap_err()
                .to_string(),
            "row 2, column `when`: `soon` is no time; expected a number, or a date such as 2024-05-31 or 2024-05-31T13:00:00Z"
        );
    }
}
