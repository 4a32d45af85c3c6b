//! Learning rate schedules against the length of the run.

use crate::diag::{Code, Diagnostic};
use crate::ir::Graph;
use crate::plural::{count, thousands};
use crate::span::Span;
use crate::spec::TrainSpec;

use super::callbacks::scheduled;
use super::{RunError, Session};

/// Places of a run at which a schedule is looked at.
const SAMPLES: u64 = 200;

/// A schedule that ends at most here, relative to its highest rate, has come to its end.
const END: f32 = 0.05;

/// A rate that changes by less than this, relative to its highest, does not change.
const SAME: f32 = 1e-5;

/// How a schedule fits a run.
#[derive(Debug, PartialEq)]
enum Fit {
    Well,
    /// It is at its lowest after this step, for most of the run.
    EndsEarly {
        after: u64,
        rate: f32,
    },
    /// It changes for the first time after this step, which the run does not reach.
    BeginsLate {
        after: u64,
    },
    /// It goes from the first rate to the second, and on to the third after the run.
    GoesOn {
        from: f32,
        to: f32,
        later: f32,
    },
    /// It still rises at the end, though not for ever.
    Rises {
        to: f32,
    },
}

/// Warns of schedules that are much shorter or longer than a run with so many steps per epoch.
pub fn warnings(
    train: &TrainSpec,
    session: &Session,
    steps_per_epoch: usize,
) -> Result<Vec<Diagnostic>, RunError> {
    let epochs = train.epochs as u64;
    let steps = epochs * steps_per_epoch as u64;
    let mut found = Vec::new();
    for rate in &train.rates {
        let fit = judge(&rate.graph, session, steps)?;
        found.extend(warning(&fit, rate.span, (steps, "step")));
    }
    for graph in train.callbacks.iter().filter_map(|c| c.schedule()) {
        if let Some(at) = place(graph) {
            let fit = judge(graph, session, epochs)?;
            found.extend(warning(&fit, at, (epochs, "epoch")));
        }
    }
    Ok(found)
}

fn judge(graph: &Graph, session: &Session, length: u64) -> Result<Fit, RunError> {
    let mut rate = session.compile(graph.clone())?;
    Ok(fit(length, |step| scheduled(rate.as_mut(), step)))
}

/// Where the program writes a schedule.
fn place(graph: &Graph) -> Option<Span> {
    let last = graph.nodes.last()?;
    graph.origins[last.origin.0 as usize].span
}

/// `length`: of the run, in what the schedule counts.
fn warning(fit: &Fit, at: Span, (length, unit): (u64, &str)) -> Option<Diagnostic> {
    let run = count(length, unit);
    let (message, label) = match fit {
        Fit::Well => return None,
        Fit::EndsEarly { after, rate } => (
            format!(
                "the schedule ends after {unit} {} of {run}",
                thousands(*after)
            ),
            match rate {
                0.0 => "the learning rate is 0 from there on: nothing is learned".into(),
                rate => format!("the learning rate stays at {rate} from there on"),
            },
        ),
        Fit::BeginsLate { after } => (
            format!("the schedule does not change the learning rate in a run of {run}"),
            format!("the first change is after {unit} {}", thousands(*after)),
        ),
        Fit::GoesOn { from, to, later } => (
            format!("the schedule is much longer than a run of {run}"),
            format!("the learning rate only goes from {from} to {to}; later it would be {later}"),
        ),
        Fit::Rises { to } => (
            format!("the warmup is longer than a run of {run}"),
            format!("the learning rate still rises at the end, where it is {to}"),
        ),
    };
    let help = match unit {
        "epoch" => "this schedule counts epochs: fit it to the run",
        _ => "a schedule counts steps (batches), not epochs: fit its steps to the run",
    };
    let d = Diagnostic::warning(Code::W0977, message);
    Some(d.label(at, label).help(help))
}

