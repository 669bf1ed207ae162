//! containerd's side of a shim, as small as can be: calls, and a place for events.
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use orlop_protobuf::Message;
use rustix::process::Signal;

use crate::command::patience;
use crate::{Container, Invocation, ProcessHandle, criu, runtime};

pub mod messages;
pub use messages::Status;
use messages::{
    Any, BootstrapParams, Connected, Empty, Envelope, Extension, Forward, Options, Request, Response, Which,
};

/// The shim's binary, which lies beside the runtime's.
///
/// # Panics
///
/// There is none.
pub fn binary() -> PathBuf {
    let path = runtime::binary().with_file_name("containerd-shim-orlop-v2");
    assert!(path.exists(), "no shim at {}: run `make build` first", path.display());
    path
}

/// The service of pods.
pub const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// A running shim, and those it tells of events. It is ended with this value.
#[derive(Debug)]
pub struct Shim {
    /// Where it listens.
    pub socket: PathBuf,
    /// What it was told first.
    pub params: BootstrapParams,
    /// What it tells.
    pub events: Events,
    /// Its process.
    pub process: ProcessHandle,
}

impl Shim {
    /// Starts a shim for a container. Its state is where the container's kit looks for it.
    pub fn start(container: &Container) -> Self {
        Self::start_as(container, |_| {})
    }

    /// Starts one that is told something else than it usually is.
    pub fn start_as(container: &Container, change: impl FnOnce(&mut BootstrapParams)) -> Self {
        Self::start_within(container, &[], change)
    }

    /// Starts one with a wrapper around `start`.
    pub fn start_within(
        container: &Container,
        wrapper: &[&str],
        change: impl FnOnce(&mut BootstrapParams),
    ) -> Self {
        let events = Events::listen(&container.home().join("events"));
        Self::start_heard(container, events, wrapper, change)
    }

    /// Starts one for a container that has had one before, whose events are heard already.
    pub fn start_again(container: &Container, events: &Events) -> Self {
        Self::start_heard(container, events.clone(), &[], |_| {})
    }

    fn start_heard(
        container: &Container,
        events: Events,
        wrapper: &[&str],
        change: impl FnOnce(&mut BootstrapParams),
    ) -> Self {
        container.bundle.save();
        let home = container.home().to_string_lossy().into_owned();
        let options = options_of(container);
        let mut params = BootstrapParams {
            instance_id: container.id.clone(),
            namespace: "state".into(),
            log_level: 0,
            containerd_ttrpc_address: format!("{home}/events"),
            containerd_grpc_address: format!("{home}/grpc"),
            extensions: vec![Extension { value: Some(options) }],
            socket_dir: Some(format!("{home}/s")),
        };
        change(&mut params);
        let socket = socket_of(&start_call(container, &params).within(wrapper).ok().stdout, 3);
        Self::at(socket, params, events)
    }

    /// Starts one as containerd did before 2.3, which says how many versions it knows, or as before 1.7, which does not.
    pub fn start_before_2_3(container: &Container, max_version: Option<&str>) -> Self {
        container.bundle.save();
        let home = container.home().to_string_lossy().into_owned();
        let events = Events::listen(&container.home().join("events"));
        let options = options_of(container);
        let params = BootstrapParams {
            extensions: vec![Extension { value: Some(options.clone()) }],
            ..BootstrapParams::default()
        };
        let mut call = Invocation::new(binary(), &container.io())
            .args([
                "-namespace",
                "state",
                "-address",
                &format!("{home}/grpc"),
                "-publish-binary",
                "containerd",
            ])
            .args(["-id", &container.id, "start"])
            .env("TTRPC_ADDRESS", format!("{home}/events"))
            .current_dir(container.bundle.path())
            .input(&options.encode());
        if let Some(version) = max_version {
            call = call.env("MAX_SHIM_VERSION", version);
        }
        let said = call.ok().stdout;
        let socket = match max_version {
            Some(_) => socket_of(&said, 2),
            None => said.strip_prefix("unix://").expect("an address and nothing else").into(),
        };
        Self::at(socket, params, events)
    }

