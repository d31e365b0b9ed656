//! Where long work is done and shown: a folder of its own in a data directory, and a bar for whoever waits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::care::begun;
use crate::store;

/// A bar that fills while something is done; nothing where nobody looks.
pub fn bar(all: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(all);
    let style = ProgressStyle::with_template("{msg:24} {bar:40} {human_pos} of {human_len} {eta}")
        .expect("invariant: the template is valid");
    bar.set_style(style);
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The folder in which something is made that gets its place when it is whole. It is removed when this is dropped.
#[derive(Debug)]
pub struct Work(PathBuf);

impl Work {
    /// Its place in this directory, in which there is nothing of this name any more.
    ///
    /// # Errors
    /// When what one that was killed has left there cannot be removed.
    pub fn prepare(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => begun::begin(&path, || Ok(())).map(|()| Self(path)),
        }
    }

    /// The folder itself, which nobody else may enter.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(directory: &Path, name: &str) -> io::Result<Self> {
        let work = Self::prepare(directory, name)?;
        store::make_folder(&work.0).map(|()| work)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = begun::settle(&self.0, || fs::remove_dir_all(&self.0));
    }
}
