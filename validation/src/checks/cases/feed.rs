//! Questions of a dataset, read off the runtime's threads a few at a time.

use std::{collections::VecDeque, sync::Arc};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use crate::dataset::{Dataset, InvalidDataset, Question, Questions};

/// Questions are read so many at a time.
const BATCH: usize = 32;

/// The questions of a dataset; the first error is the last item.
#[derive(Debug)]
pub(in crate::checks) struct Feed {
    dataset: Option<Dataset>,
    questions: Option<Questions>,
    ready: VecDeque<Result<Arc<Question>, InvalidDataset>>,
}

/// A question and which time it is asked, from 0.
pub(in crate::checks) type Next = Result<(Arc<Question>, u32), InvalidDataset>;

/// Each question as often as it is asked.
#[derive(Debug)]
struct Trials {
    feed: Feed,
    repeats: u32,
    current: Option<(Arc<Question>, u32)>,
}

impl Feed {
    pub(in crate::checks) fn new(dataset: Dataset) -> Self {
        Self { dataset: Some(dataset), questions: None, ready: VecDeque::new() }
    }

    /// Each question `repeats` times, and which time it is.
    pub(in crate::checks) fn trials(self, repeats: u32) -> BoxStream<'static, Next> {
        let trials = Trials { feed: self, repeats, current: None };
        stream::unfold(trials, |mut trials| async move { Some((trials.next().await?, trials)) }).boxed()
    }

    async fn next(&mut self) -> Option<Result<Arc<Question>, InvalidDataset>> {
        if self.ready.is_empty() {
            self.fill().await;
        }
        self.ready.pop_front()
    }

    async fn fill(&mut self) {
        let (dataset, questions) = (self.dataset.take(), self.questions.take());
        let read = move || {
            let mut ready = VecDeque::new();
            let mut questions = match (questions, dataset) {
                (Some(questions), _) => questions,
                (None, Some(dataset)) => match dataset.questions() {
                    Ok(questions) => questions,
                    Err(error) => return (None, VecDeque::from([Err(error)])),
                },
                (None, None) => return (None, ready),
            };
            while ready.len() < BATCH {
                let Some(question) = questions.next() else { return (None, ready) };
                ready.push_back(question.map(Arc::new));
            }
            (Some(questions), ready)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok((questions, ready)) => (self.questions, self.ready) = (questions, ready),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

impl Trials {
    async fn next(&mut self) -> Option<Next> {
        let (question, trial) = match self.current.take() {
            Some(current) => current,
            None => match self.feed.next().await? {
                Ok(question) => (question, 0),
                Err(error) => return Some(Err(error)),
            },
        };
        if trial + 1 < self.repeats {
            self.current = Some((Arc::clone(&question), trial + 1));
        }
        Some(Ok((question, trial)))
    }
}
