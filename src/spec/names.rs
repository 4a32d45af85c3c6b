//! Names that are contracts: between the graphs of a run, its logs, its reports and what a
//! file may write. Each is made and parsed here alone.

/// What training minimizes, the first of the metrics.
pub const LOSS: &str = "loss";

const VALIDATION: &str = "val_";
const RATE: &str = "learning_rate";

/// `val_loss`: a metric over the validation rows.
pub fn validation(metric: &str) -> String {
    format!("{VALIDATION}{metric}")
}

/// The metric that `val_loss` is the validation of.
pub fn of_validation(name: &str) -> Option<&str> {
    name.strip_prefix(VALIDATION)
}

/// The metric, whether or not it is that of the validation rows.
pub fn metric(name: &str) -> &str {
    of_validation(name).unwrap_or(name)
}

/// `adam/learning_rate`: the buffer of an optimizer's learning rate.
pub fn rate_of_optimizer(optimizer: &str) -> String {
    format!("{optimizer}/{RATE}")
}

/// The optimizer whose learning rate a buffer is.
pub fn optimizer_of_rate(buffer: &str) -> Option<&str> {
    buffer.strip_suffix(RATE)?.strip_suffix('/')
}

/// A learning rate in the logs, as Keras names it; the optimizer's name where there are several.
pub fn logged_rate(optimizer: Option<&str>) -> String {
    match optimizer {
        Some(optimizer) => format!("{RATE}_{optimizer}"),
        None => RATE.into(),
    }
}

/// The accumulator that counts the rows that a metric has collected.
pub fn collected_rows(metric: &str) -> String {
    format!("{metric}/rows")
}

/// Where a saved state holds the weights that a callback keeps, by its place.
pub fn kept_weights(callback: usize) -> String {
    format!("kept/{callback}/")
}

/// A result of the reports' graph for each output that they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportResult {
    /// What the losses compare: as the model gives it,
    Prediction,
    /// and as the data give it.
    Target,
    /// Which positions of a masked output count.
    Mask,
    /// The loss of each row.
    Loss,
}

impl ReportResult {
    pub fn name(self, output: &str) -> String {
        let what = match self {
            ReportResult::Prediction => "prediction",
            ReportResult::Target => "target",
            ReportResult::Mask => "mask",
            ReportResult::Loss => "loss",
        };
        format!("{what}/{output}")
    }
}

const LAYER: &str = "layer/";

/// The result of the reports' graph that a layer gives.
pub fn report_layer(path: &str) -> String {
    format!("{LAYER}{path}")
}

/// The path of the layer that a result of the reports' graph is of.
pub fn layer_of_report(result: &str) -> Option<&str> {
    result.strip_prefix(LAYER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_made() {
        assert_eq!(of_validation(&validation(LOSS)), Some(LOSS));
        assert_eq!((of_validation(LOSS), metric("val_loss")), (None, LOSS));
        assert_eq!(optimizer_of_rate(&rate_of_optimizer("adam")), Some("adam"));
        assert_eq!(optimizer_of_rate("learning_rate"), None);
    }
}
