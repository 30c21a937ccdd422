//! Every order in which the threads of small worlds can run. Empty without `--cfg loom`; see `cargo xtask loom`.
#![cfg(loom)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::convert::Infallible;

use loom::{
    future::block_on,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};
use olmstead_sequence::{Changed, Positions, Waiters};

const FIRST: u64 = 1;
const WRITERS: usize = 2;

/// A store: which positions have their rows, and what else threads share.
struct World {
    positions: Positions<u64, Arc<AtomicBool>>,
    rows: Mutex<Vec<u64>>,
}

impl World {
    fn new() -> Self {
        Self { positions: Positions::new(FIRST, 16), rows: Mutex::new(Vec::new()) }
    }

    fn issue(&self) -> u64 {
        self.positions.issue::<Infallible>(16, true, |_| Ok(())).unwrap().unwrap()
    }

    /// A command: a position, a row, and an answer when the horizon has passed it.
    fn write(&self, answered: Arc<AtomicBool>) -> u64 {
        let position = self.issue();
        self.rows.lock().unwrap().push(position);
        for done in self.positions.retire([(position, vec![position], Some(answered))]).passed {
            done.store(true, Ordering::Release);
        }
        position
    }

    /// A sync: the horizon, and the rows below it.
    fn read(&self, since: u64) -> (u64, Vec<u64>) {
        let horizon = self.positions.horizon();
        let rows = self.rows.lock().unwrap();
        let mut seen: Vec<u64> = rows.iter().copied().filter(|row| (since..horizon).contains(row)).collect();
        seen.sort_unstable();
        (horizon, seen)
    }
}

/// An answer for each writer.
fn answers() -> Vec<Arc<AtomicBool>> {
    (0..WRITERS).map(|_| Arc::new(AtomicBool::new(false))).collect()
}

/// Writers that have begun, one for each answer.
fn writers(world: &Arc<World>, answers: &[Arc<AtomicBool>]) -> Vec<thread::JoinHandle<u64>> {
    let writer = |answer: &Arc<AtomicBool>| {
        let (world, answer) = (world.clone(), answer.clone());
        thread::spawn(move || world.write(answer))
    };
    answers.iter().map(writer).collect()
}

/// No sync position skips a write that commits later.
#[test]
fn a_reader_gets_each_row_once() {
    loom::model(|| {
        let world = Arc::new(World::new());
        let writers = writers(&world, &answers());
        let (since, mut got) = world.read(FIRST);
        let written: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let (horizon, rest) = world.read(since);
        got.extend(rest);
        assert_eq!(got.len(), WRITERS, "read {got:?} of {written:?}");
        assert!(written.iter().all(|position| got.contains(position) && *position < horizon));
    });
}

/// Who is answered finds what was written, through whatever horizon is read from then on.
#[test]
fn an_answer_comes_when_the_horizon_has_passed() {
    loom::model(|| {
        let world = Arc::new(World::new());
        let answers = answers();
        let writers = writers(&world, &answers);
        let answered: Vec<bool> = answers.iter().map(|answer| answer.load(Ordering::Acquire)).collect();
        let horizon = world.positions.horizon();
        for (writer, answered) in writers.into_iter().zip(answered) {
            let position = writer.join().unwrap();
            assert!(!answered || position < horizon, "{position} was answered, and the horizon is {horizon}");
        }
        assert!(answers.iter().all(|answer| answer.load(Ordering::Acquire)), "somebody got no answer");
    });
}

/// A command that gives up holds up nobody.
#[test]
fn what_is_given_up_does_not_stay_open() {
    loom::model(|| {
        let world = Arc::new(World::new());
        let gives_up = {
            let world = world.clone();
            thread::spawn(move || {
                let position = world.issue();
                for done in world.positions.retire([(position, Vec::new(), None)]).passed {
                    done.store(true, Ordering::Release);
                }
            })
        };
        let answer = Arc::new(AtomicBool::new(false));
        let position = world.write(answer.clone());
        gives_up.join().unwrap();
        assert!(answer.load(Ordering::Acquire));
        assert!(world.positions.horizon() > position);
    });
}

/// What changed below a horizon is told by then.
#[test]
fn a_span_below_the_horizon_has_all_its_changes() {
    loom::model(|| {
        let world = Arc::new(World::new());
        let writers = writers(&world, &answers());
        let horizon = world.positions.horizon();
        let Changed::Keys(keys) = world.positions.changed(FIRST, horizon) else { panic!("all is remembered") };
        for writer in writers {
            let position = writer.join().unwrap();
            assert_eq!(position < horizon, keys.contains(&position));
        }
    });
}

/// A waiter that registers, reads and waits is not left asleep by a write that it did not read.
#[test]
fn nobody_sleeps_through_a_write() {
    loom::model(|| {
        let waiters = Waiters::<u8, u8>::default();
        let rows = Arc::new(AtomicUsize::new(0));
        let writer = {
            let (waiters, rows) = (waiters.clone(), rows.clone());
            thread::spawn(move || {
                rows.store(1, Ordering::Release);
                waiters.wake_device(&1, &1);
            })
        };
        let registration = waiters.register(1, 1);
        // Loom finds a waiter that nobody wakes: then no thread can go on.
        while rows.load(Ordering::Acquire) == 0 {
            block_on(registration.woken());
        }
        writer.join().unwrap();
    });
}

/// Two writers, of whom each must be seen.
#[test]
fn nobody_sleeps_through_the_second_of_two_writes() {
    loom::model(|| {
        let waiters = Waiters::<u8, u8>::default();
        let rows = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (waiters, rows) = (waiters.clone(), rows.clone());
                thread::spawn(move || {
                    rows.fetch_add(1, Ordering::AcqRel);
                    waiters.wake_user(&1);
                })
            })
            .collect();
        let registration = waiters.register(1, 1);
        while rows.load(Ordering::Acquire) < 2 {
            block_on(registration.woken());
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

/// A stop wakes who waits and who is about to.
#[test]
fn nobody_sleeps_through_the_end() {
    loom::model(|| {
        let waiters = Waiters::<u8, u8>::default();
        let stop = {
            let waiters = waiters.clone();
            thread::spawn(move || waiters.close())
        };
        let registration = waiters.register(1, 1);
        block_on(registration.woken());
        assert!(waiters.is_closing());
        stop.join().unwrap();
    });
}
