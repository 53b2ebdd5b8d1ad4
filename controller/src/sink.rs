//! Sinks: what brings alerts from the log to a far side.
//!
//! A [`Sink`] sends a batch and says of each alert what became of it; it knows its protocol and nothing else. A
//! [`driver`] reads the log, puts batches together, tries again, parks what the far side refuses for good
//! ([`dead_letters`]), and moves the sink's cursor on. Each sink has a driver, a task of its own, so none waits for
//! another. [`set::Sinks`] has them all.
//!
//! An alert arrives at least once. The alerts of a node arrive in their order, as far as the far side takes a batch in
//! order.

mod backoff;
pub mod config;
pub mod dead_letters;
pub mod driver;
pub(crate) mod far_side;
pub mod files;
pub mod metrics;
mod render;
mod rotate;
pub mod secrets;
pub mod set;
pub mod status;

use std::time::Duration;

use async_trait::async_trait;

pub use far_side::LocalBuilder;
pub use render::Item;

/// Sends alerts to a far side.
///
/// The future of [`Self::send`] may be dropped at any time; a sink with a connection must not go on with one on which
/// something was cut off.
#[async_trait]
pub trait Sink: Send {
    /// Sends a batch, in its order, and says what became of it. Nothing of what failed is tried again here.
    async fn send(&mut self, batch: &[Item]) -> Report;

    /// How much longer than the timeout an attempt may take, for protocols in which the answer comes later.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Says goodbye.
    async fn close(&mut self) {}
}

/// Makes a sink: reads its secrets, and connects if that has to come first. It is called again when a far side refuses
/// the secrets, which may be others by then.
#[async_trait]
pub trait Builder: Send + Sync + 'static {
    /// Makes it.
    ///
    /// # Errors
    /// Why it cannot be made now, without any secret in it.
    async fn build(&self) -> Result<Box<dyn Sink>, String>;
}

/// What became of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The far side has it.
    Delivered,
    /// It has to be sent again, for this reason.
    Retry(String),
    /// The far side refuses it for good, for this reason.
    Refused(String),
    /// The far side refuses the whole batch, for this reason, and does not say because of which alert.
    RefusedTogether(String),
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each alert of the batch.
    pub outcomes: Vec<Outcome>,
    /// How long the far side wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether the far side does not accept who we are, so that the sink should be made anew.
    pub stale: bool,
}

impl Report {
    /// All alerts have this outcome.
    pub fn all(count: usize, outcome: Outcome) -> Self {
        Self { outcomes: vec![outcome; count], retry_after: None, stale: false }
    }

    /// All alerts were delivered.
    pub fn delivered(count: usize) -> Self {
        Self::all(count, Outcome::Delivered)
    }

    /// None was, for this reason.
    pub fn retry(count: usize, reason: impl Into<String>) -> Self {
        Self::all(count, Outcome::Retry(reason.into()))
    }

    /// So many of the first were delivered, the others were not, for this reason.
    pub fn delivered_before(done: usize, count: usize, reason: impl Into<String>) -> Self {
        let mut outcomes = vec![Outcome::Delivered; done.min(count)];
        outcomes.resize(count, Outcome::Retry(reason.into()));
        Self { outcomes, retry_after: None, stale: false }
    }
}

#[cfg(test)]
mod tests;
