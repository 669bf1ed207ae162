//! Stands in for the library's `Runtime` until it is there.

use orlop_runtime::{
    ContainerId, ContainerState, CreateOptions, Error, ExecOptions, Result, RunOptions, Settings, TryOptions,
};

/// As in the library.
pub(crate) struct Runtime;

fn later<T>() -> Result<T> {
    Err(Error::unsupported("running containers"))
}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    clippy::trivially_copy_pass_by_ref,
    reason = "as in the library"
)]
impl Runtime {
    pub(crate) fn new(_: Settings) -> Result<Self> {
        Ok(Self)
    }
    pub(crate) fn create(&self, _: &ContainerId, _: &CreateOptions) -> Result<()> {
        later()
    }
    pub(crate) fn start(&self, _: &ContainerId) -> Result<()> {
        later()
    }
    pub(crate) fn run(&self, _: &ContainerId, _: &CreateOptions, _: &RunOptions) -> Result<i32> {
        later()
    }
    pub(crate) fn exec(&self, _: &ContainerId, _: &ExecOptions) -> Result<i32> {
        later()
    }
    pub(crate) fn kill(&self, _: &ContainerId, _: i32, _: bool) -> Result<()> {
        later()
    }
    pub(crate) fn delete(&self, _: &ContainerId, _: bool) -> Result<()> {
        later()
    }
    pub(crate) fn state(&self, _: &ContainerId) -> Result<ContainerState> {
        later()
    }
    pub(crate) fn list(&self) -> Result<Vec<ContainerState>> {
        later()
    }
    pub(crate) fn pause(&self, _: &ContainerId) -> Result<()> {
        later()
    }
    pub(crate) fn resume(&self, _: &ContainerId) -> Result<()> {
        later()
    }
    pub(crate) fn processes(&self, _: &ContainerId) -> Result<Vec<i32>> {
        later()
    }
    pub(crate) fn try_it(&self, _: &TryOptions) -> Result<i32> {
        later()
    }
}
