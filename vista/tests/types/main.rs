//! What the types promise: which structs may live in a segment, how they are described, and that no pointer
//! from a damaged file does harm.

mod derive;
mod layout;
mod pointer;
