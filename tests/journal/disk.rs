//! What only a disk can suffer: damage, cuts, two servers, a newer store.
