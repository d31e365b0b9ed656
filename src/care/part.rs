//! A file that is not whole yet: it is written beside its place, and gets its name when it is whole and synced.
//!
//! It owns that file, `NAME.part`, through a lock on it. One that was killed leaves it behind, and the next one begins it anew. It must never
//! write to a file that somebody else has, or that has its name already.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, fstatvfs, renameat_with};
use rustix::io::Errno;

use crate::care::{CareError, begun};
use crate::store;

/// A part of a file, removed when this is dropped before it is whole.
pub struct Part {
    file: File,
    path: PathBuf,
    whole: PathBuf,
    replaces: bool,
    /// Whether it has its name: what is called a part now is somebody else's.
    is_whole: bool,
}

impl Part {
    /// Begins a file. One that exists already is replaced only if that is asked for, and nothing but a file ever is.
    pub fn begin(whole: &Path, replaces: bool) -> Result<Self, CareError> {
        let path = part_of(whole);
        if store::is_of_a_store(whole) {
            return Err(CareError::OfAStore(whole.to_owned()));
        }
        make_way(whole, replaces)?;
        // Opening a device may do something.
        make_way(&path, true)?;
        let file = begun::begin(&path, || own(&path, whole))?;
        let part = Self { file, path, whole: whole.to_owned(), replaces, is_whole: false };
        part.file.set_len(0).and_then(|()| part.clear()).map_err(CareError::write(&part.path))?;
        Ok(part)
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The directory in which it is.
    pub fn directory(&self) -> &Path {
        self.whole.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// How many bytes its disk has room for.
    pub fn room(&self) -> Result<u64, CareError> {
        let space = fstatvfs(&self.file).map_err(|error| CareError::read(&self.path)(error.into()))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// Removes what SQLite has left beside it.
    fn clear(&self) -> io::Result<()> {
        for path in begun::beside(&self.path) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives it its name, now that it is whole; returns how many bytes it has.
    pub fn finish(mut self) -> Result<u64, CareError> {
        // Somebody may have put something there meanwhile.
        make_way(&self.whole, self.replaces)?;
        let Self { file, path, whole, replaces, .. } = &self;
        let bytes = file.sync_all().and_then(|()| file.metadata()).map_err(CareError::write(path))?.len();
        let flags = if *replaces { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        begun::settle(path, || match renameat_with(CWD, path, CWD, whole, flags) {
            Err(Errno::EXIST) => Err(CareError::Exists(whole.clone())),
            // Not every file system can refuse it; there was none when this began.
            Err(Errno::INVAL) => fs::rename(path, whole).map_err(CareError::write(whole)),
            renamed => renamed.map_err(|error| CareError::write(whole)(error.into())),
        })?;
        self.is_whole = true;
        let parent = self.directory();
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(CareError::write(parent))?;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_whole {
            // Nobody else begins it while it is locked.
            let _ = begun::settle(&self.path, || fs::remove_file(&self.path));
            let _ = self.clear();
        }
    }
}

/// Whether a file may have this name. Renamed over a device, a pipe or a link it would destroy that; what was meant is its other side.
fn make_way(path: &Path, replaces: bool) -> Result<(), CareError> {
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(CareError::NoFile(path.to_owned())),
        Ok(_) if !replaces => Err(CareError::Exists(path.to_owned())),
        // What cannot be looked at cannot be made either, and that says why.
        _ => Ok(()),
    }
}

/// Never through a link, and never readable for others: it holds what a store holds.
fn open(path: &Path) -> io::Result<File> {
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow).open(path)
}

fn part_of(whole: &Path) -> PathBuf {
    let mut name = whole.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The file of this path, which nobody else has.
fn own(path: &Path, whole: &Path) -> Result<File, CareError> {
    loop {
        let file = open(path).map_err(CareError::write(path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(CareError::Busy(whole.to_owned())),
            Err(TryLockError::Error(error)) => return Err(CareError::write(path)(error)),
            Ok(()) => {}
        }
        // Whoever had it may have given it its name meanwhile.
        let inode = file.metadata().map_err(CareError::write(path))?.ino();
        if path.symlink_metadata().is_ok_and(|metadata| metadata.ino() == inode) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{CareError, Part};

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let whole = directory.path().join("backup");
        fs::write(directory.path().join("backup.part"), "what one that was killed has left").unwrap();
        let mut part = Part::begin(&whole, false).unwrap();
        part.file().write_all(b"all").unwrap();
        assert!(matches!(Part::begin(&whole, false), Err(CareError::Busy(_))));
        assert!(!whole.exists());
        assert_eq!(part.finish().unwrap(), 3);
        assert_eq!(fs::read(&whole).unwrap(), b"all");
        assert!(matches!(Part::begin(&whole, false), Err(CareError::Exists(_))));
        drop(Part::begin(&whole, true).unwrap());
        assert_eq!(fs::read(&whole).unwrap(), b"all", "given up, it replaces nothing");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Two that began at different times both find no file of that name.
    #[test]
    fn whoever_is_second_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let whole = directory.path().join("backup");
        let part = Part::begin(&whole, false).unwrap();
        fs::write(&whole, "another").unwrap();
        assert!(matches!(part.finish(), Err(CareError::Exists(_))));
        assert_eq!(fs::read(&whole).unwrap(), b"another");
    }
}
