//! What runs beside each other, by name: a part that ends on its own ends the controller, with its name.

use std::{collections::HashMap, future::Future};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// The running parts.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<Result<(), String>>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

/// A part that ended although nobody asked it to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} has ended: {why}")]
pub struct Ended {
    /// The part.
    pub name: &'static str,
    /// Why, as far as it said so.
    pub why: String,
}

impl Tasks {
    /// Cancelled when everything is to stop.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a part. It is to end only once [`Self::stop`] is cancelled.
    pub fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let handle = self.set.spawn(part);
        self.names.insert(handle.id(), name);
    }

    /// Waits until a part ends on its own; for ever, as long as all run.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match self.next().await {
                Some((name, result)) if !self.stop.is_cancelled() => {
                    return Ended { name, why: result.err().unwrap_or_else(|| "without a reason".into()) };
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Asks all parts to end and waits until they have. What one says when it fails on the way is returned.
    pub async fn finish(mut self) -> Result<(), Ended> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some((name, result)) = self.next().await {
            if let Err(why) = result
                && first.is_ok()
            {
                first = Err(Ended { name, why });
            }
        }
        first
    }

    async fn next(&mut self) -> Option<(&'static str, Result<(), String>)> {
        let (id, result) = match self.set.join_next_with_id().await? {
            Ok((id, result)) => (id, result),
            Err(error) => {
                (error.id(), Err(if error.is_panic() { "it panicked" } else { "cancelled" }.into()))
            }
        };
        Some((self.names.remove(&id).unwrap_or("a part"), result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_part_is_named() {
        let mut tasks = Tasks::default();
        let stop = tasks.stop();
        tasks.spawn("the good", async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.spawn("the bad", async { Err("no luck".into()) });
        assert_eq!(tasks.ended().await, Ended { name: "the bad", why: "no luck".into() });
        tasks.spawn("the silent", async { Ok(()) });
        assert_eq!(tasks.ended().await.name, "the silent");
        tasks.spawn("the clumsy", async { panic!("oh") });
        assert_eq!(tasks.ended().await.why, "it panicked");
        assert_eq!(tasks.finish().await, Ok(()));
    }

    #[tokio::test]
    async fn what_fails_on_the_way_out_is_told() {
        let mut tasks = Tasks::default();
        let stop = tasks.stop();
        tasks.spawn("the log", async move {
            stop.cancelled().await;
            Err("could not be written out".into())
        });
        assert_eq!(tasks.finish().await.unwrap_err().name, "the log");
    }
}
