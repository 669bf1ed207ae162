//! `run IMAGE`: from an image and wishes to a bundle.
//!
//! | file | what is in it |
//! |---|---|
//! | [`args`] | the options |
//! | [`config`] | the config that they make |
//! | [`home`] | the container's own directory |
//! | [`mounts`], [`limits`], [`security`], [`network`], [`userns`] | what some of the options mean |

pub(crate) mod args;
pub(crate) mod config;
pub(crate) mod home;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod security;
pub(crate) mod userns;
