//! What is begun and has not got its name yet: a signal that ends the process removes it.
//!
//! It owns the list of that, one for the process, as a signal is one for the process. It must never remove what has got its name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How often all is removed: another thread may just make a file.
const ROUNDS: usize = 10;
/// What SQLite may put beside a file.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

static BEGUN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn begun() -> MutexGuard<'static, Vec<PathBuf>> {
    BEGUN.lock().expect("invariant: nothing panics under this lock")
}

/// A file or folder that has not got its name is here once it was made by `making`. No signal comes between that and its being noted.
pub fn begin<T, E>(path: &Path, making: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut begun = begun();
    let made = making()?;
    begun.push(path.to_owned());
    Ok(made)
}

/// What SQLite may have put beside a file.
pub fn beside(path: &Path) -> [PathBuf; 3] {
    BESIDE.map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

fn remove(path: &Path) {
    // What is not there any more is removed.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    beside(path).iter().for_each(|path| drop(fs::remove_file(path)));
}

/// Gives it its name, or removes it, by `settling`. No signal comes between that and its being forgotten here.
pub fn settle<T>(path: &Path, settling: impl FnOnce() -> T) -> T {
    let mut begun = begun();
    let settled = settling();
    begun.retain(|other| other != path);
    settled
}

/// From now on a SIGINT or SIGTERM first removes what is begun, and then ends the process, with the exit code that shells have for it.
/// Without that, and after a `kill -9`, it is removed by whoever does the same again.
///
/// # Errors
/// When the system gives no thread for it.
pub fn remove_at_a_signal() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let work = async move {
        let kind = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
        };
        // Kept to the end: nothing gets its name any more.
        let begun = begun();
        (0..ROUNDS).for_each(|_| begun.iter().for_each(|path| remove(path)));
        process::exit(128 + kind.as_raw_value());
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(work)).map(drop)
}
