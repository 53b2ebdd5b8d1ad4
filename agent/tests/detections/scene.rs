//! Where the actions take place: the host, and containers if a test asks for one.

use std::{
    io::{self, Write},
    net::{TcpListener, TcpStream},
    ops::Deref,
    process::Command,
    sync::{Arc, OnceLock},
};

use crate::{
    container::{Container, Image, Options, Runc, Runtime, missing},
    stage::Stage,
};

/// The host's stage, and containers on request.
pub struct Scene {
    stage: Stage,
    containers: OnceLock<Arc<dyn Runtime>>,
}

impl Deref for Scene {
    type Target = Stage;
    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Scene {
    /// Sets it up; the first container that is asked for sets the rest up.
    pub fn new() -> Self {
        Self { stage: Stage::new(), containers: OnceLock::new() }
    }

    /// Runs a command with somebody at the other end of a connection: on the port it is told, one connection is taken and
    /// answered with `text`. Returns the command's pid.
    pub fn answered(&self, text: &[u8], command: impl FnOnce(u16) -> Command) -> u32 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = text.to_vec();
        let far_side = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The command may be gone by now.
            let _ = stream.write_all(&text).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let pid = self.run(&mut command(port));
        // Nobody may have come.
        drop(TcpStream::connect(("127.0.0.1", port)));
        far_side.join().unwrap();
        pid
    }

    /// A running container of busybox with the helper in it ([`container::HELPER`]). `scene.run(&mut
    /// container.command(&Exec::new([…])))` runs a process in it, and returns a pid that is among its ancestors.
    pub fn container(&self, options: Options) -> Container {
        assert_eq!(missing(), None, "what containers need must be there");
        let start = || -> Arc<dyn Runtime> { Arc::new(Runc::new(Arc::new(Image::with_helper()))) };
        let runtime = self.containers.get_or_init(start);
        Container::run(runtime, options)
    }
}
