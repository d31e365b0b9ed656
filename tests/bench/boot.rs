//! How long a server takes to serve again, and what memory it has then, after it was killed with 1,000,000 messages stored.
fn main() {}