/// `rate`: of a step, from 1.
fn fit(steps: u64, mut rate: impl FnMut(u64) -> f32) -> Fit {
    if steps < 2 {
        return Fit::Well;
    }
    let at = |i: u64| 1 + (steps - 1) * i / SAMPLES.min(steps - 1);
    let rates: Vec<(u64, f32)> = (0..=SAMPLES.min(steps - 1))
        .map(|i| (at(i), rate(at(i))))
        .collect();
    let (first, last) = (rates[0].1, rates[rates.len() - 1].1);
    let highest = rates.iter().fold(0.0f32, |h, (_, r)| h.max(*r));
    let lowest = rates.iter().fold(highest, |l, (_, r)| l.min(*r));
    if !(highest.is_finite() && highest > 0.0) {
        return Fit::Well;
    }
    let same = |a: f32, b: f32| (a - b).abs() <= SAME * highest;
    let later = [2, 10, 100, 1000].map(|n| rate(steps.saturating_mul(n)));
    if same(highest, lowest) {
        let changed = |r: f32| !same(r, last);
        return match later.iter().any(|r| changed(*r)) {
            true => Fit::BeginsLate {
                after: first_step(steps, |step| changed(rate(step))) - 1,
            },
            false => Fit::Well,
        };
    }
    let stays = rates.iter().rposition(|(_, r)| !same(*r, last));
    let after = stays.map_or(1, |i| rates[i].0);
    let idle = steps - after;
    let dead = last <= f32::EPSILON * highest;
    if last <= END * highest && (idle > steps / 2 || dead && idle > steps / 10) {
        let rate = if dead { 0.0 } else { last };
        return Fit::EndsEarly { after, rate };
    }
    let peaks = later[3].is_finite() && later[3] <= later[0].max(later[1]).max(later[2]);
    if last >= highest && first < 0.5 * last && later[0] > 1.02 * last && peaks {
        return Fit::Rises { to: last };
    }
    if lowest > 0.9 * highest && later[3] < 0.5 * lowest {
        let later = later[3];
        return Fit::GoesOn {
            from: first,
            to: last,
            later,
        };
    }
    Fit::Well
}

/// The first step after `steps` for which something holds that holds from then on, to the
/// nearest that doubling and halving find.
fn first_step(steps: u64, mut holds: impl FnMut(u64) -> bool) -> u64 {
    let (mut low, mut high) = (steps, steps.saturating_mul(2));
    while !holds(high) && high < steps.saturating_mul(1000) {
        (low, high) = (high, high.saturating_mul(2));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(steps: f32) -> impl Fn(u64) -> f32 {
        move |s| {
            let done = ((s - 1) as f32 / steps).min(1.0);
            0.05 * (1.0 + (std::f32::consts::PI * done).cos())
        }
    }

    #[test]
    fn schedules_of_the_length_of_the_run_fit() {
        assert_eq!(fit(1000, cosine(1000.0)), Fit::Well);
        assert_eq!(fit(1000, cosine(950.0)), Fit::Well);
        assert_eq!(fit(1000, cosine(2000.0)), Fit::Well);
        // a warmup, then the same rate for ever
        assert_eq!(fit(1000, |s| 0.1 * (s as f32 / 100.0).min(1.0)), Fit::Well);
        // an inverse square root after a warmup
        let noam = |s: u64| (s as f32).powf(-0.5).min(s as f32 * 100f32.powf(-1.5));
        assert_eq!(fit(1000, noam), Fit::Well);
        // a range test rises to its end
        assert_eq!(fit(1000, |s| 1e-6 * 1.01f32.powf(s as f32)), Fit::Well);
        let steps = |s: u64| if s <= 200 { 0.1 } else { 0.01 };
        assert_eq!(fit(1000, steps), Fit::Well);
        assert_eq!(fit(1000, |_| 0.1), Fit::Well);
        assert_eq!(fit(1, cosine(1000.0)), Fit::Well);
    }

    #[test]
    fn schedules_that_end_early_are_found() {
        let Fit::EndsEarly { after, rate } = fit(1000, cosine(300.0)) else {
            panic!();
        };
        assert!(
            (290..=301).contains(&after) && rate == 0.0,
            "{after} {rate}"
        );
        let polynomial = |s: u64| 0.1 * (1.0 - (s - 1) as f32 / 400.0).max(0.0) + 1e-4;
        assert!(matches!(fit(1000, polynomial), Fit::EndsEarly { rate, .. } if rate == 1e-4));
        assert_eq!(fit(500, polynomial), Fit::Well);
    }

    #[test]
    fn schedules_that_go_on_after_the_run_are_found() {
        assert!(matches!(
            fit(100, cosine(10000.0)),
            Fit::GoesOn { later: 0.0, .. }
        ));
        let steps = |s: u64| if s <= 5000 { 0.1 } else { 0.01 };
        assert_eq!(fit(100, steps), Fit::BeginsLate { after: 5000 });
        let warmup = |s: u64| (s as f32).powf(-0.5).min(s as f32 * 4000f32.powf(-1.5));
        assert!(matches!(fit(500, warmup), Fit::Rises { .. }));
        let exponential = |s: u64| 0.1 * 0.96f32.powf(s as f32 / 100_000.0);
        assert!(matches!(
            fit(1000, exponential),
            Fit::Well | Fit::GoesOn { .. }
        ));
    }
}