    fn at(socket: PathBuf, params: BootstrapParams, events: Events) -> Self {
        let who: Connected = Client::connect(&socket).call("Connect", &Which::default()).expect("an answer");
        let process = ProcessHandle::open(who.shim_pid as i32).expect("it runs");
        Self { socket, params, events, process }
    }

    /// The options of a container of this shim.
    pub fn options(&self) -> Option<Any> {
        self.params.extensions.first().and_then(|extension| extension.value.clone())
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        Client::connect(&self.socket)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.process.signal(Signal::KILL).ok();
        self.process.wait(patience());
        self.process.reap();
        // One that was killed leaves it.
        std::fs::remove_file(&self.socket).ok();
    }
}

/// Where it listens, by its answer; the version of the answer has to be this one.
fn socket_of(answer: &str, version: u32) -> PathBuf {
    let answer: serde_json::Value = serde_json::from_str(answer).expect("JSON");
    assert_eq!((&answer["version"], &answer["protocol"]), (&version.into(), &"ttrpc".into()));
    let address = answer["address"].as_str().expect("a text");
    address.strip_prefix("unix://").expect("a path").into()
}

/// The options that a container's shim gets: its state is where the container's kit looks for it.
pub fn options_of(container: &Container) -> Any {
    let root = container.home().to_string_lossy().into_owned();
    let options = Options { root, ..Options::default() };
    Any { type_url: "containerd.runc.v1.Options".into(), value: options.encode() }
}

/// `start`, as containerd 2.3 calls it.
pub fn call_start(container: &Container, params: &BootstrapParams) -> crate::Output {
    start_call(container, params).output()
}

/// The same, not called yet.
pub fn start_call(container: &Container, params: &BootstrapParams) -> Invocation {
    Invocation::new(binary(), &container.io())
        .args(["-namespace", &params.namespace, "-id", &params.instance_id, "start"])
        // Where CRIU is.
        .env("PATH", criu::path())
        .current_dir(container.bundle.path())
        .input(&params.encode())
}

/// A connection to a shim.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    stream: u32,
    /// Calls that were sent and whose answers were not read yet.
    sent: VecDeque<u32>,
    /// Which service is called.
    pub service: &'static str,
}

impl Client {
    /// Connects.
    pub fn connect(socket: &Path) -> Self {
        Self::try_connect(socket).expect("the shim listens")
    }

    /// Connects, if the shim is there.
    pub fn try_connect(socket: &Path) -> Option<Self> {
        let socket = UnixStream::connect(socket).ok()?;
        socket.set_read_timeout(Some(patience())).expect("a time limit can be set");
        Some(Self { socket, stream: 1, sent: VecDeque::new(), service: "containerd.task.v3.Task" })
    }

    /// Goes away, as a containerd does that ends.
    pub fn close(&self) {
        self.socket.shutdown(std::net::Shutdown::Both).expect("it is open");
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// What the shim says.
    #[track_caller]
    pub fn call<R: Message>(&mut self, method: &str, request: &impl Message) -> Result<R, Status> {
        self.send(method, request);
        self.answer()
    }

    /// The same, where the shim may die at any moment; absent if it did, or answers too late.
    pub fn try_call<R: Message>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Option<Result<R, Status>> {
        let (number, bytes) = self.call_bytes(0, method, request);
        self.socket.write_all(&bytes).ok()?;
        let (stream, payload) = read_frame(&mut self.socket).ok()?;
        (stream == number).then(|| unpack(&payload))
    }

    /// Calls a method, and leaves the answer for [`Client::answer`].
    pub fn send(&mut self, method: &str, request: &impl Message) {
        self.send_within(0, method, request);
    }

    /// The same, with a time limit in nanoseconds; 0 is none.
    pub fn send_within(&mut self, timeout_nano: i64, method: &str, request: &impl Message) {
        let (number, bytes) = self.call_bytes(timeout_nano, method, request);
        self.sent.push_back(number);
        self.send_bytes(&bytes);
    }

    /// A call's number, and its frame.
    fn call_bytes(&mut self, timeout_nano: i64, method: &str, request: &impl Message) -> (u32, Vec<u8>) {
        let request = Request {
            service: self.service.to_owned(),
            method: method.to_owned(),
            payload: request.encode(),
            timeout_nano,
        };
        let number = self.next_number();
        (number, frame(number, 1, &request.encode()))
    }

    fn next_number(&mut self) -> u32 {
        self.stream += 2;
        self.stream - 2
    }

    /// Sends anything.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the shim listens");
    }

