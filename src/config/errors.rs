//! How an operator gets to see what is wrong, in the form of a compiler.

use std::fmt;
use std::path::Path;

use super::place::Place;
use super::problem::{Problem, Problems};
use super::source::{Snippet, Source};

/// Everything that is wrong with a configuration; never empty.
///
/// [`Display`](fmt::Display) prints all of it, with the line of the file and a
/// caret for each. No secret is in it, so that it may go to any log.
#[derive(Debug, Clone)]
pub struct Errors(Vec<Report>);

impl Errors {
    /// How many things are wrong.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The first one in one line, and how many more there are: for a log
    /// record or `STATUS=`.
    #[must_use]
    pub fn summary(&self) -> String {
        let first = self.0.first().map(Report::line).unwrap_or_default();
        match self.0.len() {
            0 | 1 => first,
            count => format!("{first} (and {} more)", count - 1),
        }
    }

    /// Each one in one line: for a log record each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Report::line)
    }

    /// The problems as they are shown, with the lines of `source`.
    pub(super) fn new(problems: Problems, source: Option<&Source>) -> Errors {
        let problems = problems.sorted().into_iter();
        Errors(
            problems
                .map(|problem| Report::new(problem, source))
                .collect(),
        )
    }

    /// One problem with the file as a whole.
    pub(super) fn of_file(path: &Path, message: String, help: &str) -> Errors {
        Errors(vec![Report {
            message,
            location: Some(path.display().to_string()),
            snippet: None,
            help: Some(help.to_owned()),
        }])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, report) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            report.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// A problem, independent of the file that it is in.
#[derive(Debug, Clone)]
struct Report {
    message: String,
    location: Option<String>,
    snippet: Option<Snippet>,
    help: Option<String>,
}

impl Report {
    fn new(problem: Problem, source: Option<&Source>) -> Report {
        let snippet = match (&problem.place, source) {
            (Place::File(span), Some(source)) => Some((source, source.snippet(span))),
            _ => None,
        };
        let location = match (&problem.place, &snippet) {
            (_, Some((source, at))) => Some(format!(
                "{}:{}:{}",
                source.path().display(),
                at.line,
                at.column
            )),
            (Place::Environment(name), _) => Some(format!("environment variable {name}")),
            (Place::Flag(name), _) => Some(format!("flag {name}")),
            _ => None,
        };
        let message = if problem.key.is_empty() {
            problem.message
        } else {
            format!("{}: {}", problem.key, problem.message)
        };
        Report {
            message,
            location,
            snippet: snippet.map(|(_, snippet)| snippet),
            help: problem.help,
        }
    }

    fn line(&self) -> String {
        let location = self.location.as_ref().map(|at| format!("{at}: "));
        let help = self.help.as_deref().map(|help| {
            let lines: Vec<_> = help.lines().map(str::trim).collect();
            format!("; {}", lines.join(" "))
        });
        let location = location.unwrap_or_default();
        format!("{location}{}{}", self.message, help.unwrap_or_default())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let number = self.snippet.as_ref().map(|at| at.line.to_string());
        let margin = " ".repeat(number.as_ref().map_or(1, String::len));
        if let Some(location) = &self.location {
            writeln!(f, "{margin}--> {location}")?;
        }
        if let (Some(at), Some(number)) = (&self.snippet, &number) {
            let (before, caret) = (" ".repeat(at.before), "^".repeat(at.width));
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", at.text)?;
            writeln!(f, "{margin} | {before}{caret}")?;
        }
        if let Some(help) = &self.help {
            let next_line = format!("\n{margin}         ");
            writeln!(f, "{margin} = help: {}", help.replace('\n', &next_line))?;
        }
        Ok(())
    }
}
