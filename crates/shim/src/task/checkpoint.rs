//! Checkpoint: a container is written to disk, by CRIU; and the start of one that comes from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orlop_protobuf::Message as _;
use orlop_runtime::{
    CgroupsMode, CheckpointOptions, ContainerId, CreateOptions, CriuOptions, Held, RestoreOptions, Runtime,
};

use super::{Phase, ProcessId, first_with_streams, process, task, wrong_phase};
use crate::messages::Any;
use crate::messages::events::{TaskCheckpointed, TaskStart};
use crate::messages::options::CheckpointOptions as Asked;
use crate::messages::task::{CheckpointTaskRequest, StartResponse};
use crate::server::{Answer, Call, Server, done};
use crate::settings::TaskOptions;
use crate::stdio::{Addresses, Streams, Whose};
use crate::ttrpc::{Code, Failure, Result};

/// The directory in the bundle in which CRIU works where nobody names one, and which is gone afterwards.
const WORK: &str = "criu-work";

impl Server {
    pub(crate) fn checkpoint(&mut self, call: Call, request: CheckpointTaskRequest) -> Answer {
        let task = task(&mut self.tasks, &request.id)?;
        if !matches!(task.init.phase, Phase::Running) {
            return Err(wrong_phase(
                "write a checkpoint of",
                &ProcessId::new(&request.id, ""),
                "does not run",
            ));
        }
        let (images, options) = dump_options(&request, &task.options, &task.bundle)?;
        task.begin()?;
        let (runtime, container, bundle) = (Arc::clone(&task.runtime), task.id.clone(), task.bundle.clone());
        let dump = move || dump(&runtime, &container, &options, &bundle);
        self.jobs.start(dump, move |server: &mut Self, dumped| {
            let id = ProcessId::new(&request.id, "");
            if dumped.is_ok() {
                let checkpoint = images.to_string_lossy().into_owned();
                server.publish(&TaskCheckpointed { container_id: request.id, checkpoint });
            }
            server.answer(call, dumped.map(|()| Vec::new()));
            server.turn_over(&id);
        });
        Ok(None)
    }

    /// Start of a container that was created from a checkpoint.
    pub(super) fn restore(&mut self, call: Call, id: ProcessId) -> Answer {
        let task = task(&mut self.tasks, &id.container)?;
        let restoring = Restoring {
            runtime: Arc::clone(&task.runtime),
            id: task.id.clone(),
            bundle: task.bundle.clone(),
            images: task.checkpoint.clone().unwrap_or_default(),
            options: task.options.clone(),
            addresses: task.init.addresses.clone(),
        };
        let whose = self.whose(&id.container, &restoring.options);
        self.jobs.start(
            move || restoring.restore(&whose),
            move |server: &mut Self, restored| server.restored(call, &id, restored),
        );
        Ok(None)
    }

    fn restored(&mut self, call: Call, id: &ProcessId, restored: Result<(Held, Streams)>) {
        let Ok(task) = task(&mut self.tasks, &id.container) else { return };
        let (held, streams) = match restored {
            Ok(restored) => restored,
            Err(failure) => {
                // It can be tried again, or deleted.
                task.init.phase = Phase::Created;
                self.answer(call, Err(failure));
                return self.turn_over(id);
            }
        };
        task.checkpoint = None;
        let pid = self.hold_first(id, held, streams);
        if let Ok(process) = process(&mut self.tasks, id) {
            process.phase = Phase::Running;
        }
        self.publish(&TaskStart { container_id: id.container.clone(), pid });
        self.answer(call, done(&StartResponse { pid }));
        self.watch_process(id);
        self.turn_over(id);
    }
}

/// Where the images go, and how they are made.
fn dump_options(
    request: &CheckpointTaskRequest,
    own: &TaskOptions,
    bundle: &Path,
) -> Result<(PathBuf, CheckpointOptions)> {
    let wrong = |why: String| Failure::new(Code::InvalidArgument, format!("checkpoint: {why}"));
    let asked = asked(request.options.as_ref())?;
    let named = [&request.path, &asked.image_path].into_iter().find(|path| !path.is_empty());
    let images = named.map(PathBuf::from).or_else(|| own.criu_images.clone());
    let images = images.ok_or_else(|| wrong("no directory for the images".to_owned()))?;
    // What network devices there are is never part of a checkpoint; other namespaces always are.
    if let Some(namespace) = asked.empty_namespaces.iter().find(|name| *name != "network") {
        return Err(wrong(format!("namespace {namespace:?} cannot be restored as an empty one")));
    }
    let cgroups = match asked.cgroups_mode.as_str() {
        "" => None,
        "ignore" => Some(CgroupsMode::Ignore),
        "soft" => Some(CgroupsMode::Soft),
        "full" => Some(CgroupsMode::Full),
        "strict" => Some(CgroupsMode::Strict),
        mode => {
            return Err(wrong(format!("there is no way of dealing with cgroups that is called {mode:?}")));
        }
    };
    let work = Some(asked.work_path).filter(|path| !path.is_empty()).map(PathBuf::from);
    let criu = CriuOptions {
        image_path: images.clone(),
        work_path: Some(work.or_else(|| own.criu_work.clone()).unwrap_or_else(|| bundle.join(WORK))),
        tcp_established: asked.open_tcp,
        ext_unix_sk: asked.external_unix_sockets,
        shell_job: asked.terminal,
        file_locks: asked.file_locks,
        cgroups,
        ..CriuOptions::default()
    };
    let parent_path = Some(asked.parent_path).filter(|path| !path.is_empty()).map(PathBuf::from);
    let options =
        CheckpointOptions { criu, parent_path, leave_running: !asked.exit, ..CheckpointOptions::default() };
    Ok((images, options))
}

