//! What is to go wrong in one life of the server, and whether it has. It decides by seed and never by chance of the machine.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::chance::Chance;
use super::record::{Recorder, What};

/// How a life of the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Never.
    None,
    /// The process is gone at this read or write of a connection, wherever that is.
    AtCall(usize),
    /// The process is gone before this batch is written.
    BeforeWrite(usize),
    /// It is gone when this batch is written and nobody knows.
    AfterWrite(usize),
    /// This batch is not written, and the disk says that it failed.
    Fails(usize),
    /// The disk says that it failed, but the batch is written.
    FailsLate(usize),
    /// The operator stops it after so many reads and writes of connections.
    Stops(usize),
}

/// A broken part, to see whether anybody notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The disk says that it has written a batch, and a crash loses it.
    LosesWrites,
    /// The disk has failed and does not say so.
    HidesFailure,
    /// The network loses a message.
    LosesLines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Runs,
    Ending,
    Over,
}

/// One life of the server.
pub struct Fate {
    /// What ends it.
    pub death: Death,
    lie: Option<Lie>,
    chance: Mutex<Chance>,
    stage: Mutex<Stage>,
    calls: AtomicUsize,
    calm: Arc<AtomicBool>,
    recorder: Arc<Recorder>,
    /// Told when the life must end.
    pub ends: Notify,
}

impl Fate {
    /// A life that has begun. Nothing goes wrong while `calm` is set.
    pub fn new(death: Death, lie: Option<Lie>, chance: Chance, calm: Arc<AtomicBool>, recorder: Arc<Recorder>) -> Arc<Self> {
        let (stage, calls, ends) = (Mutex::new(Stage::Runs), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { death, lie, chance: Mutex::new(chance), stage, calls, calm, recorder, ends })
    }

    fn stage(&self) -> Stage {
        *self.stage.lock().expect("nothing panics under this lock")
    }

    /// Whether nothing may go wrong.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether the process is gone.
    pub fn is_over(&self) -> bool {
        self.stage() == Stage::Over
    }

    /// Whether a lie is told now.
    pub fn tells(&self, lie: Lie) -> bool {
        self.lie == Some(lie) && !self.is_calm() && self.chance.lock().expect("nothing panics under this lock").below(10) == 0
    }

    /// The process may end from now on, and what is not answered may never be.
    pub fn ending(&self) {
        let mut stage = self.stage.lock().expect("nothing panics under this lock");
        if *stage == Stage::Runs {
            *stage = Stage::Ending;
            self.recorder.put(0, What::Killing, "");
            self.ends.notify_one();
        }
    }

    /// The process is gone.
    pub fn crash(&self) {
        self.ending();
        *self.stage.lock().expect("nothing panics under this lock") = Stage::Over;
    }

    /// Counts a read or write of a connection; whether the process is still there for it.
    pub fn goes_on(&self) -> bool {
        if !self.is_calm() {
            let calls = 1 + self.calls.fetch_add(1, Ordering::Relaxed);
            match self.death {
                Death::AtCall(at) if at == calls => self.crash(),
                Death::Stops(at) if at == calls => self.ending(),
                _ => (),
            }
        }
        !self.is_over()
    }
}
