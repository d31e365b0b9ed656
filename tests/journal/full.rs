//! The full disk.