fn asked(options: Option<&Any>) -> Result<Asked> {
    let Some(any) = options.filter(|any| !any.type_url.is_empty()) else { return Ok(Asked::default()) };
    let wrong = |why: String| Failure::new(Code::InvalidArgument, format!("checkpoint: options {why}"));
    if any.name() != "containerd.runc.v1.CheckpointOptions" {
        return Err(wrong(format!("of an unknown type, {:?}", any.name())));
    }
    Asked::decode(&any.value).map_err(|e| wrong(e.to_string()))
}

fn dump(runtime: &Runtime, id: &ContainerId, options: &CheckpointOptions, bundle: &Path) -> Result<()> {
    let dumped = runtime.checkpoint(id, options);
    put_away(bundle, "dump.log", dumped.is_err());
    Ok(dumped?)
}

/// Leaves nothing of the directory in the bundle but CRIU's log if it failed, under the name that containerd's own shim has
/// for it: `criu-dump.log`.
fn put_away(bundle: &Path, log: &str, failed: bool) {
    let work = bundle.join(WORK);
    if failed {
        // CRIU may not have come so far.
        fs::rename(work.join(log), bundle.join(format!("criu-{log}"))).ok();
    }
    // It is not there if another was named.
    fs::remove_dir_all(&work).ok();
}

/// What a job needs to restore a container.
struct Restoring {
    runtime: Arc<Runtime>,
    id: ContainerId,
    bundle: PathBuf,
    images: PathBuf,
    options: TaskOptions,
    addresses: Addresses,
}

impl Restoring {
    fn restore(self, whose: &Whose) -> Result<(Held, Streams)> {
        let (stdio, streams) = self.addresses.open(whose)?;
        let create = CreateOptions {
            bundle: self.bundle.clone(),
            pid_file: Some(self.bundle.join("init.pid")),
            no_pivot: self.options.no_pivot,
            ..CreateOptions::default()
        };
        let work_path = Some(self.options.criu_work.unwrap_or_else(|| self.bundle.join(WORK)));
        let criu = CriuOptions { image_path: self.images, work_path, ..CriuOptions::default() };
        let options = RestoreOptions { criu, ..RestoreOptions::default() };
        let restored = self.runtime.restore_held(&self.id, &create, &options, &stdio);
        put_away(&self.bundle, "restore.log", restored.is_err());
        first_with_streams((&self.runtime, &self.id), restored, stdio, streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(asked: &Asked, path: &str) -> Result<(PathBuf, CheckpointOptions)> {
        let options = Some(Any::of("containerd.runc.v1.CheckpointOptions", asked));
        let request = CheckpointTaskRequest { id: "x".into(), path: path.into(), options };
        dump_options(&request, &TaskOptions::default(), Path::new("/b"))
    }

    #[test]
    fn options_are_those_of_runc() {
        let asked = Asked {
            exit: true,
            open_tcp: true,
            empty_namespaces: vec!["network".into()],
            cgroups_mode: "full".into(),
            image_path: "/other".into(),
            parent_path: "../before".into(),
            ..Asked::default()
        };
        let (images, options) = read(&asked, "/images").unwrap();
        assert_eq!(images, Path::new("/images"));
        let criu = CriuOptions {
            image_path: images,
            work_path: Some("/b/criu-work".into()),
            tcp_established: true,
            cgroups: Some(CgroupsMode::Full),
            ..CriuOptions::default()
        };
        let parent_path = Some("../before".into());
        assert_eq!(options, CheckpointOptions { criu, parent_path, ..CheckpointOptions::default() });
        let (images, options) = read(&Asked { image_path: "/other".into(), ..Asked::default() }, "").unwrap();
        assert_eq!((images.as_path(), options.leave_running), (Path::new("/other"), true));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |asked: &Asked, path| read(asked, path).unwrap_err().message;
        assert!(refused(&Asked::default(), "").contains("no directory"));
        let namespaces = Asked { empty_namespaces: vec!["pid".into()], ..Asked::default() };
        assert!(refused(&namespaces, "/i").contains("\"pid\""));
        let mode = Asked { cgroups_mode: "hard".into(), ..Asked::default() };
        assert!(refused(&mode, "/i").contains("\"hard\""));
        let other = Some(Any { type_url: "x.Options".into(), value: Vec::new() });
        assert!(asked(other.as_ref()).unwrap_err().message.contains("x.Options"));
    }
}
