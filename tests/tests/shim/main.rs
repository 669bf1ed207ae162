//! The shim, with containerd's side played by the test.
mod away;
mod checkpoint;
mod life;
mod pod;
mod refused;
mod root;
mod stage;
mod start;
mod streams;
mod users;
