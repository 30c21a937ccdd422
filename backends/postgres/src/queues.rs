//! Queues of this node before the locks of the database.
//!
//! Who waits for an advisory lock waits on a connection, and a node has few of them. So of the commands of a node that
//! want the same lock only the first waits there, and the others here, without one. A place is given up once the locks
//! are held: the next one then waits in the database already, and goes on in the moment they are free.
//!
//! Nobody who has a connection or a lock of the database waits here, and places are taken in the order of the locks, as
//! the database's are, so no two commands ever wait for each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::locks::Locks;

/// A queue for each lock that somebody wants.
#[derive(Default)]
pub(crate) struct Queues(Mutex<HashMap<i64, Queue>>);

#[derive(Default)]
struct Queue {
    /// Those who wait, and the one whose turn it is.
    places: usize,
    turn: Arc<Turn<()>>,
}

/// A place in a queue, given up when it is dropped.
pub(crate) struct Place<'a> {
    queues: &'a Queues,
    number: i64,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Queues {
    /// Waits until it is one's turn for all these locks.
    pub(crate) async fn wait(&self, locks: &Locks) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for number in locks.numbers() {
            let (mut place, turn) = self.join(number);
            place.turn = Some(turn.lock_owned().await);
            places.push(place);
        }
        places
    }

    fn join(&self, number: i64) -> (Place<'_>, Arc<Turn<()>>) {
        let mut queues = self.queues();
        let queue = queues.entry(number).or_default();
        queue.places += 1;
        (Place { queues: self, number, turn: None }, Arc::clone(&queue.turn))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<i64, Queue>> {
        // Nothing that could panic is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.turn.take());
        let mut queues = self.queues.queues();
        if let Some(queue) = queues.get_mut(&self.number) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn locks(names: &[&str]) -> Locks {
        names.iter().fold(Locks::new(), |locks, name| locks.name("test", name))
    }

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_at_a_time_has_its_turn_and_in_order() {
        let (queues, wanted) = (Queues::default(), locks(&["a"]));
        let wait = || Box::pin(queues.wait(&wanted));
        let (mut one, mut two, mut three) = (wait(), wait(), wait());
        let Poll::Ready(first) = poll(one.as_mut()) else { panic!("nobody is before it") };
        assert!(poll(two.as_mut()).is_pending() && poll(three.as_mut()).is_pending());
        drop(first);
        assert!(poll(three.as_mut()).is_pending());
        assert!(poll(two.as_mut()).is_ready());
        assert!(poll(three.as_mut()).is_ready());
    }

    #[test]
    fn who_does_not_wait_any_more_is_in_nobodys_way_and_nothing_is_left() {
        let (queues, wanted) = (Queues::default(), locks(&["a", "b"]));
        let mut one = Box::pin(queues.wait(&wanted));
        let Poll::Ready(first) = poll(one.as_mut()) else { panic!("nobody is before it") };
        {
            let mut two = Box::pin(queues.wait(&wanted));
            assert!(poll(two.as_mut()).is_pending());
        }
        let mut three = Box::pin(queues.wait(&wanted));
        assert!(poll(three.as_mut()).is_pending());
        drop(first);
        assert!(poll(three.as_mut()).is_ready());
        drop((one, three));
        assert!(queues.queues().is_empty());
    }

    #[test]
    fn one_who_waits_for_one_lock_of_several_is_in_the_way_for_those_before_it_alone() {
        let queues = Queues::default();
        let (both, a, b) = (locks(&["a", "b"]), locks(&["a"]), locks(&["b"]));
        let first_of_both = both.numbers().next();
        let (first, second) = if a.numbers().next() == first_of_both { (a, b) } else { (b, a) };
        let mut one = Box::pin(queues.wait(&second));
        let Poll::Ready(held) = poll(one.as_mut()) else { panic!("nobody is before it") };
        let mut two = Box::pin(queues.wait(&both));
        assert!(poll(two.as_mut()).is_pending());
        let mut three = Box::pin(queues.wait(&first));
        assert!(poll(three.as_mut()).is_pending());
        drop(held);
        let Poll::Ready(held) = poll(two.as_mut()) else { panic!("both are free") };
        drop(held);
        assert!(poll(three.as_mut()).is_ready());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn crowds_that_come_and_go_leave_nothing() {
        let queues = Arc::new(Queues::default());
        let crowd = (0..400).map(|number: u64| {
            let queues = Arc::clone(&queues);
            tokio::spawn(async move {
                let wanted = (0..3).fold(Locks::new(), |locks, n| locks.name("test", &format!("{}", (number * n) % 7)));
                let waiting = queues.wait(&wanted);
                if number.is_multiple_of(3) {
                    let _ = tokio::time::timeout(std::time::Duration::from_micros(number), waiting).await;
                } else {
                    let _places = waiting.await;
                    tokio::task::yield_now().await;
                }
            })
        });
        for one in crowd.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert!(queues.queues().is_empty());
    }
}
