//! Intel's Resource Director Technology: shares of caches and of memory bandwidth.

use crate::compiler::Compiler;
use crate::{Code, Diagnostics, Host, RdtPlan};
use orlop_spec::{IntelRdt, Linux, Pointer, Spec};
use std::path::Path;

const RDT: Pointer = Pointer::new("/linux/intelRdt");
const CLOS_ID: Pointer = Pointer::new("/linux/intelRdt/closID");
const L3: Pointer = Pointer::new("/linux/intelRdt/l3CacheSchema");
const MB: Pointer = Pointer::new("/linux/intelRdt/memBwSchema");
const CMT: Pointer = Pointer::new("/linux/intelRdt/enableCMT");
const MBM: Pointer = Pointer::new("/linux/intelRdt/enableMBM");
const SCHEMATA: &str = "/linux/intelRdt/schemata/{}";

/// Compiles `intelRdt` as it is to be from now on for a container that runs, whose config is `spec`. Only what the plan
/// compares with, the two schemas of their own, is new.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn compile_rdt(
    spec: &Spec,
    rdt: &IntelRdt,
    host: &Host,
    id: &str,
) -> Result<Option<RdtPlan>, Diagnostics> {
    let linux = Linux { intel_rdt: Some(rdt.clone()), ..Linux::default() };
    let mut compiler = Compiler::new(spec, &linux, host, id, Path::new("/"));
    compiler.intel_rdt();
    let plan = compiler.launch.rdt.take();
    compiler.found().map(|_| plan)
}

impl Compiler<'_> {
    /// What the host side does in the resctrl tree.
    pub(crate) fn intel_rdt(&mut self) {
        let Some(rdt) = &self.linux.intel_rdt else { return };
        let Some(tree) = self.host.resctrl.clone() else {
            let message =
                "Intel RDT is not supported or enabled on this host: no resctrl file system is mounted";
            self.error(Code::Rdt, RDT, message)
                .hint("where the processor has it: mount -t resctrl resctrl /sys/fs/resctrl");
            return;
        };
        if !self.host.privileged {
            self.error(
                Code::Rootless,
                RDT,
                "shares of caches and of memory bandwidth are the host's to give",
            );
        }
        let id = rdt.clos_id.as_str();
        if matches!(id, "." | "..") || (id != "/" && id.contains(['/', '\n', '\0'])) {
            let message = format!("closID {id:?} cannot be the name of a directory");
            self.error(Code::RdtGroup, CLOS_ID, message).hint("\"/\" is the default class");
        }
        self.schema(&rdt.l3_cache_schema, L3, None);
        self.schema(&rdt.mem_bw_schema, MB, Some("MB:"));
        for (index, line) in rdt.schemata.iter().enumerate() {
            self.schema(line, Pointer::new(SCHEMATA).at(index), None);
        }
        for (asked, pointer) in [(rdt.enable_cmt, CMT), (rdt.enable_mbm, MBM)] {
            if asked {
                let message =
                    "no longer in the specification, and without effect: it is enableMonitoring now";
                self.warn(Code::Deprecated, pointer, message);
            }
        }
        if !rdt.l3_cache_schema.is_empty() && !rdt.l3_cache_schema.starts_with("L3:") {
            self.warn(Code::RdtSchema, L3, "a schema of the L3 cache should begin with \"L3:\"");
        }
        let compared = [&rdt.l3_cache_schema, &rdt.mem_bw_schema];
        self.launch.rdt = Some(RdtPlan {
            tree,
            group: (!id.is_empty()).then(|| id.to_owned()),
            container: self.id.to_owned(),
            compared: compared.into_iter().filter(|line| !line.is_empty()).cloned().collect(),
            schemata: rdt.schemata.clone(),
            monitoring: rdt.enable_monitoring,
        });
    }

    fn schema(&mut self, line: &str, pointer: Pointer, prefix: Option<&str>) {
        if line.contains('\n') {
            self.error(Code::RdtSchema, pointer, "a schema is one line, and this has several");
        } else if let Some(prefix) = prefix.filter(|prefix| !line.is_empty() && !line.starts_with(prefix)) {
            self.error(Code::RdtSchema, pointer, format!("{line:?} does not begin with {prefix:?}"));
        }
    }
}
