//! `-info` and `-v`: what this is, and what works.

use std::collections::BTreeMap;

use orlop_protobuf::Message as _;

use crate::messages::Any;
use crate::messages::options::{RuntimeInfo, RuntimeVersion};
use crate::settings::{self, TaskOptions};
use crate::stdio::failed;
use crate::ttrpc::Result;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn commit() -> &'static str {
    option_env!("ORLOP_COMMIT").unwrap_or("unknown")
}

/// What the runtime can do, for those who ask before they use it; with the options on standard input, if there are any.
///
/// # Errors
///
/// Containers could not be made with these options.
pub(crate) fn info() -> Result<Vec<u8>> {
    let options = settings::any(&settings::standard_input()?)?;
    TaskOptions::read(Some(&options))?;
    let features = serde_json::to_vec(&orlop_runtime::features()).map_err(failed("write the features"))?;
    let type_url = "types.containerd.io/opencontainers/runtime-spec/1/features/Features".to_owned();
    let info = RuntimeInfo {
        name: "io.containerd.orlop.v2".to_owned(),
        version: Some(RuntimeVersion { version: VERSION.to_owned(), revision: commit().to_owned() }),
        options: (!options.type_url.is_empty()).then_some(options),
        features: Some(Any { type_url, value: features }),
        annotations: BTreeMap::new(),
    };
    Ok(info.encode())
}

/// The version, for people.
pub(crate) fn version() -> Vec<u8> {
    format!("{} version {VERSION}, commit {}\n", crate::NAME, commit()).into_bytes()
}
