//! Colours, where somebody can see them: on a terminal, unless `NO_COLOR` says no.

use std::env;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is "dumb".
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether colours are on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// For what is written to stdout.
    pub(crate) fn on_stdout(when: When) -> Paint {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_wanted = || {
            io::stdout().is_terminal()
                && !is_set("NO_COLOR")
                && env::var_os("TERM").is_none_or(|t| t != "dumb")
        };
        Paint {
            is_on: match when {
                When::Auto => is_wanted(),
                When::Always => true,
                When::Never => false,
            },
        }
    }

    /// None at all.
    pub(crate) fn off() -> Paint {
        Paint { is_on: false }
    }

    pub(crate) fn style<T: Display>(self, style: Style, what: T) -> Painted<T> {
        Painted { style: if self.is_on { style } else { Style::new() }, what }
    }

    /// What names something: a field, a heading.
    pub(crate) fn name<T: Display>(self, what: T) -> Painted<T> {
        self.style(AnsiColor::Cyan.on_default(), what)
    }

    /// What stands beside what matters: a type, an offset.
    pub(crate) fn aside<T: Display>(self, what: T) -> Painted<T> {
        self.style(Style::new().dimmed(), what)
    }

    /// What is all right.
    pub(crate) fn good<T: Display>(self, what: T) -> Painted<T> {
        self.style(AnsiColor::Green.on_default(), what)
    }

    /// What is not.
    pub(crate) fn bad<T: Display>(self, what: T) -> Painted<T> {
        self.style(AnsiColor::Red.on_default().bold(), what)
    }
}

/// Something with a style around it.
pub(crate) struct Painted<T> {
    style: Style,
    what: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.what.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

/// Columns of the terminal, or as many as one usually has.
pub(crate) fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(80, |(terminal_size::Width(width), _)| usize::from(width))
}
