//! Crash campaigns over vista that run with the other tests, one file per question.

mod properties; // any transactions against a plain model, through any crash
