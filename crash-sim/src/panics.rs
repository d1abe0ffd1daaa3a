//! Panics of the program under test, caught and kept quiet.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::sim::Endless;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics that are caught here do not print; all others do what they did before.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_QUIET.get() {
                let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
                MESSAGE.set(Some(format!("{}{place}", words_of(info.payload()))));
            } else {
                before(info);
            }
        }));
    });
}

/// Runs something that may panic, and says what it panicked with.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    let was_quiet = IS_QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    IS_QUIET.set(was_quiet);
    result.map_err(|payload| MESSAGE.take().unwrap_or_else(|| words_of(&*payload)))
}

fn words_of(payload: &dyn Any) -> String {
    if payload.is::<Endless>() {
        return "it does not end: more events than the campaign allows".to_owned();
    }
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
