//! The shim, with containerd's side played by the test.
mod away;
mod checkpoint;
mod life;
mod refused;
mod stage;
mod start;
mod streams;
