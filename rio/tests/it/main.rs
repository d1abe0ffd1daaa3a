//! What a region promises, one file per promise.

mod support; // files, child processes, damaged headers

mod round_trip; // bytes and identity are there again
mod creation; // a name appears at once, and never in another's place
mod damage; // what cannot be read is an error, and stays as it is
mod owner; // one owner at a time
mod space; // a full disk is an error at create and grow
mod growth; // growing does not move
mod torn; // a header update cut off anywhere loses nothing
mod reboot; // what was left open is refused after a reboot
mod private; // who only looks changes nothing
mod protection; // a wild store dies
mod survival; // kill -9
mod fork; // a forked child has nothing of it
mod domains; // forced domains do their work and promise no more
