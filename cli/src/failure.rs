//! What went wrong, in one line: where, what, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use vista::rio;

/// A reason to stop.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    advice: Option<&'static str>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), advice: None }
    }

    /// A system call that this program made itself.
    pub(crate) fn system(path: &Path, what: &str, error: &io::Error) -> Failure {
        Failure::new(format!("{}: {what}: {error}", path.display()))
    }

    pub(crate) fn with_advice(mut self, advice: &'static str) -> Failure {
        self.advice = Some(advice);
        self
    }

    /// The same failure, and what was done before it.
    pub(crate) fn after(mut self, done: &str) -> Failure {
        self.what += &format!("; {done}");
        self
    }

    /// The same failure, and where the file is that it left behind.
    pub(crate) fn kept(mut self, path: &Path) -> Failure {
        self.what += &format!("; the file is kept: {}", path.display());
        self
    }

    /// One line on stderr, and for a reader of JSON a document on stdout. If nobody reads them, the exit code has to do.
    pub(crate) fn report(&self, is_json: bool) {
        let line = in_one_line(&self.to_string());
        if is_json {
            let error = serde_json::json!({ "error": line });
            let _ = writeln!(io::stdout(), "{error}");
        }
        let _ = writeln!(io::stderr(), "vista: {line}");
    }
}

/// Names of files and arguments are anybody's: what a terminal would obey is written out.
fn in_one_line(text: &str) -> String {
    let escape = |c: char| if c == '\n' { " ".to_owned() } else { c.escape_debug().to_string() };
    text.chars().map(|c| if c.is_control() { escape(c) } else { c.into() }).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.advice.map_or(Ok(()), |advice| write!(f, " ({advice})"))
    }
}

impl From<vista::Error> for Failure {
    fn from(error: vista::Error) -> Self {
        let advice = match &error {
            vista::Error::Medium(error) => advice_on_medium(error),
            vista::Error::Damaged { .. } => Some("damaged, or no segment; the file was left as it is"),
            vista::Error::RootMismatch { .. } => Some("open it with the program that made it"),
            vista::Error::NoSpace { .. } => Some("let it become longer, or delete something"),
            _ => None,
        };
        Failure { what: with_causes(&error), advice }
    }
}

impl From<rio::Error> for Failure {
    fn from(error: rio::Error) -> Self {
        Failure { what: with_causes(&error), advice: advice_on_medium(&error) }
    }
}

impl From<lrvm::Error> for Failure {
    fn from(error: lrvm::Error) -> Self {
        Failure { what: with_causes(&error), advice: None }
    }
}

fn advice_on_medium(error: &rio::Error) -> Option<&'static str> {
    match error {
        rio::Error::Damaged { .. } => Some("damaged, or no segment; the file was left as it is"),
        rio::Error::Version { .. } => Some("use the version of vista that made it"),
        rio::Error::Locked { .. } => Some("end the process that has it open, and try again"),
        rio::Error::AlreadyExists { .. } => Some("choose another path, or remove it yourself"),
        rio::Error::NoSpace { .. } => Some("make room on the file system, or ask for less"),
        rio::Error::LeftOpenAcrossReboot { .. } => Some("vista recover --accept-reboot takes it as it is"),
        rio::Error::System { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Some("is the path right?")
        }
        rio::Error::System { source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
            Some("name the file of a segment")
        }
        _ => None,
    }
}

/// The error and its causes, each said once.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        cause = error.source();
    }
    text
}
