//! The supervisor: it watches every task that must run as long as the server does.
//!
//! If one of them ends or panics, for whatever reason, the server ends: without its accept loop, say, a server would look alive
//! and accept nobody.
//!
//! It owns the tasks until they have ended. It must never start one again: what has failed once is the operator's to see.

use std::any::Any;
use std::collections::HashMap;

use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};

/// A task that must go on has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} failed: {reason}")]
pub struct Failure {
    /// The task's name.
    pub name: &'static str,
    /// Why it ended, and what to do.
    pub reason: String,
}

/// What is so after most failures, and what to do.
pub const START_AGAIN: &str = "nothing that was answered OK is lost, start linechat again";

/// How a task ended: an error says why it could not go on, and what to do.
pub type Ended = Result<(), String>;

/// Tasks that must go on, by name.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<Ended>,
    names: HashMap<Id, &'static str>,
}

impl Supervisor {
    /// Runs a task and watches it.
    pub fn task(&mut self, name: &'static str, work: impl Future<Output = Ended> + Send + 'static) -> tokio::task::AbortHandle {
        let handle = self.tasks.spawn(work);
        self.names.insert(handle.id(), name);
        handle
    }

    /// Runs work in a thread of its own, which the system shows as `thread`, where it may wait for the disk, and watches it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn thread(
        &mut self,
        name: &'static str,
        thread: &str,
        work: impl Future<Output = Ended> + Send + 'static,
    ) -> std::io::Result<()> {
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || {
            let _ = ended.send(runtime.block_on(work));
        })?;
        // A thread that panics drops its sender without a word; the panic itself is on stderr.
        self.task(name, async { end.await.unwrap_or_else(|_| Err(format!("it panicked; {START_AGAIN}"))) });
        Ok(())
    }

    /// Waits until one of the tasks has ended, which none should.
    pub async fn failure(&mut self) -> Failure {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            if joined.as_ref().is_err_and(JoinError::is_cancelled) {
                continue;
            }
            let (name, ended) = self.named(joined);
            return Failure { name, reason: ended.err().unwrap_or_else(|| format!("it ended; {START_AGAIN}")) };
        }
        // Nothing is watched, and so nothing can fail.
        std::future::pending().await
    }

    /// Waits until all tasks have ended, as they should now.
    ///
    /// # Errors
    /// The first [`Failure`] among them.
    pub async fn finish(&mut self) -> Result<(), Failure> {
        let mut finished = Ok(());
        while let Some(joined) = self.tasks.join_next_with_id().await {
            if joined.as_ref().is_err_and(JoinError::is_cancelled) {
                continue;
            }
            let (name, ended) = self.named(joined);
            finished = finished.and(ended.map_err(|reason| Failure { name, reason }));
        }
        finished
    }

    fn named(&self, joined: Result<(Id, Ended), JoinError>) -> (&'static str, Ended) {
        let (id, ended) = match joined {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(reason(error))),
        };
        (self.names.get(&id).copied().unwrap_or("a task"), ended)
    }
}

fn reason(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("it panicked: {}; {START_AGAIN}", words(&*panic)),
        Err(error) => error.to_string(),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it did not say why")
}

#[cfg(test)]
mod tests {
    use super::{Failure, START_AGAIN, Supervisor};

    #[tokio::test]
    async fn whatever_ends_is_told_with_its_name_and_reason() {
        let failed = |name, reason: &str| Failure { name, reason: reason.to_owned() };
        let mut supervisor = Supervisor::default();
        supervisor.task("the first", std::future::pending());
        supervisor.task("the second", async { panic!("number {}", 7) });
        assert_eq!(supervisor.failure().await, failed("the second", &format!("it panicked: number 7; {START_AGAIN}")));
        supervisor.task("the third", async { Err("no more".to_owned()) });
        assert_eq!(supervisor.failure().await, failed("the third", "no more"));
        supervisor.task("the fourth", async { Ok(()) });
        assert_eq!(supervisor.failure().await, failed("the fourth", &format!("it ended; {START_AGAIN}")));
        supervisor.thread("the fifth", "fifth", async { panic!("in a thread") }).unwrap();
        assert_eq!(supervisor.failure().await, failed("the fifth", &format!("it panicked; {START_AGAIN}")));
    }

    #[tokio::test]
    async fn at_the_end_all_may_end_but_not_fail() {
        let mut supervisor = Supervisor::default();
        supervisor.task("one", std::future::pending()).abort();
        supervisor.task("two", async { Ok(()) });
        assert_eq!(supervisor.finish().await, Ok(()));
        supervisor.task("three", async { Err("the disk is gone".to_owned()) });
        assert_eq!(supervisor.finish().await.unwrap_err().name, "three");
    }
}
