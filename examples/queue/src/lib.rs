//! A durable job queue with at-least-once delivery, in one file.

#![forbid(unsafe_code)]
