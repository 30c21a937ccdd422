//! Questions that are asked at the same time, answered together.
//!
//! Most of what a small statement costs is the same whether it answers one question or twenty: messages, a snapshot,
//! locks on tables, changes between processes. So of those who ask for the same kind of thing one asks for all: whoever
//! comes while a statement is under way waits, and the first of those who wait then asks for all of them. Where nobody
//! else asks, nobody waits.
//!
//! An answer is of a statement that began after the question was asked, so it knows all that was answered to anybody
//! before. Nobody waits long for others: after a while those who wait go ahead beside the statement that is slow.
//! What fails is asked again by each for itself, so nobody meets the error of another; and who goes away leaves the duty
//! to ask to the next.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use olmstead_storage::{Result, StorageError};
use tokio::{
    sync::oneshot::{self, Receiver, Sender},
    task::yield_now,
    time::timeout,
};

/// How long one waits for a statement that is under way.
const PATIENCE: Duration = Duration::from_millis(3);

/// How long one waits for a command that is under way, which has to reach the disk.
const COMMAND_PATIENCE: Duration = Duration::from_millis(50);

/// How many questions one statement answers.
const MOST: usize = 64;

/// Questions of one kind.
pub(crate) struct Batch<Q, A>(Arc<Mutex<State<Q, A>>>);

struct State<Q, A> {
    /// Those who wait, in the order they came.
    waiting: VecDeque<Waiting<Q, A>>,
    /// How often the duty to ask was taken or passed on.
    turns: u64,
    /// Whose turn it is to ask for those who wait; `None` when nobody asks.
    turn: Option<u64>,
}

struct Waiting<Q, A> {
    question: Arc<Q>,
    tell: Sender<Said<Q, A>>,
}

/// What one who waits is told.
enum Said<Q, A> {
    Answer(Result<A>),
    /// To ask, for itself and for those who wait.
    Lead(Lead<Q, A>),
}

/// The duty to ask for those who wait; passed on when it is dropped.
struct Lead<Q, A> {
    state: Arc<Mutex<State<Q, A>>>,
    turn: u64,
}

impl<Q, A> Default for Batch<Q, A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { waiting: VecDeque::new(), turns: 0, turn: None })))
    }
}

fn locked<Q, A>(state: &Mutex<State<Q, A>>) -> MutexGuard<'_, State<Q, A>> {
    // Nothing that could panic is done while it is held.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<Q, A> State<Q, A> {
    fn begin_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turn = Some(self.turns);
        self.turns
    }
}

impl<Q, A> Batch<Q, A> {
    /// Asks. `make` answers questions in their order, each with an answer or an error of its own.
    pub(crate) async fn ask<M, F>(&self, question: Q, make: M) -> Result<A>
    where
        M: Fn(Vec<Arc<Q>>) -> F,
        F: Future<Output = Result<Vec<Result<A>>>>,
    {
        let question = Arc::new(question);
        match self.wait(&question, PATIENCE).await {
            Some(Said::Answer(answer)) => answer,
            Some(Said::Lead(lead)) => lead.ask(question, make).await,
            // Whoever asked for us failed or went away.
            None => alone(question, &make).await,
        }
    }

    /// Asks for a command, which is not given up when the one who asks for it goes away: it serves others, too.
    pub(crate) async fn command<M, F>(&self, question: Q, make: M) -> Result<A>
    where
        Q: Send + Sync + 'static,
        A: Send + 'static,
        M: Fn(Vec<Arc<Q>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<Result<A>>>> + Send + 'static,
    {
        let question = Arc::new(question);
        match self.wait(&question, COMMAND_PATIENCE).await {
            Some(Said::Answer(answer)) => answer,
            Some(Said::Lead(lead)) => match tokio::spawn(lead.ask(question, make)).await {
                Ok(answer) => answer,
                Err(error) => Err(StorageError::unavailable("a command was not run to its end", error)),
            },
            None => alone(question, &make).await,
        }
    }

    /// Waits until there is an answer, or it is one's turn to ask; `None` if one has to ask alone.
    async fn wait(&self, question: &Arc<Q>, patience: Duration) -> Option<Said<Q, A>> {
        let mut answer = match self.join(question) {
            Ok(lead) => return Some(Said::Lead(lead)),
            Err(answer) => answer,
        };
        if let Ok(said) = timeout(patience, &mut answer).await {
            return said.ok();
        }
        match self.overtake(question) {
            Some(lead) => Some(Said::Lead(lead)),
            // It is being asked, or we are about to be told to ask.
            None => answer.await.ok(),
        }
    }

    /// Takes the duty to ask if nobody has it, and else waits.
    fn join(&self, question: &Arc<Q>) -> std::result::Result<Lead<Q, A>, Receiver<Said<Q, A>>> {
        let mut state = locked(&self.0);
        if state.turn.is_none() {
            return Ok(Lead { state: Arc::clone(&self.0), turn: state.begin_turn() });
        }
        let (tell, answer) = oneshot::channel();
        state.waiting.push_back(Waiting { question: Arc::clone(question), tell });
        Err(answer)
    }

    /// Takes the duty to ask from one who is slow; `None` if one does not wait any more.
    fn overtake(&self, question: &Arc<Q>) -> Option<Lead<Q, A>> {
        let mut state = locked(&self.0);
        let place = state.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.question, question))?;
        state.waiting.remove(place);
        Some(Lead { state: Arc::clone(&self.0), turn: state.begin_turn() })
    }
}

