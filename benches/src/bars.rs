//! Progress, for whoever watches.

use std::time::Duration;

use benches::race;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Two bars: the whole, and what is being done. Where there is no terminal, a line for each part instead.
pub(crate) struct Bars {
    both: MultiProgress,
    pub(crate) whole: ProgressBar,
    part: ProgressBar,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let both = MultiProgress::new();
        // Drawn seldom: the machine is to do nothing else.
        both.set_draw_target(indicatif::ProgressDrawTarget::stderr_with_hz(4));
        let style =
            |template: &str| ProgressStyle::with_template(template).expect("a template that is sound");
        let whole = both.add(
            ProgressBar::new(0)
                .with_style(style("{elapsed_precise} [{wide_bar:.green}] {pos:>3}/{len:3} left: {eta:>4}")),
        );
        let part = both.add(ProgressBar::new(0).with_style(style("         [{bar:30}] {prefix}  {msg}")));
        whole.enable_steady_tick(Duration::from_secs(1));
        Bars { both, whole, part }
    }

    pub(crate) fn begin(&self, title: &str) {
        if self.whole.is_hidden() {
            eprintln!("{title}");
        }
        self.part.reset();
        self.part.set_prefix(title.to_owned());
        self.part.set_message("");
    }

    pub(crate) fn turn(&self, turn: &race::Turn) {
        self.part.set_length(turn.all as u64);
        self.part.set_position(turn.done as u64);
        self.part.set_message(turn.name.clone());
    }

    pub(crate) fn step(&self, message: &str) {
        self.part.set_message(message.to_owned());
    }

    pub(crate) fn print(&self, line: &str) {
        if self.whole.is_hidden() {
            eprintln!("{line}");
        } else {
            // A terminal that cannot be written to has nobody before it.
            let _ = self.both.println(line);
        }
    }

    pub(crate) fn end(&self) {
        self.whole.finish_and_clear();
        self.part.finish_and_clear();
    }
}
