//! What the campaigns find in vista, and that the tools agree.

mod agreement; // the recorders see the same, at every opt-level
mod region; // every store of a real region
