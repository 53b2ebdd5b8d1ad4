//! The far sides, each a small module that knows a protocol.

mod file;
mod stdout;

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Builder, Sink,
    config::{FarSide, SinkSpec},
    secrets::Secrets,
};

/// Makes the sink of a spec.
pub struct LocalBuilder {
    spec: Arc<SinkSpec>,
    secrets: Arc<dyn Secrets>,
}

impl LocalBuilder {
    /// For this spec, with secrets from there.
    pub fn new(spec: Arc<SinkSpec>, secrets: Arc<dyn Secrets>) -> Self {
        Self { spec, secrets }
    }
}

#[async_trait]
impl Builder for LocalBuilder {
    async fn build(&self) -> Result<Box<dyn Sink>, String> {
        let side = self
            .spec
            .far_side()
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let _ = &self.secrets;
        match side {
            FarSide::Stdout(_) => Ok(Box::new(stdout::StdoutSink)),
            FarSide::File(file) => Ok(Box::new(file::FileSink::new(file))),
            other => Err(format!("{} is not there yet", other.kind())),
        }
    }
}
