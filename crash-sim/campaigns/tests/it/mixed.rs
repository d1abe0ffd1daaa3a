//! Any operations on several collections through every crash, as far as there is time for it in a test; the command of
//! this package goes on where this ends.

use campaigns::collections::mixed;

use crate::support;

#[test]
fn anything() {
    for scenario in mixed::all() {
        support::check(mixed::all(), scenario.name, 600);
    }
}