    /// The answer to the first call that has none, which has to be the next that comes.
    ///
    /// # Errors
    ///
    /// What the shim says.
    #[track_caller]
    pub fn answer<R: Message>(&mut self) -> Result<R, Status> {
        let number = self.sent.pop_front().unwrap_or_else(|| self.next_number());
        self.answer_to(number)
    }

    /// The answer to a call with this number.
    ///
    /// # Errors
    ///
    /// What the shim says.
    #[track_caller]
    pub fn answer_to<R: Message>(&mut self, number: u32) -> Result<R, Status> {
        let (stream, payload) = read_frame(&mut self.socket).expect("an answer");
        assert_eq!(stream, number, "the answer is to another call");
        unpack(&payload)
    }
}

/// What a frame answers.
fn unpack<R: Message>(payload: &[u8]) -> Result<R, Status> {
    let response = Response::decode(payload).expect("a response");
    match response.status.filter(|status| status.code != 0) {
        Some(status) => Err(status),
        None => Ok(R::decode(&response.payload).expect("the right message")),
    }
}

/// A frame's bytes.
pub fn frame(stream: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend(stream.to_be_bytes());
    bytes.extend([kind, 0]);
    bytes.extend(payload);
    bytes
}

fn read_frame(socket: &mut UnixStream) -> std::io::Result<(u32, Vec<u8>)> {
    let mut header = [0; 10];
    socket.read_exact(&mut header)?;
    let number = |at: usize| header[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let mut payload = vec![0; number(0) as usize];
    socket.read_exact(&mut payload)?;
    Ok((number(4), payload))
}

/// Where a shim sends events, and what has come.
#[derive(Clone, Debug)]
pub struct Events {
    heard: Arc<(Mutex<Vec<Envelope>>, Condvar)>,
}

impl Events {
    /// Listens there, until the test's process ends.
    pub fn listen(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a new socket");
        let events = Self { heard: Arc::default() };
        let ours = events.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let events = ours.clone();
                std::thread::spawn(move || events.hear(socket));
            }
        });
        events
    }

    fn hear(&self, mut socket: UnixStream) {
        while let Ok((stream, payload)) = read_frame(&mut socket) {
            let request = Request::decode(&payload).expect("a request");
            assert_eq!(request.method, "Forward");
            let envelope = Forward::decode(&request.payload).expect("an event").envelope;
            self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).extend(envelope);
            self.heard.1.notify_all();
            let answer = Response { payload: Empty {}.encode(), ..Response::default() };
            // A shim that ends need not wait for it.
            socket.write_all(&frame(stream, 2, &answer.encode())).ok();
        }
    }

    /// Waits for an event with this topic, and returns all that have come.
    #[track_caller]
    pub fn until(&self, topic: &str) -> Vec<Envelope> {
        let deadline = Instant::now() + patience();
        let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !heard.iter().any(|envelope| envelope.topic == topic) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no {topic} among {:?}",
                heard.iter().map(|e| &e.topic).collect::<Vec<_>>()
            );
            heard = self.heard.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        heard.clone()
    }
}

/// Standard output of a command as bytes, for what is no text.
pub fn bytes(arguments: &[&str], input: &[u8], directory: &Path) -> Vec<u8> {
    let mut child = std::process::Command::new(binary())
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shim starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{arguments:?}");
    out.stdout
}
