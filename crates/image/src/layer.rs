//! One layer: read, digested, decompressed, digested again and written, all at the same time.
//!
//! ```text
//!  blob ──▶ digest ──▶ decompress ──┬──▶ diff id        (one thread each)
//!                                   └──▶ unpack
//! ```
//!
//! Pieces go from one thread to the others through short queues, so that memory does not grow with the layer, and their
//! buffers come back: memory that is new is dear.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::decode;
use crate::digest::{Algorithm, Digest, Digesting};
use crate::error::{Count, Doing as _, Error, Result, Within as _};
use crate::tar::Input;
use crate::unpack::{self, Limits, Options, Unpacked};

/// How much goes through the queues at once.
const PIECE: usize = 256 << 10;
/// How many pieces a queue holds.
const QUEUE: usize = 8;
/// From how many bytes on the ratio of compression counts: small files of zeros are nobody's bomb.
const RATIO_FROM: u64 = 256 << 20;

/// A layer that is to be unpacked.
pub(crate) struct Job<'a> {
    /// The layer's name, for messages.
    pub(crate) what: String,
    pub(crate) blob: Box<dyn Read + Send + 'a>,
    /// Of the blob, where somebody says so.
    pub(crate) digest: Option<&'a Digest>,
    /// How long the blob is.
    pub(crate) size: u64,
    /// The digest without compression.
    pub(crate) diff_id: &'a Digest,
    /// Told of bytes that have been read.
    pub(crate) advance: &'a (dyn Fn(u64) + Sync),
}

/// Unpacks a layer into an empty directory, and verifies it: an error leaves a tree that is worth nothing.
pub(crate) fn unpack(job: Job<'_>, root: OwnedFd, options: &Options) -> Result<Unpacked> {
    let (what, expected, size, diff_id) = (job.what.clone(), job.digest.cloned(), job.size, job.diff_id);
    let give_up = AtomicBool::new(false);
    let (written, pumped, found) = thread::scope(|scope| {
        let (to_hash, from_hash) = sync_channel(QUEUE);
        let (to_write, from_write) = sync_channel(QUEUE);
        let pump = scope.spawn(|| pump(job, &options.limits, [to_hash, to_write], &give_up));
        let hash = scope.spawn(move || hash(&from_hash, diff_id.algorithm()));
        let written = unpack::unpack(Pieces::new(from_write), root, options);
        // A full disk is no reason to read the rest; a bad archive is, to find out whether it is the one that was meant.
        give_up.store(matches!(&written, Err(e) if !e.is_of_content()), Ordering::Relaxed);
        (written, join(pump), join(hash))
    });
    let at = || what.clone();
    let pumped = pumped.within(at)?;
    if pumped.complete {
        if pumped.count != size {
            let found = Count { bytes: pumped.count, or_more: pumped.count > size };
            return Err(Error::Size { what, expected: size, found });
        }
        if let Some(expected) = expected
            && pumped.digest != expected
        {
            return Err(Error::Digest {
                what,
                expected: expected.to_string(),
                found: pumped.digest.to_string(),
            });
        }
    }
    pumped.decoded.within(at)?;
    let unpacked = written.within(at)?;
    if found != *diff_id {
        let what = format!("{what}, without compression");
        return Err(Error::Digest { what, expected: diff_id.to_string(), found: found.to_string() });
    }
    Ok(unpacked)
}

/// What a thread returns; it does not panic, or we do as well.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What came of reading a blob.
struct Pumped {
    /// Of the blob as it is.
    digest: Digest,
    count: u64,
    /// Whether all of it was read.
    complete: bool,
    /// Whether it could be decompressed, within the limits.
    decoded: Result<()>,
}

