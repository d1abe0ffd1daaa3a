//! Where in the source an event came from.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};

thread_local! {
    static CAPTURE_AT: Cell<usize> = const { Cell::new(usize::MAX) };
    static CAPTURED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Frames that a report shows of a stack.
const FRAMES: usize = 4;

/// Asks for the stack when the event of this number is recorded at the seam.
pub(crate) fn capture_at(index: usize) {
    CAPTURE_AT.set(index);
    CAPTURED.set(String::new());
}

/// The stack that was captured last, in words; empty if there is none.
pub(crate) fn captured() -> String {
    CAPTURE_AT.set(usize::MAX);
    CAPTURED.take()
}

/// Is told of each event at the seam.
#[inline]
pub(crate) fn at_event(index: usize) {
    if index == CAPTURE_AT.get() {
        CAPTURED.set(frames_of(&Backtrace::force_capture().to_string()));
    }
}

/// The frames of a printed stack that belong to the program under test.
fn frames_of(stack: &str) -> String {
    let mut frames = Vec::new();
    let mut lines = stack.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.split_once(": ").filter(|(number, _)| number.parse::<usize>().is_ok())
        else {
            continue;
        };
        let place = lines.next_if(|line| line.starts_with("at ")).unwrap_or_default();
        if is_ours(name) {
            frames
                .push((name.to_owned(), place.trim_start_matches("at ").trim_start_matches("./").to_owned()));
        }
    }
    words_of(&frames)
}

/// The inlined frames of an instruction.
pub(crate) fn of_address(address: u64) -> String {
    let mut frames = Vec::new();
    backtrace::resolve(address as *mut std::ffi::c_void, |symbol| {
        let name = symbol.name().map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
        let place = match (symbol.filename(), symbol.lineno()) {
            (Some(file), Some(line)) => format!("{}:{line}", file.display()),
            _ => String::new(),
        };
        frames.push((name, place));
    });
    if let Some(at) = frames.iter().position(|(name, _)| is_ours(name)) {
        frames.drain(..at);
    }
    words_of(&frames)
}

/// Neither of the language nor of the crash tester.
fn is_ours(name: &str) -> bool {
    const OTHERS: [&str; 7] =
        ["crash_sim::", "<crash_sim::", "std::", "core::", "<core::", "alloc::", "test::"];
    let name = name.trim_start_matches("<");
    !OTHERS.iter().any(|other| name.starts_with(other.trim_start_matches("<"))) && !name.starts_with("__")
}

fn words_of(frames: &[(String, String)]) -> String {
    let words = frames.iter().take(FRAMES).map(|(name, place)| {
        if place.is_empty() { format!("\n      {name}") } else { format!("\n      {name} ({place})") }
    });
    words.collect()
}
