//! For tests/fuzz: what takes apart what comes from containerd. Nothing is done, only read.
#![allow(clippy::missing_panics_doc, reason = "a panic is how something wrong is told")]

use orlop_protobuf::Message;

use crate::messages::options::{CheckpointOptions, RuncOptions, RuntimeOptions};
use crate::messages::sandbox::{CreateSandboxRequest, PodSandboxConfig};
use crate::messages::task::{CreateTaskRequest, ExecProcessRequest, UpdateTaskRequest};
use crate::messages::{Any, Mount};
use crate::settings::TaskOptions;
use crate::stdio::Addresses;
use crate::ttrpc::{Decoder, Found, Frame, Kind, MAX, Request};

/// Bytes of a connection: the first says in which pieces the others come. However they are cut, the same frames are found.
pub fn frames(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let cut = found(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(cut, found([bytes].into_iter()), "frames depend on how bytes are cut");
    let mut again = Vec::new();
    for frame in &cut {
        match frame {
            Found::Frame(frame) => frame.put(&mut again),
            Found::TooLong { .. } => return,
        }
    }
    assert!(again.len() <= bytes.len(), "more was found than there was");
    // The flags of a frame are nobody's, and are not kept.
    assert!(again.iter().zip(bytes).filter(|(a, b)| a != b).count() <= cut.len());
    for frame in cut {
        let Found::Frame(Frame { payload, .. }) = frame else { continue };
        if let Some(request) = round_trip::<Request>(&payload) {
            self::request(&request.payload);
        }
    }
}

fn found<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Found> {
    let mut decoder = Decoder::default();
    let mut all = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        all.extend(std::iter::from_fn(|| decoder.next()));
    }
    all
}

/// The argument of a call, taken for that of each in turn, and what lies in it.
pub fn request(payload: &[u8]) {
    if let Some(create) = round_trip::<CreateTaskRequest>(payload) {
        let (stdin, stdout, stderr) = (create.stdin, create.stdout, create.stderr);
        Addresses { stdin, stdout, stderr, terminal: create.terminal }.check().ok();
        options(create.options.as_ref());
    }
    round_trip::<ExecProcessRequest>(payload);
    round_trip::<UpdateTaskRequest>(payload);
    round_trip::<CheckpointOptions>(payload);
    if let Some(pod) = round_trip::<CreateSandboxRequest>(payload) {
        crate::sandbox::fuzz(&pod);
        if let Some(config) = pod.options {
            round_trip::<PodSandboxConfig>(&config.value);
        }
    }
}

fn options(any: Option<&Any>) {
    // A file that is named is not for us to read.
    let of_file =
        |any: &Any| RuntimeOptions::decode(&any.value).is_ok_and(|generic| !generic.config_path.is_empty());
    let Some(any) = any.filter(|any| !of_file(any)) else { return };
    if let Ok(options) = TaskOptions::read(Some(any)) {
        options.settings("default");
        options.cgroup_below(&any.type_url, "id");
    }
}

/// What was read, once it is known that it is read as the same again when it is written.
fn round_trip<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let written = message.encode();
    assert_eq!(M::decode(&written).as_ref(), Ok(&message), "it is written as something else");
    assert_eq!(M::decode(&written).map(|again| again.encode()).as_ref(), Ok(&written));
    Some(message)
}

/// What containerd sends, to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = b"SystemdCgroup = true\nRoot = \"/r\\u0041\" # why\nIoUid = 7\n".to_vec();
    let body = RuntimeOptions { config_body: text, ..RuntimeOptions::default() };
    let kinds = [
        Any::of("runtimeoptions.v1.Options", &body),
        Any::of("containerd.runc.v1.Options", &RuncOptions { io_uid: 5, ..RuncOptions::default() }),
    ];
    let mount = Mount { kind: "overlay".into(), options: vec!["lowerdir=/l".into()], ..Mount::default() };
    let create = |options: Any| CreateTaskRequest {
        id: "c".into(),
        bundle: "/b".into(),
        rootfs: vec![mount.clone(), Mount::default()],
        stdout: "binary:///bin/log?a=b%20c".into(),
        options: Some(options),
        ..CreateTaskRequest::default()
    };
    let pod = CreateSandboxRequest {
        sandbox_id: "p".into(),
        netns_path: "/n".into(),
        options: Some(Any::of("runtime.v1.PodSandboxConfig", &PodSandboxConfig::default())),
        annotations: [("a".to_owned(), "b".to_owned())].into(),
        ..CreateSandboxRequest::default()
    };
    let mut payloads = kinds.map(|options| create(options).encode()).to_vec();
    payloads.push(pod.encode());
    payloads.extend(payloads.clone().into_iter().zip(["Create", "Exec", "CreateSandbox"]).map(framed));
    // One that is too long, by one byte.
    let length = (MAX as u32 + 1).to_be_bytes();
    payloads.push([&[9][..], &length, &[0, 0, 0, 3, 1, 0], &[7; 40]].concat());
    payloads
}

/// A call in two frames, which come in pieces of five bytes.
fn framed((payload, method): (Vec<u8>, &str)) -> Vec<u8> {
    let service = "containerd.task.v3.Task".to_owned();
    let request = Request { service, method: method.to_owned(), payload, ..Request::default() };
    let mut bytes = vec![5];
    for kind in [Kind::Request, Kind::Other(9)] {
        Frame { stream: 1, kind, payload: request.encode() }.put(&mut bytes);
    }
    bytes
}
