//! The socket and those connected to it, a thread each.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use vedette_event::recording::{Header, RecordingError, Writer};

use super::recorder::{Ended, Frames, Join};

/// Most that record at the same time.
const CLIENTS: usize = 8;

/// Longest request line.
const REQUEST: u64 = 4096;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long frames may wait to become a block.
const FLUSH: Duration = Duration::from_millis(200);

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Somebody else serves it.
    #[error("{} is served by another agent: choose another with --socket, or none with --no-socket", .0.display())]
    InUse(PathBuf),
    /// It cannot be made.
    #[error("cannot serve the socket {}: {error}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What a client asks for, one line of JSON.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "want", rename_all = "lowercase")]
enum Request {
    /// The recording of what happens from now on.
    Recording,
}

/// The socket at which recorders are served. Removed when dropped.
pub struct Server {
    path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    header: Header,
    joins: Sender<Join>,
    /// Clients that are being served.
    clients: Mutex<usize>,
    left: Condvar,
}

impl Server {
    /// Serves a socket that only its owner may connect to, and returns where recorders will come from. A socket that
    /// nobody serves any more is replaced; a missing directory is made.
    ///
    /// # Errors
    /// Another process serves it, or it cannot be made.
    pub fn start(path: &Path, header: Header) -> Result<(Self, Receiver<Join>), TapError> {
        let failed = |error| TapError::Socket { path: path.to_owned(), error };
        let listener = listen(path).map_err(failed)?.ok_or_else(|| TapError::InUse(path.to_owned()))?;
        let (joins, recorders) = bounded(CLIENTS);
        let shared = Arc::new(Shared { header, joins, clients: Mutex::new(0), left: Condvar::new() });
        let server = Self { path: path.to_owned(), shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("vedette-tap".into())
            .spawn(move || accept(&listener, &shared))
            .map_err(failed)?;
        Ok((server, recorders))
    }

    /// Gives the clients until `patience` is over to take what is left for them. The engine must have ended. Returns
    /// whether all of them did.
    pub fn finish(self, patience: Duration) -> bool {
        let clients = self.shared.clients();
        let waited = self.shared.left.wait_timeout_while(clients, patience, |clients| *clients > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is to be done if it has gone already.
        let _ = fs::remove_file(&self.path);
    }
}

impl Shared {
    // A number is whole between any two statements.
    fn clients(&self) -> MutexGuard<'_, usize> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` where somebody else listens.
fn listen(path: &Path) -> io::Result<Option<UnixListener>> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    match UnixStream::connect(path) {
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
        Err(error) => return Err(error),
    }
    // Made under another name, so that at no time anybody else may connect, and put in place of what was there.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let listener = UnixListener::bind(&new)?;
    let placed =
        fs::set_permissions(&new, Permissions::from_mode(0o600)).and_then(|()| fs::rename(&new, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok(Some(listener))
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a client of the socket could not be accepted");
                // Out of descriptors, most likely: that does not change at once.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let mut clients = shared.clients();
        if *clients >= CLIENTS {
            drop(clients);
            refuse(&stream, &format!("{CLIENTS} clients are connected already"));
            continue;
        }
        *clients += 1;
        drop(clients);
        let served = Arc::clone(shared);
        let thread = thread::Builder::new().name("vedette-tap-client".into()).spawn(move || {
            if let Err(error) = serve(stream, &served) {
                tracing::debug!(%error, "a client of the socket has gone");
            }
            leave(&served);
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for a client of the socket");
            leave(shared);
        }
    }
}

fn leave(shared: &Shared) {
    *shared.clients() -= 1;
    shared.left.notify_all();
}

/// Says why nothing comes, as JSON: a recording never begins with a brace.
fn refuse(mut stream: &UnixStream, why: &str) {
    let line = serde_json::json!({ "error": why }).to_string() + "\n";
    // Who has gone already does not want to know.
    let _ = stream.write_all(line.as_bytes());
}

fn serve(stream: UnixStream, shared: &Shared) -> Result<(), RecordingError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(REQUEST)).read_line(&mut line)?;
    match serde_json::from_str::<Request>(&line) {
        Ok(Request::Recording) => record(stream, shared),
        Err(error) => {
            refuse(&stream, &format!("the request is not understood: {error}"));
            Ok(())
        }
    }
}

fn record(stream: UnixStream, shared: &Shared) -> Result<(), RecordingError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let header = Header { started_ns, ..shared.header.clone() };
    let (join, frames) = Join::new();
    if shared.joins.send(join).is_err() {
        refuse(&stream, "the agent is ending");
        return Ok(());
    }
    let mut writer = Writer::new(stream, &header)?;
    copy(&frames, &mut writer)?;
    writer.finish()?;
    Ok(())
}

/// Writes frames until the engine ends.
fn copy(frames: &Frames, writer: &mut Writer<UnixStream>) -> Result<(), RecordingError> {
    let mut flushed = Instant::now();
    loop {
        match frames.receive(FLUSH) {
            Ok(Some(chunk)) => {
                writer.frames(&chunk)?;
                frames.written(&chunk);
            }
            Ok(None) => {}
            Err(Ended) => return Ok(()),
        }
        if flushed.elapsed() >= FLUSH {
            writer.flush()?;
            flushed = Instant::now();
        }
    }
}
