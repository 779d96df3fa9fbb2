//! A server process for each slot, on this machine.
