//! Crash campaigns over vista that run with the other tests, and that the tools agree; one file per question.

mod support; // what they share
mod slice; // every scenario, as far as a test may take
mod forgetful; // a library that would not flush
mod properties; // any transactions against a plain model, through any crash
mod plants; // the document has them all
mod agreement; // the recorders see the same, at every opt-level
mod migration; // from one type of root to the next
mod region; // every store of a real region
mod redo; // lrvm on a simulated disk
mod lrvm; // the redo log, as far as a test may take
mod linear; // vectors, queues, slabs, strings
mod hash_map; // a collection whose memory moves step by step
mod btree_map; // a collection whose nodes split and join
mod mixed; // several collections at once
