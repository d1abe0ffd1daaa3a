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

/// The number of the event whose stack is asked for; none has `usize::MAX`.
pub(crate) fn awaited() -> usize {
    CAPTURE_AT.get()
}

/// Is told of the event that is awaited, and may be told of others.
#[cold]
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
        let place =
            lines.next_if(|line| line.starts_with("at ")).unwrap_or_default().trim_start_matches("at ");
        if !frames.is_empty() && name.trim_start_matches('<').starts_with("crash_sim::") {
            break; // Whoever runs the campaign calls from here on.
        }
        if is_ours(name, place) {
            frames.push((name.to_owned(), place.to_owned()));
        }
    }
    words_of(&frames)
}

/// The inlined frames of an instruction.
pub(crate) fn of_address(address: u64) -> String {
    let mut frames = Vec::new();
    backtrace::resolve(address as *mut std::ffi::c_void, |symbol| {
        let name = symbol.name().map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
        let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
        let line = symbol.lineno().unwrap_or_default();
        frames.push((name, format!("{file}:{line}")));
    });
    frames.retain(|(name, place)| is_ours(name, place));
    words_of(&frames)
}

/// Neither of the language nor of the crash tester.
fn is_ours(name: &str, place: &str) -> bool {
    const NAMES: [&str; 6] = ["crash_sim::", "std::", "core::", "alloc::", "test::", "__"];
    const PLACES: [&str; 3] = ["/rustc/", "crash-sim/src/", "/library/std/"];
    let name = name.trim_start_matches('<');
    let is_start = name == "main"; // The one in C, which calls the program's own.
    let is_foreign = NAMES.iter().any(|other| name.starts_with(other));
    !is_start && !is_foreign && !PLACES.iter().any(|other| place.contains(other))
}

/// A path as one would type it here.
fn shorten(place: &str) -> &str {
    let here = std::env::current_dir().ok();
    let root = here
        .as_deref()
        .and_then(|here| here.ancestors().filter(|dir| dir.join("Cargo.lock").exists()).last());
    let short = root.and_then(|root| place.strip_prefix(root.to_str()?)?.strip_prefix('/'));
    short.unwrap_or(place.trim_start_matches("./"))
}

fn words_of(frames: &[(String, String)]) -> String {
    let words = frames.iter().take(FRAMES).map(|(name, place)| {
        let place = shorten(place);
        if place.is_empty() { format!("\n      {name}") } else { format!("\n      {name} ({place})") }
    });
    words.collect()
}
