//! Tasks that run for as long as the adapter does, each with a name, so that the end of one is noticed and told.

use std::{collections::HashMap, future::Future};
use tokio::task::{Id, JoinSet};

/// Tasks that are not to end before they are told.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts one.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Completes once a task has ended or died, and names it; never while all are at work. Dropping it loses nothing.
    pub async fn ended(&mut self) -> String {
        let Some(ended) = self.set.join_next_with_id().await else { return std::future::pending().await };
        let (id, why) = match ended {
            Ok((id, ())) => (id, "it ended".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        format!("{}: {why}", self.names.remove(&id).unwrap_or("a task"))
    }

    /// Waits until all have ended.
    pub async fn join_all(&mut self) {
        while self.set.join_next().await.is_some() {}
    }

    /// Ends all of them where they stand.
    pub fn abort_all(&mut self) {
        self.set.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    // P2
    #[tokio::test(start_paused = true)]
    async fn a_task_that_dies_is_named_with_the_words_it_died_with_and_one_at_work_is_not() {
        let mut tasks = Tasks::default();
        tasks.spawn("works", std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(60), tasks.ended()).await.is_err());
        tasks.spawn("dies", async { panic!("of this") });
        let ended = tasks.ended().await;
        assert!(ended.starts_with("dies: ") && ended.contains("of this"), "{ended}");
        tasks.spawn("returns", async {});
        assert_eq!(tasks.ended().await, "returns: it ended");
        assert!(tokio::time::timeout(Duration::from_secs(60), tasks.ended()).await.is_err());
        tasks.abort_all();
        tasks.join_all().await;
    }
}