/// Asks for nobody else.
async fn alone<Q, A, M, F>(question: Arc<Q>, make: &M) -> Result<A>
where
    M: Fn(Vec<Arc<Q>>) -> F,
    F: Future<Output = Result<Vec<Result<A>>>>,
{
    make(vec![question]).await?.pop().unwrap_or_else(|| Err(StorageError::damaged("no answer")))
}

impl<Q, A> Lead<Q, A> {
    async fn ask<M, F>(self, own: Arc<Q>, make: M) -> Result<A>
    where
        M: Fn(Vec<Arc<Q>>) -> F,
        F: Future<Output = Result<Vec<Result<A>>>>,
    {
        // Those who are about to ask come first.
        yield_now().await;
        let others: Vec<Waiting<Q, A>> = {
            let mut state = locked(&self.state);
            let count = state.waiting.len().min(MOST - 1);
            state.waiting.drain(..count).filter(|waiting| !waiting.tell.is_closed()).collect()
        };
        if others.is_empty() {
            return alone(own, &make).await;
        }
        let (questions, tell): (Vec<_>, Vec<_>) =
            others.into_iter().map(|waiting| (waiting.question, waiting.tell)).unzip();
        let mut all = Vec::with_capacity(questions.len() + 1);
        all.push(Arc::clone(&own));
        all.extend(questions);
        let count = all.len();
        let made = make(all).await;
        // The next one asks while these go on.
        drop(self);
        match made {
            Ok(mut answers) if answers.len() == count => {
                let others = answers.split_off(1);
                for (tell, answer) in tell.into_iter().zip(others) {
                    // One who went away needs none.
                    let _ = tell.send(Said::Answer(answer));
                }
                answers.pop().unwrap_or_else(|| Err(StorageError::damaged("no answer")))
            }
            _ => {
                drop(tell);
                alone(own, &make).await
            }
        }
    }
}

