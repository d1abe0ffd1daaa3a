//! A recorder of what the machine really executed.
