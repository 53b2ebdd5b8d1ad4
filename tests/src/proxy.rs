//! A TCP proxy that cuts connections: at once, in the middle of what is sent, or before they are there.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

/// A proxy in front of a port of this host.
#[derive(Debug)]
pub struct Proxy {
    /// Its own port.
    pub port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<TcpStream>,
    held: bool,
    /// Bytes after which everything is cut.
    budget: Option<usize>,
    ended: bool,
}

impl Proxy {
    /// In front of this port, on a port of its own.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = (Ipv4Addr::LOCALHOST, target).into();
        let shared = Arc::new(Shared { target, state: Mutex::default() });
        let accepted = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accepted.accept(&listener));
        Self { port, shared, accepting: Some(accepting) }
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Cuts all connections when so many more bytes have passed, wherever in a message that is.
    pub fn cut_after(&self, bytes: usize) {
        self.shared.lock().budget = Some(bytes);
    }

    /// Cuts all connections, and lets nobody in until [`Self::release`].
    pub fn hold(&self) {
        let mut state = self.shared.lock();
        state.held = true;
        state.cut();
    }

    /// Lets everybody in again.
    pub fn release(&self) {
        self.shared.lock().held = false;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.ended = true;
            state.cut();
        }
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl State {
    fn cut(&mut self) {
        self.budget = None;
        for stream in self.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many of so many bytes may pass.
    fn pass(&mut self, bytes: usize) -> usize {
        let Some(budget) = &mut self.budget else { return bytes };
        let pass = bytes.min(*budget);
        *budget -= pass;
        pass
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            let mut state = self.lock();
            if state.ended {
                return;
            }
            let Ok(near) = near else { continue };
            if state.held {
                continue;
            }
            // Nobody is there: the connection ends, as it would without us.
            let Ok(far) = TcpStream::connect(self.target) else { continue };
            let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            state.open.extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
            drop(state);
            let (up, down) = (Arc::clone(self), Arc::clone(self));
            std::thread::spawn(move || up.carry(from, to));
            std::thread::spawn(move || down.carry(far, near));
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            let pass = self.lock().pass(read);
            let written = to.write_all(&bytes[..pass]);
            if pass < read {
                self.lock().cut();
            }
            if written.is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