impl<Q, A> Drop for Lead<Q, A> {
    fn drop(&mut self) {
        loop {
            let (next, turn) = {
                let mut state = locked(&self.state);
                if state.turn != Some(self.turn) {
                    // Somebody went ahead.
                    return;
                }
                match state.waiting.pop_front() {
                    Some(next) => (next, state.begin_turn()),
                    None => {
                        state.turn = None;
                        return;
                    }
                }
            };
            let lead = Self { state: Arc::clone(&self.state), turn };
            match next.tell.send(Said::Lead(lead)) {
                Ok(()) => return,
                // It went away. The duty is ours again, to pass on; what comes back must not do so as well.
                Err(Said::Lead(mut unsent)) => {
                    unsent.turn = 0;
                    self.turn = turn;
                }
                Err(Said::Answer(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    type Numbers = Batch<u64, u64>;

    fn failure() -> StorageError {
        StorageError::Unavailable { message: "a test".to_owned(), source: None }
    }

    /// Doubles numbers, each statement when it is let, and counts statements.
    async fn double(numbers: Vec<Arc<u64>>, let_go: &Semaphore, made: &AtomicUsize) -> Result<Vec<Result<u64>>> {
        made.fetch_add(1, Ordering::SeqCst);
        let_go.acquire().await.unwrap().forget();
        Ok(numbers.iter().map(|number| Ok(**number * 2)).collect())
    }

    struct Asked {
        batch: Arc<Numbers>,
        let_go: Arc<Semaphore>,
        made: Arc<AtomicUsize>,
    }

    impl Asked {
        fn new() -> Self {
            Self { batch: Arc::default(), let_go: Arc::new(Semaphore::new(0)), made: Arc::new(AtomicUsize::new(0)) }
        }

        fn ask(&self, number: u64) -> tokio::task::JoinHandle<Result<u64>> {
            let (batch, let_go, made) = (Arc::clone(&self.batch), Arc::clone(&self.let_go), Arc::clone(&self.made));
            tokio::spawn(async move { batch.ask(number, |numbers| double(numbers, &let_go, &made)).await })
        }

        /// Waits until so many statements were begun.
        async fn until(&self, made: usize) {
            while self.made.load(Ordering::SeqCst) < made {
                yield_now().await;
            }
        }

        fn made(&self) -> usize {
            self.made.load(Ordering::SeqCst)
        }

        fn is_idle(&self) -> bool {
            let state = locked(&self.batch.0);
            state.waiting.is_empty() && state.turn.is_none()
        }
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_are_answered_together() {
        let asked = Asked::new();
        let first = asked.ask(1);
        asked.until(1).await;
        let others: Vec<_> = (2..20).map(|number| asked.ask(number)).collect();
        yield_now().await;
        asked.let_go.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        for (number, other) in (2..20).zip(others) {
            assert_eq!(other.await.unwrap().unwrap(), number * 2);
        }
        assert_eq!(asked.made(), 2);
        assert!(asked.is_idle());
    }

    #[tokio::test]
    async fn nobody_waits_long_for_one_who_is_slow() {
        let asked = Asked::new();
        let slow = asked.ask(1);
        asked.until(1).await;
        let others = [asked.ask(2), asked.ask(3)];
        // They do not wait for the first, which is not let go.
        asked.until(2).await;
        asked.let_go.add_permits(3);
        for other in others {
            other.await.unwrap().unwrap();
        }
        slow.await.unwrap().unwrap();
        assert!(asked.is_idle());
    }

    #[tokio::test]
    async fn who_goes_away_is_in_nobodys_way() {
        let asked = Asked::new();
        let first = asked.ask(1);
        asked.until(1).await;
        let (second, third) = (asked.ask(2), asked.ask(3));
        yield_now().await;
        first.abort();
        second.abort();
        asked.let_go.add_permits(2);
        assert_eq!(third.await.unwrap().unwrap(), 6);
        assert!(first.await.is_err() && second.await.is_err());
        assert!(asked.is_idle());
    }

    #[tokio::test]
    async fn those_whose_asker_went_away_ask_for_themselves() {
        let asked = Asked::new();
        let first = asked.ask(1);
        asked.until(1).await;
        let others = [asked.ask(2), asked.ask(3), asked.ask(4)];
        yield_now().await;
        asked.let_go.add_permits(1);
        first.await.unwrap().unwrap();
        asked.until(2).await;
        others[0].abort();
        asked.let_go.add_permits(2);
        let [gone, two, three] = others;
        assert!(gone.await.is_err());
        assert_eq!((two.await.unwrap().unwrap(), three.await.unwrap().unwrap()), (6, 8));
        assert!(asked.is_idle());
    }

    #[tokio::test]
    async fn nobody_meets_the_error_of_another() {
        let batch: Arc<Numbers> = Arc::default();
        let ask = |number: u64| {
            let batch = Arc::clone(&batch);
            tokio::spawn(async move {
                let make = |numbers: Vec<Arc<u64>>| async move {
                    yield_now().await;
                    if numbers.iter().any(|number| **number == 7) {
                        return Err(failure());
                    }
                    Ok(numbers.iter().map(|number| if **number == 5 { Err(failure()) } else { Ok(**number) }).collect())
                };
                batch.ask(number, make).await
            })
        };
        let all: Vec<_> = (0..10).map(ask).collect();
        for (number, one) in (0..10).zip(all) {
            assert_eq!(one.await.unwrap().is_ok(), number != 7 && number != 5, "{number}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn crowds_that_come_and_go_get_their_own_answers() {
        let asked = Asked::new();
        asked.let_go.add_permits(100_000);
        let crowd: Vec<_> = (0..2_000).map(|number| (number, asked.ask(number))).collect();
        for (number, one) in crowd {
            if number % 7 == 0 {
                one.abort();
            } else {
                assert_eq!(one.await.unwrap().unwrap(), number * 2);
            }
        }
        while !asked.is_idle() {
            yield_now().await;
        }
    }
}
