//! A disk that is soon full: a file system of 16 MiB, or as many as a test wants, that only one test has.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A small file system, gone when it is dropped.
pub struct Small(tempfile::TempDir);

impl Small {
    /// `None`, said loudly, where mounting is not permitted.
    pub fn mount() -> Option<Self> {
        Self::mount_of(16)
    }

    /// One of so many MiB.
    pub fn mount_of(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::TempDir::with_prefix("linechat-full-").expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "linechat-test"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self(directory));
        }
        assert!(std::env::var_os("CI").is_none(), "the test of the full disk must be permitted to mount a tmpfs");
        eprintln!("\n*** SKIPPED: the full disk. Mounting a tmpfs takes root; try: sudo -E cargo test full\n");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all the room that is left, with the file `filled`, which may have filled some already.
    pub fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.path().join("filled")).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
