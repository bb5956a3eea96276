//! The text form of metrics: OpenMetrics 1.0.

use std::fmt::{Display, Write};

use super::histogram::Histogram;

/// The text's media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A text that is being written, family by family.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its samples end in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
    /// A 1 with labels that tell something; its samples end in `_info`.
    Info,
}

impl Exposition {
    /// Begins a family; its samples follow. `name` ends in its unit, if it has
    /// one: `seconds` or `bytes`.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        self.line(format_args!("# TYPE {name} {kind}"));
        for unit in ["seconds", "bytes"] {
            if name
                .strip_suffix(unit)
                .is_some_and(|rest| rest.ends_with('_'))
            {
                self.line(format_args!("# UNIT {name} {unit}"));
            }
        }
        self.line(format_args!("# HELP {name} {help}"));
    }

    /// A sample: `name`, its suffix included.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        self.labels(labels, None);
        self.line(format_args!(" {value}"));
    }

    /// The samples of a histogram.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            self.0.push_str(name);
            self.0.push_str("_bucket");
            self.labels(labels, Some(bound));
            self.line(format_args!(" {count}"));
        }
        self.sample(&format!("{name}_count"), labels, histogram.count());
        self.sample(&format!("{name}_sum"), labels, histogram.sum());
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }

    fn labels(&mut self, labels: &[(&str, &str)], bound: Option<f64>) {
        if labels.is_empty() && bound.is_none() {
            return;
        }
        let mut before = '{';
        for (name, value) in labels {
            self.0.push(before);
            self.0.push_str(name);
            self.0.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            self.0.push(before);
            // A String takes everything.
            let _ = match bound {
                f64::INFINITY => write!(self.0, "le=\"+Inf\""),
                bound => write!(self.0, "le=\"{}\"", canonical(bound)),
            };
        }
        self.0.push('}');
    }

    fn line(&mut self, rest: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = writeln!(self.0, "{rest}");
    }
}

/// As the standard writes a bound: an exponent has two digits at least
/// (OpenMetrics 1.0, "Considerations: Canonical Numbers").
fn canonical(bound: f64) -> String {
    let text = format!("{bound:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() == 1 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_standard() {
        let mut text = Exposition::default();
        text.family("a_seconds", Kind::Histogram, "Of a.");
        let mut histogram = Histogram::new(&[0.000025, 0.5, 1.0]);
        histogram.observe(1.0);
        text.histogram("a_seconds", &[("b", "\"\\\n")], &histogram);
        text.family("c", Kind::Counter, "Of c.");
        text.sample("c_total", &[], 3);
        let expected = r##"# TYPE a_seconds histogram
# UNIT a_seconds seconds
# HELP a_seconds Of a.
a_seconds_bucket{b="\"\\\n",le="2.5e-05"} 0
a_seconds_bucket{b="\"\\\n",le="0.5"} 0
a_seconds_bucket{b="\"\\\n",le="1.0"} 1
a_seconds_bucket{b="\"\\\n",le="+Inf"} 1
a_seconds_count{b="\"\\\n"} 1
a_seconds_sum{b="\"\\\n"} 1
# TYPE c counter
# HELP c Of c.
c_total 3
# EOF
"##;
        assert_eq!(text.finish(), expected);
    }
}
