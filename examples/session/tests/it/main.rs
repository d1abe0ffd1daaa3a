//! What is promised of the store and of the server.

mod model; // the store is a dumb map
mod crash; // its transactions, crashed everywhere
mod kill; // the server, killed at any time
mod web; // what it answers

mod support; // servers to start and to kill