/// Reads and decompresses a blob, and hands out what is in it.
fn pump(job: Job<'_>, limits: &Limits, to: [SyncSender<Piece>; 2], give_up: &AtomicBool) -> Result<Pumped> {
    let algorithm = job.digest.map_or(Algorithm::Sha256, Digest::algorithm);
    let told = Told { blob: job.blob, advance: job.advance };
    // One byte more than there should be tells of more.
    let digesting = Digesting::new(told.take(job.size.saturating_add(1)), Some(algorithm));
    let mut blob = BufReader::with_capacity(PIECE / 2, digesting);
    let reading = || "read the blob".to_owned();
    let decoded = match decode::decoder(&mut blob).doing(reading)? {
        Ok(decoder) => hand_out(decoder, job.size, limits, &to),
        Err(e) => Err(e),
    };
    drop(to);
    while !give_up.load(Ordering::Relaxed) && !blob.fill_buf().doing(reading)?.is_empty() {
        let rest = blob.buffer().len();
        blob.consume(rest);
    }
    let complete = !give_up.load(Ordering::Relaxed);
    let Digesting { hasher, count, .. } = blob.into_inner();
    let digest = hasher.unwrap_or_else(|| algorithm.hasher()).finish();
    Ok(Pumped { digest, count, complete, decoded })
}

fn hand_out(mut decoder: impl Read, size: u64, limits: &Limits, to: &[SyncSender<Piece>; 2]) -> Result<()> {
    let pool = Pool::default();
    let mut total = 0;
    loop {
        let mut buffer = pool.take();
        let mut filled = 0;
        while filled < PIECE {
            match decoder.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error().is_some() => return Err(e).doing(|| "read the blob".into()),
                Err(e) => return Err(Error::archive(b"", format!("it cannot be decompressed: {e}"))),
            }
        }
        if filled == 0 {
            return Ok(());
        }
        total += filled as u64;
        check(total, size, limits)?;
        let piece = Arc::new(Bytes { buffer, filled, pool: pool.clone() });
        for queue in to {
            // Who listens no more has failed, and says so itself.
            if queue.send(Piece(Arc::clone(&piece))).is_err() {
                return Ok(());
            }
        }
    }
}

/// Whether what has come out of a blob of this size is within the limits.
fn check(total: u64, size: u64, limits: &Limits) -> Result<()> {
    let limit =
        |what: &str, limit, option| Err(Error::Limit { entry: Vec::new(), what: what.into(), limit, option });
    if total > limits.bytes {
        return limit("the size of the archive", limits.bytes, "--max-bytes");
    }
    if total > RATIO_FROM && total / size.max(1) >= limits.ratio {
        return limit("the ratio of its compression", limits.ratio, "--max-ratio");
    }
    Ok(())
}

fn hash(pieces: &Receiver<Piece>, algorithm: Algorithm) -> Digest {
    let mut hasher = algorithm.hasher();
    for piece in pieces {
        hasher.update(piece.bytes());
    }
    hasher.finish()
}

/// A reader that tells how far it is.
struct Told<'a> {
    blob: Box<dyn Read + Send + 'a>,
    advance: &'a (dyn Fn(u64) + Sync),
}

impl Read for Told<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.blob.read(buf)?;
        (self.advance)(n as u64);
        Ok(n)
    }
}

/// Buffers that nobody needs at the moment.
#[derive(Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().ok().and_then(|mut spare| spare.pop());
        spare.unwrap_or_else(|| vec![0; PIECE])
    }
}

struct Bytes {
    buffer: Vec<u8>,
    filled: usize,
    pool: Pool,
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Ok(mut spare) = self.pool.0.lock() {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

/// Bytes that several threads look at.
struct Piece(Arc<Bytes>);

impl Piece {
    fn bytes(&self) -> &[u8] {
        &self.0.buffer[..self.0.filled]
    }
}

/// The pieces from a queue as one stream, read without copying.
struct Pieces {
    from: Receiver<Piece>,
    current: Option<Piece>,
    at: usize,
}

impl Pieces {
    const fn new(from: Receiver<Piece>) -> Self {
        Self { from, current: None, at: 0 }
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.as_ref().is_none_or(|piece| self.at == piece.0.filled) {
            // Given back before the wait for the next.
            self.current = None;
            (self.current, self.at) = (self.from.recv().ok(), 0);
        }
        Ok(self.current.as_ref().map_or(&[], |piece| &piece.bytes()[self.at..]))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl Input for Pieces {}
