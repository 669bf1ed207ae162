//! What is called, and what is answered.

use orlop_protobuf::messages;
use orlop_runtime::Error;

messages! {
    /// A call.
    Request {
        /// Such as `containerd.task.v2.Task`.
        1 service: String,
        /// Such as `Create`.
        2 method: String,
        /// The argument's message.
        3 payload: Vec<u8>,
        /// How long the caller waits; 0 is for ever.
        4 timeout_nano: i64,
        /// Free words for the other side.
        5 metadata: Vec<KeyValue>,
    }
    /// A word, and what is said of it.
    KeyValue { 1 key: String, 2 value: String }
    /// The answer to a call.
    Response {
        /// Absent or with code 0: all is well.
        1 status: Option<Status>,
        /// The result's message.
        2 payload: Vec<u8>,
    }
    /// Why a call failed (`google.rpc.Status`).
    Status { 1 code: i32, 2 message: String }
}

/// The codes of gRPC that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Unavailable = 14,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// What handling a call comes to.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        let code = match e {
            Error::NotExist { .. } => Code::NotFound,
            Error::Exists { .. } => Code::AlreadyExists,
            Error::WrongState { .. } => Code::FailedPrecondition,
            // Not Unimplemented: containerd takes that for an old shim, and calls again in another way.
            Error::Usage { .. }
            | Error::InvalidId { .. }
            | Error::Config { .. }
            | Error::Unsupported { .. } => Code::InvalidArgument,
            _ => Code::Unknown,
        };
        Self::new(code, e.to_string())
    }
}

impl Response {
    /// The answer to a call.
    pub(crate) fn of(result: Result<Vec<u8>>) -> Self {
        match result {
            Ok(payload) => Self { status: None, payload },
            Err(failure) => {
                let status = Status { code: failure.code as i32, message: failure.message };
                Self { status: Some(status), payload: Vec::new() }
            }
        }
    }
}
