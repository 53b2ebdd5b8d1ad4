//! Where the actions take place: the host, and containers if a test asks for one.

use std::{
    ops::Deref,
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

    /// A running container of busybox with the helper in it ([`container::HELPER`]). `scene.run(&mut
    /// container.command(&Exec::new([…])))` runs a process in it, and returns a pid that is among its ancestors.
    pub fn container(&self, options: Options) -> Container {
        assert_eq!(missing(), None, "what containers need must be there");
        let start = || -> Arc<dyn Runtime> { Arc::new(Runc::new(Arc::new(Image::with_helper()))) };
        let runtime = self.containers.get_or_init(start);
        Container::run(runtime, options)
    }
}
