//! What SQLite's errors mean for the store. It owns nothing.

use rusqlite::{ErrorCode, ffi};

use crate::store::backend::StoreError;

/// What an error of SQLite means for the store.
pub fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    if matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)) {
        return StoreError::Damaged(error.to_string());
    }
    if is_full(&error) {
        return StoreError::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Failed(format!("the disk failed: {error}; the next start looks at what was stored")),
    }
}

/// Whether the disk was full, for a page or for the index of the write-ahead log.
pub fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}
