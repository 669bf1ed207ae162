//! What takes longest of a launch, begun before its command line is understood: that takes a tenth of a millisecond, and the
//! new network namespace is waited for in the end.
//!
//! Who begins may be wrong about what the command line says. Then nothing of this is used, and nothing is left of it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::launch::NewNetwork;
use crate::options::CreateOptions;

/// What was begun.
static BEGUN: Mutex<Option<Ahead>> = Mutex::new(None);

/// A config that was read, and the network namespace that it seems to want.
pub(crate) struct Ahead {
    bundle: PathBuf,
    config: Option<PathBuf>,
    /// The config's text.
    pub(crate) text: Vec<u8>,
    /// The network namespace.
    pub(crate) network: Option<NewNetwork>,
}

/// Begins, if this process seems to be about to launch the container of this bundle, with this config if one is named. Paths are
/// as they are given.
pub fn begin(bundle: &Path, config: Option<&Path>) {
    let file = config.map_or_else(|| bundle.join("config.json"), Path::to_owned);
    // What can be read only once is left to who knows that it is meant.
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return;
    }
    let Ok(text) = std::fs::read(&file) else { return };
    let network = NewNetwork::begin_if(&text);
    let begun = Ahead { bundle: bundle.to_owned(), config: config.map(Path::to_owned), text, network };
    if let Ok(mut place) = BEGUN.lock() {
        *place = Some(begun);
    }
}

/// What was begun, if it was for this.
pub(crate) fn take(options: &CreateOptions) -> Option<Ahead> {
    let begun = BEGUN.lock().ok()?.take()?;
    let is_it = options.bundle == begun.bundle && options.config == begun.config;
    is_it.then_some(begun)
}
