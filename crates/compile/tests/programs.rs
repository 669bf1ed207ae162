//! Whole programs, as they are written for configs of the usual kinds.
#![allow(missing_docs)]

mod common;

use common::{create, root, show, user};
use orlop_spec::default::default_spec;

#[test]
fn the_default_config() {
    insta::assert_snapshot!(show(&create(&default_spec(false), &root()).unwrap()));
}

#[test]
fn the_default_rootless_config() {
    let mut spec = default_spec(true);
    let linux = spec.linux.as_mut().unwrap();
    linux.uid_mappings[0].host_id = 1000;
    linux.gid_mappings[0].host_id = 1000;
    insta::assert_snapshot!(show(&create(&spec, &user()).unwrap()));
}
