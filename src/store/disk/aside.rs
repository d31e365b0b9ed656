//! Ids for newcomers when the disk has not a byte of room left: a small file whose blocks exist already and are overwritten.
//!
//! It owns the file `ids`. There are two slots, written in turn, so that a crash in the middle of a write leaves the other one.
//! It must never grow the file after it was made, and never say that something is kept before it is synced.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::names::UserId;
use crate::store::disk::files;

/// The slots lie in blocks of their own.
const BLOCK: usize = 4096;

/// The file, if there was room for it, and the ids in its slots.
#[derive(Debug)]
pub struct Aside {
    file: Option<File>,
    slots: [u64; 2],
}

impl Aside {
    /// Opens the file, and makes it if there is none. Without room for it nothing can be set aside until the next start.
    pub fn open(directory: &Path) -> Self {
        let open = || {
            let file = files::create(&directory.join(files::IDS))?;
            if file.metadata()?.len() < 2 * BLOCK as u64 {
                file.write_all_at(&[0; 2 * BLOCK], 0)?;
                file.sync_all()?;
            }
            let mut slots = [[0; 12]; 2];
            for (slot, bytes) in slots.iter_mut().enumerate() {
                file.read_exact_at(bytes, (slot * BLOCK) as u64)?;
            }
            Ok::<_, std::io::Error>(Self { file: Some(file), slots: slots.map(read) })
        };
        open().unwrap_or(Self { file: None, slots: [0; 2] })
    }

    /// What a server has set aside in this directory, if it has; nothing is made or changed.
    pub fn look(directory: &Path) -> UserId {
        let file = File::open(directory.join(files::IDS));
        let slot = |file: &File, slot: usize| {
            let mut bytes = [0; 12];
            file.read_exact_at(&mut bytes, (slot * BLOCK) as u64).map_or(0, |()| read(bytes))
        };
        file.map_or(UserId(0), |file| UserId(slot(&file, 0).max(slot(&file, 1))))
    }

    /// Every id that was ever set aside is below this one.
    pub fn below(&self) -> UserId {
        UserId(self.slots[0].max(self.slots[1]))
    }

    /// Sets aside all ids below this one; returns whether that is on the disk now.
    pub fn set(&mut self, below: UserId) -> bool {
        let slot = usize::from(self.slots[0] > self.slots[1]);
        let Some(file) = &self.file else { return false };
        let kept = file.write_all_at(&write(below.0), (slot * BLOCK) as u64).and_then(|()| file.sync_data());
        if kept.is_ok() {
            self.slots[slot] = below.0;
        }
        kept.is_ok()
    }
}

fn write(below: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&below.to_le_bytes());
    bytes[8..].copy_from_slice(&sum(&below.to_le_bytes()).to_le_bytes());
    bytes
}

/// What a slot holds: 0 if it was never written, or not to the end.
fn read(bytes: [u8; 12]) -> u64 {
    let (number, check) = bytes.split_at(8);
    let number: [u8; 8] = number.try_into().expect("invariant: it has 8 bytes");
    if check == sum(&number).to_le_bytes() { u64::from_le_bytes(number) } else { 0 }
}

fn sum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::{Aside, BLOCK, FileExt, UserId, files};

    #[test]
    fn what_is_set_aside_is_there_after_a_restart_and_after_a_torn_write() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Aside::open(directory.path()).below(), UserId(0));
        for below in [5000, 9000, 13000] {
            assert!(Aside::open(directory.path()).set(UserId(below)));
            assert_eq!(Aside::open(directory.path()).below(), UserId(below));
        }
        let file = files::create(&directory.path().join(files::IDS)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2 * BLOCK as u64, "it takes no room but its own");
        // The next write goes to the older of the two, and stops in the middle.
        file.write_all_at(&[0xff; 5], BLOCK as u64).unwrap();
        assert_eq!(Aside::open(directory.path()).below(), UserId(13000));
        assert!(Aside::open(directory.path()).set(UserId(17000)));
        assert_eq!(Aside::open(directory.path()).below(), UserId(17000));
    }
}
